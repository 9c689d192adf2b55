// The core under ros2_control: parameters, interfaces, topics and services around it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "controller_interface/controller_interface.hpp"
#include "labvla_control/core/controller.hpp"
#include "labvla_control/ros/config_from_parameters.hpp"
#include "labvla_control/ros/events.hpp"
#include "labvla_control/ros/outlet.hpp"
#include "labvla_control/ros/ports.hpp"
#include "labvla_control/ros/serial_chain.hpp"
#include "labvla_control/ros/state_conversion.hpp"
#include "labvla_msgs/msg/action_chunk.hpp"
#include "std_srvs/srv/trigger.hpp"

namespace labvla::control {

// Threads: `update`, `on_activate` and `on_deactivate` belong to the manager's loop; chunks,
// services and parameters to its executor; messages leave through the outlet's own thread.
class CompliantTrajectoryController : public controller_interface::ControllerInterface {
 public:
  using CallbackReturn = controller_interface::CallbackReturn;
  using Lifecycle = rclcpp_lifecycle::State;

  CallbackReturn on_init() override;
  controller_interface::InterfaceConfiguration command_interface_configuration() const override;
  controller_interface::InterfaceConfiguration state_interface_configuration() const override;
  CallbackReturn on_configure(const Lifecycle& previous) override;
  CallbackReturn on_activate(const Lifecycle& previous) override;
  CallbackReturn on_deactivate(const Lifecycle& previous) override;
  CallbackReturn on_cleanup(const Lifecycle& previous) override;
  controller_interface::return_type update(const rclcpp::Time& time,
                                           const rclcpp::Duration& period) override;

 private:
  using Trigger = std_srvs::srv::Trigger;
  using ChunkMessage = labvla_msgs::msg::ActionChunk;
  using Reports = Outlet<Snapshot, 256>;

  void offer_topics();
  void offer_services();
  void offer(const std::string& name,
             void (CompliantTrajectoryController::*answer)(Trigger::Response& response));
  void on_chunk(const ChunkMessage& message);
  void on_stop(Trigger::Response& response);
  void on_reset_stop(Trigger::Response& response);
  void on_pause(Trigger::Response& response);
  void on_resume(Trigger::Response& response);
  void on_tare(Trigger::Response& response);
  void report(const Snapshot& snapshot);
  void tell(SafetyEvent event) const;
  PerJoint<> starting_position() const;

  std::shared_ptr<::compliant_trajectory_controller::ParamListener> parameter_listener_;
  Parameters parameters_;
  std::unique_ptr<Controller> core_;
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<SerialChain> wrist_;

  // Of the loop.
  Inputs inputs_;
  std::uint64_t report_every_ = 1;
  std::uint64_t cycle_ = 0;
  std::atomic<std::int64_t> cycle_stamp_ns_{0};

  // Chunks and stops come in on different callback groups: a stop never waits for a chunk.
  rclcpp::CallbackGroup::SharedPtr chunk_group_;
  rclcpp::CallbackGroup::SharedPtr service_group_;
  rclcpp::Subscription<ChunkMessage>::SharedPtr chunk_subscription_;
  std::vector<rclcpp::Service<Trigger>::SharedPtr> services_;
  rclcpp_lifecycle::LifecycleNode::PostSetParametersCallbackHandle::SharedPtr scale_handle_;
  RefusalEvents refusal_events_;

  // Plain publishers: a lifecycle publisher is mute while the node is inactive, when refusals still
  // want to be told.
  rclcpp::Publisher<labvla_msgs::msg::ControllerState>::SharedPtr state_publisher_;
  rclcpp::Publisher<labvla_msgs::msg::GripperSetpoints>::SharedPtr gripper_publisher_;
  rclcpp::Publisher<SafetyEvent>::SharedPtr event_publisher_;
  StopEvents stop_events_;

  std::unique_ptr<Reports> reports_;  // last: its thread uses what is above
};

}  // namespace labvla::control
