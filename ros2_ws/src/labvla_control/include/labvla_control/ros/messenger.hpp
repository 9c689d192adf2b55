// Topics and services of a configured controller.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "labvla_control/core/controller.hpp"
#include "labvla_control/ros/config_from_parameters.hpp"
#include "labvla_control/ros/events.hpp"
#include "labvla_control/ros/outlet.hpp"
#include "labvla_control/ros/state_conversion.hpp"
#include "labvla_msgs/msg/action_chunk.hpp"
#include "rclcpp_lifecycle/lifecycle_node.hpp"
#include "std_srvs/srv/trigger.hpp"

namespace labvla::control {

// Threads: `begin_cycle` and `end_cycle` belong to the control loop, callbacks to the executor;
// messages leave through the outlet's own thread. Callbacks hold the messenger only while they
// run, so it may be dropped at any time: the last of them takes it down.
class Messenger : public std::enable_shared_from_this<Messenger> {
 public:
  using Node = rclcpp_lifecycle::LifecycleNode;

  // Needs a shared owner before anything can arrive, hence not the constructor.
  static std::shared_ptr<Messenger> open(const std::shared_ptr<Node>& node,
                                         const Parameters& parameters,
                                         std::shared_ptr<Controller> core);

  // Chunks that arrive from now on are judged against this cycle.
  void begin_cycle(std::int64_t stamp_ns) {
    cycle_stamp_ns_.store(stamp_ns, std::memory_order_release);
  }
  void end_cycle(const Snapshot& snapshot) {
    if (cycle_++ % report_every_ == 0) reports_.push(snapshot);
  }

 private:
  using Trigger = std_srvs::srv::Trigger;
  using ChunkMessage = labvla_msgs::msg::ActionChunk;
  using Answer = void (Messenger::*)(Trigger::Response& response);

  Messenger(const std::shared_ptr<Node>& node, const Parameters& parameters,
            std::shared_ptr<Controller> core);
  void listen(const std::string& chunk_topic);
  void offer(const std::string& name, Answer answer);
  void on_chunk(const ChunkMessage& message);
  void on_stop(Trigger::Response& response);
  void on_reset_stop(Trigger::Response& response);
  void on_pause(Trigger::Response& response);
  void on_resume(Trigger::Response& response);
  void on_tare(Trigger::Response& response);
  void report(const Snapshot& snapshot);
  void tell(SafetyEvent event) const;

  std::weak_ptr<Node> node_;  // which owns the callbacks, which may own this
  rclcpp::Logger logger_;
  rclcpp::Clock::SharedPtr clock_;
  std::shared_ptr<Controller> core_;

  std::atomic<std::int64_t> cycle_stamp_ns_{0};
  std::uint64_t cycle_ = 0;
  std::uint64_t report_every_;

  // Chunks and stops come in on different callback groups: a stop never waits for a chunk.
  rclcpp::CallbackGroup::SharedPtr chunk_group_;
  rclcpp::CallbackGroup::SharedPtr service_group_;
  rclcpp::Subscription<ChunkMessage>::SharedPtr chunks_;
  std::vector<rclcpp::Service<Trigger>::SharedPtr> services_;
  Node::PostSetParametersCallbackHandle::SharedPtr scale_handle_;
  RefusalEvents refusal_events_;

  // Plain publishers: a lifecycle publisher is mute while the node is inactive, when refusals still
  // want to be told.
  rclcpp::Publisher<labvla_msgs::msg::ControllerState>::SharedPtr states_;
  rclcpp::Publisher<labvla_msgs::msg::GripperSetpoints>::SharedPtr grippers_;
  rclcpp::Publisher<SafetyEvent>::SharedPtr events_;
  StopEvents stop_events_;

  Outlet<Snapshot, 256> reports_;  // last: its thread uses what is above
};

}  // namespace labvla::control
