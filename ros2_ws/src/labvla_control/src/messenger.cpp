#include "labvla_control/ros/messenger.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace labvla::control {

namespace {

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

rclcpp::QoS reliable() { return rclcpp::QoS(10).reliable(); }

std::uint64_t cycles_per_report(double period, double rate) {
  return static_cast<std::uint64_t>(std::max(1LL, std::llround(1.0 / (period * rate))));
}

std::chrono::microseconds look_interval(double rate) {
  constexpr auto kFastest = std::chrono::microseconds(1000);
  constexpr auto kSlowest = std::chrono::microseconds(5000);
  return std::clamp(std::chrono::microseconds(static_cast<std::int64_t>(1e6 / rate)), kFastest,
                    kSlowest);
}

}  // namespace

std::shared_ptr<Messenger> Messenger::open(const std::shared_ptr<Node>& node,
                                           const Parameters& parameters,
                                           std::shared_ptr<Controller> core) {
  std::shared_ptr<Messenger> messenger(new Messenger(node, parameters, std::move(core)));
  messenger->listen(parameters.chunk_topic);
  messenger->offer("~/stop", &Messenger::on_stop);
  messenger->offer("~/reset_stop", &Messenger::on_reset_stop);
  messenger->offer("~/pause", &Messenger::on_pause);
  messenger->offer("~/resume", &Messenger::on_resume);
  if (messenger->core_->config().compliance == Compliance::kAdmittance)
    messenger->offer("~/tare", &Messenger::on_tare);
  return messenger;
}

Messenger::Messenger(const std::shared_ptr<Node>& node, const Parameters& parameters,
                     std::shared_ptr<Controller> core)
    : node_(node),
      logger_(node->get_logger()),
      clock_(node->get_clock()),
      core_(std::move(core)),
      report_every_(cycles_per_report(core_->config().period, parameters.state_rate)),
      chunk_group_(node->create_callback_group(rclcpp::CallbackGroupType::MutuallyExclusive)),
      service_group_(node->create_callback_group(rclcpp::CallbackGroupType::MutuallyExclusive)),
      states_(
          rclcpp::create_publisher<labvla_msgs::msg::ControllerState>(node, "~/state", reliable())),
      grippers_(rclcpp::create_publisher<labvla_msgs::msg::GripperSetpoints>(node, "~/gripper",
                                                                             reliable())),
      events_(rclcpp::create_publisher<SafetyEvent>(node, parameters.events_topic, reliable())),
      reports_([this](const Snapshot& snapshot) { report(snapshot); },
               look_interval(parameters.state_rate)) {}

void Messenger::listen(const std::string& chunk_topic) {
  const std::shared_ptr<Node> node = node_.lock();
  rclcpp::SubscriptionOptions options;
  options.callback_group = chunk_group_;
  chunks_ = node->create_subscription<ChunkMessage>(
      chunk_topic, reliable(),
      [weak = weak_from_this()](const ChunkMessage& message) {
        if (const auto self = weak.lock()) self->on_chunk(message);
      },
      options);
  scale_handle_ = node->add_post_set_parameters_callback(
      [weak = weak_from_this()](const std::vector<rclcpp::Parameter>& changed) {
        const auto self = weak.lock();
        for (const rclcpp::Parameter& parameter : changed) {
          if (self && parameter.get_name() == "stiffness_scale")
            self->core_->set_stiffness_scale(parameter.as_double());
        }
      });
}

void Messenger::offer(const std::string& name, Answer answer) {
  services_.push_back(node_.lock()->create_service<Trigger>(
      name,
      [weak = weak_from_this(), answer](const Trigger::Request::SharedPtr /*request*/,
                                        const Trigger::Response::SharedPtr response) {
        if (const auto self = weak.lock()) ((*self).*answer)(*response);
      },
      rclcpp::ServicesQoS(), service_group_));
}

void Messenger::on_chunk(const ChunkMessage& message) {
  const ChunkOfMessage chunk(message, cycle_stamp_ns_.load(std::memory_order_acquire));
  const Verdict verdict = core_->submit(chunk.view());
  if (verdict.accepted()) return;
  if (const auto event =
          refusal_events_.tell(verdict, message.sequence, monotonic_seconds(), core_->config())) {
    RCLCPP_WARN(logger_, "chunk %lu refused (%s): %s", message.sequence, event->reason.c_str(),
                event->detail.c_str());
    tell(*event);
  }
}

void Messenger::on_stop(Trigger::Response& response) {
  core_->stop();
  response.success = true;
  response.message = "stopping inside the operating limits; latched until reset_stop";
}

void Messenger::on_reset_stop(Trigger::Response& response) {
  const State state = core_->state();
  response.success = state.mode != Mode::kStopping && state.mode != Mode::kTracking;
  if (response.success) core_->reset_stop();
  response.message = !response.success                   ? "still moving; call again at standstill"
                     : state.closed == Refusal::kStopped ? "released; waits for a chunk"
                                                         : "no stop was latched";
}

void Messenger::on_pause(Trigger::Response& response) {
  core_->pause();
  response.success = true;
  response.message = "pausing inside the operating limits";
}

void Messenger::on_resume(Trigger::Response& response) {
  const State state = core_->state();
  response.success = state.mode != Mode::kStopping && state.closed != Refusal::kStopped;
  if (response.success) core_->resume();
  response.message = response.success                    ? "waits for a chunk"
                     : state.closed == Refusal::kStopped ? "a stop is latched; call reset_stop"
                                                         : "still moving; call again at standstill";
}

void Messenger::on_tare(Trigger::Response& response) {
  const Mode mode = core_->state().mode;
  response.success = mode != Mode::kTracking && mode != Mode::kStopping;
  if (response.success) core_->tare();
  response.message = response.success ? "the wrench of now, beyond the payload, counts as zero"
                                      : "moving; call again at standstill";
}

void Messenger::report(const Snapshot& snapshot) {
  const Config& config = core_->config();
  states_->publish(to_message(snapshot, core_->counters(), config));
  if (!config.grippers.empty()) grippers_->publish(to_gripper_message(snapshot, config));
  if (auto event = stop_events_.tell(snapshot.state)) {
    RCLCPP_INFO(logger_, "stop (%s): %s", event->reason.c_str(), event->detail.c_str());
    tell(std::move(*event));
  }
}

void Messenger::tell(SafetyEvent event) const {
  event.stamp = clock_->now();
  events_->publish(event);
}

}  // namespace labvla::control
