#include "labvla_control/ros/compliant_trajectory_controller.hpp"

#include <cmath>
#include <exception>

#include "pluginlib/class_list_macros.hpp"

namespace labvla::control {

namespace {

std::vector<std::string> suffixed(const std::vector<std::string>& joints, const char* suffix) {
  std::vector<std::string> names;
  for (const std::string& joint : joints) names.push_back(joint + suffix);
  return names;
}

PortNames port_names(const Parameters& p) {
  PortNames names;
  names.command = suffixed(p.joints, p.command_interface == "effort" ? "/effort" : "/position");
  names.position = suffixed(p.joints, "/position");
  names.velocity = suffixed(p.joints, "/velocity");
  names.ready = p.ready_interfaces;
  names.speed_scaling = p.speed_scaling_interfaces;
  for (const std::string& arm : p.wrists) {
    const std::string& sensor = p.wrist.wrists_map.at(arm).sensor;
    for (const char* axis : {"force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z"})
      names.wrench.push_back(sensor + "/" + axis);
  }
  return names;
}

controller_interface::InterfaceConfiguration individually(std::vector<std::string> names) {
  return {controller_interface::interface_configuration_type::INDIVIDUAL, std::move(names)};
}

}  // namespace

using CallbackReturn = CompliantTrajectoryController::CallbackReturn;

CallbackReturn CompliantTrajectoryController::on_init() {
  try {
    parameter_listener_ =
        std::make_shared<::compliant_trajectory_controller::ParamListener>(get_node());
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "a parameter cannot be used: %s", error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

controller_interface::InterfaceConfiguration
CompliantTrajectoryController::command_interface_configuration() const {
  return individually(ports_ ? ports_->names().command : std::vector<std::string>{});
}

controller_interface::InterfaceConfiguration
CompliantTrajectoryController::state_interface_configuration() const {
  return individually(ports_ ? ports_->names().states() : std::vector<std::string>{});
}

CallbackReturn CompliantTrajectoryController::on_configure(const Lifecycle& /*previous*/) {
  const unsigned int rate = get_update_rate();
  if (rate == 0) {
    RCLCPP_ERROR(get_node()->get_logger(), "update_rate: expected the manager's rate, got 0");
    return CallbackReturn::FAILURE;
  }
  const Parameters parameters = parameter_listener_->get_params();
  try {
    core_ = std::make_shared<Controller>(make_config(parameters, 1.0 / rate));
    wrists_.clear();
    if (core_->config().compliance == Compliance::kAdmittance) {
      for (const std::string& arm : parameters.wrists) {
        const auto& wrist = parameters.wrist.wrists_map.at(arm);
        wrists_.emplace_back(get_robot_description(), wrist.base, wrist.frame, parameters.joints);
      }
    }
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "this configuration cannot be used:\n%s", error.what());
    return CallbackReturn::FAILURE;
  }
  core_->set_stiffness_scale(parameters.stiffness_scale);
  ports_ = std::make_unique<Ports>(port_names(parameters));
  inputs_ = Inputs{};
  messenger_ = Messenger::open(get_node(), parameters, core_);
  return CallbackReturn::SUCCESS;
}

CallbackReturn CompliantTrajectoryController::on_activate(const Lifecycle& /*previous*/) {
  if (const std::string* missing = ports_->bind(command_interfaces_, state_interfaces_)) {
    RCLCPP_ERROR(get_node()->get_logger(), "interface %s is missing", missing->c_str());
    return CallbackReturn::FAILURE;
  }
  ports_->read(inputs_);
  const PerJoint<> start = starting_position();
  if (!may_start_from(start)) return CallbackReturn::FAILURE;
  messenger_->begin_cycle(get_node()->now().nanoseconds());
  return core_->activate(start, inputs_.velocity) ? CallbackReturn::SUCCESS
                                                  : CallbackReturn::FAILURE;
}

bool CompliantTrajectoryController::may_start_from(const PerJoint<>& position) const {
  const rclcpp::Logger logger = get_node()->get_logger();
  const Config& config = core_->config();
  for (std::size_t i = 0; i < config.joints.size(); ++i) {
    const JointConfig& joint = config.joints[i];
    const HardwareLimits& range = joint.hardware;
    if (!(position[i] >= range.lower && position[i] <= range.upper)) {
      RCLCPP_ERROR(logger, "%s is at %f rad, expected [%f, %f]; lead it back, then activate",
                   joint.name.c_str(), position[i], range.lower, range.upper);
      return false;
    }
  }
  return true;
}

// A position drive stands at its set-point, up to its lag behind it: going on from the set-point
// keeps the command free of a step. Anywhere else the measured position is the only truth.
PerJoint<> CompliantTrajectoryController::starting_position() const {
  PerJoint<> start = inputs_.position;
  if (core_->config().command != CommandInterface::kPosition) return start;
  const PerJoint<> commanded = ports_->last_command();
  for (std::size_t i = 0; i < core_->config().joints.size(); ++i) {
    if (std::abs(commanded[i] - start[i]) <= core_->config().anchor_tolerance)
      start[i] = commanded[i];
  }
  return start;
}

CallbackReturn CompliantTrajectoryController::on_deactivate(const Lifecycle& /*previous*/) {
  core_->deactivate();
  // Without its spring an effort interface must not keep the last torque; a position interface
  // keeps the last position, which is where the drive is told to be already.
  if (core_->config().command == CommandInterface::kEffort) ports_->write({});
  return CallbackReturn::SUCCESS;
}

CallbackReturn CompliantTrajectoryController::on_cleanup(const Lifecycle& /*previous*/) {
  messenger_.reset();
  core_.reset();
  ports_.reset();
  wrists_.clear();
  return CallbackReturn::SUCCESS;
}

controller_interface::return_type CompliantTrajectoryController::update(
    const rclcpp::Time& time, const rclcpp::Duration& period) {
  ports_->read(inputs_);
  inputs_.elapsed = period.seconds();
  for (std::size_t w = 0; w < wrists_.size(); ++w)
    wrists_[w].locate(inputs_.position, inputs_.wrists[w]);
  messenger_->begin_cycle(time.nanoseconds());
  const State& state = core_->update(inputs_);
  ports_->write(state.command);
  messenger_->end_cycle({time.nanoseconds(), state});
  return controller_interface::return_type::OK;
}

}  // namespace labvla::control

PLUGINLIB_EXPORT_CLASS(labvla::control::CompliantTrajectoryController,
                       controller_interface::ControllerInterface)
