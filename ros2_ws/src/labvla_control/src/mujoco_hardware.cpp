#include "labvla_control/ros/mujoco_hardware.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "hardware_interface/types/hardware_interface_type_values.hpp"
#include "pluginlib/class_list_macros.hpp"

namespace labvla::control {

namespace {

constexpr double kLongestStep = 0.02;  // [s] per cycle: after a pause time is lost, not made up for
constexpr char kNoInterface[] = "";

double start_of(const hardware_interface::ComponentInfo& component) {
  for (const hardware_interface::InterfaceInfo& state : component.state_interfaces) {
    if (state.name == hardware_interface::HW_IF_POSITION && !state.initial_value.empty())
      return std::stod(state.initial_value);
  }
  return 0.0;
}

// By its name, or by its name behind what it was attached with: left/fr3_joint1.
int joint_id(const mjModel* model, const std::string& name) {
  for (int id = 0; id < model->njnt; ++id) {
    const std::string known = model->names + model->name_jntadr[id];
    const std::size_t slash = known.rfind('/');
    if (known == name || (slash != std::string::npos && known.substr(slash + 1) == name)) return id;
  }
  return -1;
}

double value_of(const hardware_interface::CommandInterface::SharedPtr& port) {
  return port ? port->get_optional<double>().value_or(std::numeric_limits<double>::quiet_NaN())
              : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

using CallbackReturn = MujocoHardware::CallbackReturn;
using Result = MujocoHardware::Result;

CallbackReturn MujocoHardware::on_init(
    const hardware_interface::HardwareComponentInterfaceParams& params) {
  if (SystemInterface::on_init(params) != CallbackReturn::SUCCESS) return CallbackReturn::ERROR;
  const auto& told = get_hardware_info().hardware_parameters;
  try {
    if (const auto found = told.find("drive_frequency"); found != told.end())
      drive_frequency_ = std::stod(found->second);
    const auto model = told.find("model");
    if (model == told.end() || !load(model->second)) {
      RCLCPP_ERROR(get_logger(), "expected the parameter model with an MJCF file");
      return CallbackReturn::ERROR;
    }
    for (const auto& component : get_hardware_info().joints)
      if (!find(component)) return CallbackReturn::ERROR;
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_logger(), "expected a number: %s", error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

bool MujocoHardware::load(const std::string& file) {
  std::array<char, 1000> error{};
  model_.reset(mj_loadXML(file.c_str(), nullptr, error.data(), static_cast<int>(error.size())));
  if (!model_) {
    RCLCPP_ERROR(get_logger(), "%s: %s", file.c_str(), error.data());
    return false;
  }
  data_.reset(mj_makeData(model_.get()));
  wanted_.assign(static_cast<std::size_t>(model_->nv), 0.0);
  needed_ = wanted_;
  return true;
}

bool MujocoHardware::find(const hardware_interface::ComponentInfo& component) {
  const int id = joint_id(model_.get(), component.name);
  if (id < 0 || model_->jnt_type[id] == mjJNT_FREE || model_->jnt_type[id] == mjJNT_BALL) {
    RCLCPP_ERROR(get_logger(), "%s: expected a hinge or slide of this name in the model",
                 component.name.c_str());
    return false;
  }
  Joint joint;
  joint.name = component.name;
  joint.position = model_->jnt_qposadr[id];
  joint.velocity = model_->jnt_dofadr[id];
  joint.start = start_of(component);
  joint.torque_limit = std::numeric_limits<double>::infinity();
  const auto& limits = get_hardware_info().limits;
  if (const auto found = limits.find(component.name);
      found != limits.end() && found->second.has_effort_limits)
    joint.torque_limit = found->second.max_effort;
  joints_.push_back(joint);
  return true;
}

CallbackReturn MujocoHardware::on_configure(const Lifecycle& /*previous*/) {
  mj_resetData(model_.get(), data_.get());
  const auto state = [this](const Joint& joint, const char* kind) {
    const std::string name = joint.name + "/" + kind;
    return has_state(name) ? get_state_interface_handle(name) : StatePort{};
  };
  const auto command = [this](const Joint& joint, const char* kind) {
    const std::string name = joint.name + "/" + kind;
    return has_command(name) ? get_command_interface_handle(name) : CommandPort{};
  };
  for (Joint& joint : joints_) {
    joint.position_state = state(joint, hardware_interface::HW_IF_POSITION);
    joint.velocity_state = state(joint, hardware_interface::HW_IF_VELOCITY);
    joint.effort_state = state(joint, hardware_interface::HW_IF_EFFORT);
    joint.position_command = command(joint, hardware_interface::HW_IF_POSITION);
    joint.velocity_command = command(joint, hardware_interface::HW_IF_VELOCITY);
    joint.effort_command = command(joint, hardware_interface::HW_IF_EFFORT);
    data_->qpos[joint.position] = joint.start;
    follow(joint, Follows::kBraked);
  }
  mj_forward(model_.get(), data_.get());
  tell();
  return CallbackReturn::SUCCESS;
}

CallbackReturn MujocoHardware::on_activate(const Lifecycle& /*previous*/) {
  owed_ = 0.0;
  for (Joint& joint : joints_) follow(joint, Follows::kBraked);
  return CallbackReturn::SUCCESS;
}

MujocoHardware::Joint* MujocoHardware::joint_of(const std::string& interface, std::string& kind) {
  const std::size_t slash = interface.rfind('/');
  kind = slash == std::string::npos ? kNoInterface : interface.substr(slash + 1);
  const auto found = std::find_if(joints_.begin(), joints_.end(), [&](const Joint& joint) {
    return interface.compare(0, slash, joint.name) == 0;
  });
  return found == joints_.end() ? nullptr : &*found;
}

Result MujocoHardware::prepare_command_mode_switch(const std::vector<std::string>& start,
                                                   const std::vector<std::string>& /*stop*/) {
  std::string kind;
  std::vector<const Joint*> claimed;
  for (const std::string& interface : start) {
    const Joint* joint = joint_of(interface, kind);
    if (joint == nullptr) continue;
    if (std::find(claimed.begin(), claimed.end(), joint) != claimed.end()) {
      RCLCPP_ERROR(get_logger(), "%s: expected one command interface at a time",
                   joint->name.c_str());
      return Result::ERROR;
    }
    claimed.push_back(joint);
  }
  return Result::OK;
}

Result MujocoHardware::perform_command_mode_switch(const std::vector<std::string>& start,
                                                   const std::vector<std::string>& stop) {
  std::string kind;
  for (const std::string& interface : stop)
    if (Joint* joint = joint_of(interface, kind)) follow(*joint, Follows::kBraked);
  for (const std::string& interface : start) {
    Joint* joint = joint_of(interface, kind);
    if (joint == nullptr) continue;
    if (kind == hardware_interface::HW_IF_POSITION) follow(*joint, Follows::kPosition);
    if (kind == hardware_interface::HW_IF_VELOCITY) follow(*joint, Follows::kVelocity);
    if (kind == hardware_interface::HW_IF_EFFORT) follow(*joint, Follows::kEffort);
  }
  return Result::OK;
}

void MujocoHardware::follow(Joint& joint, Follows what) {
  joint.follows = what;
  joint.held = data_->qpos[joint.position];
  // Until the new controller has written, what is commanded is what is.
  if (joint.position_command) (void)joint.position_command->set_value(joint.held);
  if (joint.velocity_command) (void)joint.velocity_command->set_value(0.0);
  if (joint.effort_command) (void)joint.effort_command->set_value(0.0);
}

Result MujocoHardware::read(const rclcpp::Time& /*time*/, const rclcpp::Duration& /*period*/) {
  tell();
  return Result::OK;
}

Result MujocoHardware::write(const rclcpp::Time& /*time*/, const rclcpp::Duration& period) {
  owed_ = std::min(owed_ + period.seconds(), kLongestStep);
  const double step = model_->opt.timestep;
  // Half a step: a cycle that comes a little early is still a whole one.
  while (owed_ > 0.5 * step) {
    mj_step1(model_.get(), data_.get());
    drive();
    mj_step2(model_.get(), data_.get());
    owed_ -= step;
  }
  return Result::OK;
}

// A stiff drive asks for an acceleration and knows the inertia that it needs it for.
void MujocoHardware::drive() {
  std::fill(wanted_.begin(), wanted_.end(), 0.0);
  const double w = drive_frequency_;
  for (const Joint& joint : joints_) {
    if (joint.follows == Follows::kEffort) continue;
    const double q = data_->qpos[joint.position];
    const double v = data_->qvel[joint.velocity];
    double& wanted = wanted_[static_cast<std::size_t>(joint.velocity)];
    if (joint.follows == Follows::kVelocity) {
      const double target = value_of(joint.velocity_command);
      wanted = 2.0 * w * ((std::isfinite(target) ? target : 0.0) - v);
    } else {
      double target = joint.held;
      if (joint.follows == Follows::kPosition) target = value_of(joint.position_command);
      wanted = std::isfinite(target) ? w * (w * (target - q) - 2.0 * v) : -2.0 * w * v;
    }
  }
  mj_mulM(model_.get(), data_.get(), needed_.data(), wanted_.data());
  for (Joint& joint : joints_) {
    const int dof = joint.velocity;
    double torque = value_of(joint.effort_command);
    if (joint.follows != Follows::kEffort) {
      torque =
          needed_[static_cast<std::size_t>(dof)] + data_->qfrc_bias[dof] - data_->qfrc_passive[dof];
    }
    joint.torque =
        std::isfinite(torque) ? std::clamp(torque, -joint.torque_limit, joint.torque_limit) : 0.0;
    data_->qfrc_applied[dof] = joint.torque;
  }
}

void MujocoHardware::tell() const {
  for (const Joint& joint : joints_) {
    if (joint.position_state) (void)joint.position_state->set_value(data_->qpos[joint.position]);
    if (joint.velocity_state) (void)joint.velocity_state->set_value(data_->qvel[joint.velocity]);
    if (joint.effort_state) (void)joint.effort_state->set_value(joint.torque);
  }
}

}  // namespace labvla::control

PLUGINLIB_EXPORT_CLASS(labvla::control::MujocoHardware, hardware_interface::SystemInterface)
