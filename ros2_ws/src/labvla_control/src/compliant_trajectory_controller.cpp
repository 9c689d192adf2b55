#include "labvla_control/ros/compliant_trajectory_controller.hpp"

#include <algorithm>
#include <chrono>
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
  if (!p.speed_scaling_interface.empty()) names.speed_scaling = {p.speed_scaling_interface};
  if (!p.wrist.sensor.empty()) {
    for (const char* axis : {"force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z"})
      names.wrench.push_back(p.wrist.sensor + "/" + axis);
  }
  return names;
}

controller_interface::InterfaceConfiguration individually(std::vector<std::string> names) {
  return {controller_interface::interface_configuration_type::INDIVIDUAL, std::move(names)};
}

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
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
  try {
    parameters_ = parameter_listener_->get_params();
    core_ = std::make_unique<Controller>(make_config(parameters_, 1.0 / rate));
    wrist_.reset();
    if (core_->config().compliance == Compliance::kAdmittance) {
      wrist_ = std::make_unique<SerialChain>(get_robot_description(), parameters_.wrist.base,
                                             parameters_.wrist.frame, parameters_.joints);
    }
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "this configuration cannot be used:\n%s", error.what());
    return CallbackReturn::FAILURE;
  }
  ports_ = std::make_unique<Ports>(port_names(parameters_));
  core_->set_stiffness_scale(parameters_.stiffness_scale);
  report_every_ =
      std::max(1ULL, static_cast<unsigned long long>(std::llround(rate / parameters_.state_rate)));
  inputs_ = Inputs{};
  offer_topics();
  offer_services();
  return CallbackReturn::SUCCESS;
}

CallbackReturn CompliantTrajectoryController::on_activate(const Lifecycle& /*previous*/) {
  const rclcpp::Logger logger = get_node()->get_logger();
  if (const std::string* missing = ports_->bind(command_interfaces_, state_interfaces_)) {
    RCLCPP_ERROR(logger, "interface %s is missing", missing->c_str());
    return CallbackReturn::FAILURE;
  }
  ports_->read(inputs_);
  const PerJoint<> start = starting_position();
  for (std::size_t i = 0; i < parameters_.joints.size(); ++i) {
    const HardwareLimits& range = core_->config().joints[i].hardware;
    if (!(start[i] >= range.lower && start[i] <= range.upper)) {
      RCLCPP_ERROR(logger, "%s is at %f rad, expected [%f, %f]; lead it back, then activate",
                   parameters_.joints[i].c_str(), start[i], range.lower, range.upper);
      return CallbackReturn::FAILURE;
    }
    if (std::abs(inputs_.velocity[i]) > core_->config().standstill_speed) {
      RCLCPP_WARN(logger, "%s moves at %f rad/s; the reference starts at rest, stop it first",
                  parameters_.joints[i].c_str(), inputs_.velocity[i]);
    }
  }
  cycle_stamp_ns_.store(get_node()->now().nanoseconds(), std::memory_order_release);
  cycle_ = 0;
  return core_->activate(start) ? CallbackReturn::SUCCESS : CallbackReturn::FAILURE;
}

// A position drive stands at its set-point, up to its lag behind it: going on from the set-point
// keeps the command free of a step. Anywhere else the measured position is the only truth.
PerJoint<> CompliantTrajectoryController::starting_position() const {
  PerJoint<> start = inputs_.position;
  if (core_->config().command != CommandInterface::kPosition) return start;
  const PerJoint<> commanded = ports_->last_command();
  for (std::size_t i = 0; i < parameters_.joints.size(); ++i) {
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
  reports_.reset();
  chunk_subscription_.reset();
  services_.clear();
  scale_handle_.reset();
  core_.reset();
  ports_.reset();
  wrist_.reset();
  return CallbackReturn::SUCCESS;
}

controller_interface::return_type CompliantTrajectoryController::update(
    const rclcpp::Time& time, const rclcpp::Duration& period) {
  ports_->read(inputs_);
  inputs_.elapsed = period.seconds();
  if (wrist_) wrist_->locate(inputs_.position, inputs_.wrist);
  cycle_stamp_ns_.store(time.nanoseconds(), std::memory_order_release);
  const State& state = core_->update(inputs_);
  ports_->write(state.command);
  if (cycle_++ % report_every_ == 0) reports_->push({time.nanoseconds(), state});
  return controller_interface::return_type::OK;
}

void CompliantTrajectoryController::offer_topics() {
  const auto node = get_node();
  const rclcpp::QoS reliable = rclcpp::QoS(10).reliable();
  state_publisher_ =
      rclcpp::create_publisher<labvla_msgs::msg::ControllerState>(node, "~/state", reliable);
  gripper_publisher_ =
      rclcpp::create_publisher<labvla_msgs::msg::GripperSetpoints>(node, "~/gripper", reliable);
  event_publisher_ =
      rclcpp::create_publisher<SafetyEvent>(node, parameters_.events_topic, reliable);
  chunk_group_ = node->create_callback_group(rclcpp::CallbackGroupType::MutuallyExclusive);
  rclcpp::SubscriptionOptions options;
  options.callback_group = chunk_group_;
  chunk_subscription_ = node->create_subscription<ChunkMessage>(
      parameters_.chunk_topic, reliable, [this](const ChunkMessage& message) { on_chunk(message); },
      options);
  constexpr auto kFastestLook = std::chrono::microseconds(1000);
  constexpr auto kSlowestLook = std::chrono::microseconds(5000);
  const auto interval =
      std::chrono::microseconds(static_cast<std::int64_t>(1e6 / parameters_.state_rate));
  reports_ = std::make_unique<Reports>([this](const Snapshot& snapshot) { report(snapshot); },
                                       std::clamp(interval, kFastestLook, kSlowestLook));
}

void CompliantTrajectoryController::offer_services() {
  service_group_ = get_node()->create_callback_group(rclcpp::CallbackGroupType::MutuallyExclusive);
  offer("~/stop", &CompliantTrajectoryController::on_stop);
  offer("~/reset_stop", &CompliantTrajectoryController::on_reset_stop);
  offer("~/pause", &CompliantTrajectoryController::on_pause);
  offer("~/resume", &CompliantTrajectoryController::on_resume);
  if (wrist_) offer("~/tare", &CompliantTrajectoryController::on_tare);
  scale_handle_ = get_node()->add_post_set_parameters_callback(
      [this](const std::vector<rclcpp::Parameter>& changed) {
        for (const rclcpp::Parameter& parameter : changed) {
          if (parameter.get_name() == "stiffness_scale")
            core_->set_stiffness_scale(parameter.as_double());
        }
      });
}

void CompliantTrajectoryController::offer(
    const std::string& name,
    void (CompliantTrajectoryController::*answer)(Trigger::Response& response)) {
  services_.push_back(get_node()->create_service<Trigger>(
      name,
      [this, answer](const Trigger::Request::SharedPtr /*request*/,
                     const Trigger::Response::SharedPtr response) { (this->*answer)(*response); },
      rclcpp::ServicesQoS(), service_group_));
}

void CompliantTrajectoryController::on_chunk(const ChunkMessage& message) {
  const ChunkOfMessage chunk(message, cycle_stamp_ns_.load(std::memory_order_acquire));
  const Verdict verdict = core_->submit(chunk.view());
  if (verdict.accepted()) return;
  if (const auto event =
          refusal_events_.tell(verdict, message.sequence, monotonic_seconds(), core_->config())) {
    RCLCPP_WARN(get_node()->get_logger(), "chunk %lu refused (%s): %s", message.sequence,
                event->reason.c_str(), event->detail.c_str());
    tell(*event);
  }
}

void CompliantTrajectoryController::on_stop(Trigger::Response& response) {
  core_->stop();
  response.success = true;
  response.message = "stopping inside the operating limits; latched until reset_stop";
}

void CompliantTrajectoryController::on_reset_stop(Trigger::Response& response) {
  const State state = core_->state();
  response.success = state.mode != Mode::kStopping && state.mode != Mode::kTracking;
  if (response.success) core_->reset_stop();
  response.message = !response.success                   ? "still moving; call again at standstill"
                     : state.closed == Refusal::kStopped ? "released; waits for a chunk"
                                                         : "no stop was latched";
}

void CompliantTrajectoryController::on_pause(Trigger::Response& response) {
  core_->pause();
  response.success = true;
  response.message = "pausing inside the operating limits";
}

void CompliantTrajectoryController::on_resume(Trigger::Response& response) {
  const State state = core_->state();
  response.success = state.mode != Mode::kStopping && state.closed != Refusal::kStopped;
  if (response.success) core_->resume();
  response.message = response.success                    ? "waits for a chunk"
                     : state.closed == Refusal::kStopped ? "a stop is latched; call reset_stop"
                                                         : "still moving; call again at standstill";
}

void CompliantTrajectoryController::on_tare(Trigger::Response& response) {
  const Mode mode = core_->state().mode;
  response.success = mode != Mode::kTracking && mode != Mode::kStopping;
  if (response.success) core_->tare();
  response.message = response.success ? "the wrench of now, beyond the payload, counts as zero"
                                      : "moving; call again at standstill";
}

void CompliantTrajectoryController::report(const Snapshot& snapshot) {
  const Config& config = core_->config();
  state_publisher_->publish(to_message(snapshot, core_->counters(), config));
  if (!config.grippers.empty()) gripper_publisher_->publish(to_gripper_message(snapshot, config));
  if (auto event = stop_events_.tell(snapshot.state)) {
    RCLCPP_INFO(get_node()->get_logger(), "stop (%s): %s", event->reason.c_str(),
                event->detail.c_str());
    tell(std::move(*event));
  }
}

void CompliantTrajectoryController::tell(SafetyEvent event) const {
  event.stamp = get_node()->now();
  event_publisher_->publish(event);
}

}  // namespace labvla::control

PLUGINLIB_EXPORT_CLASS(labvla::control::CompliantTrajectoryController,
                       controller_interface::ControllerInterface)
