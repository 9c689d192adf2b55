// The core under ros2_control: life cycle, interfaces and the control cycle.
#pragma once

#include <memory>

#include "controller_interface/controller_interface.hpp"
#include "labvla_control/core/controller.hpp"
#include "labvla_control/ros/config_from_parameters.hpp"
#include "labvla_control/ros/messenger.hpp"
#include "labvla_control/ros/ports.hpp"
#include "labvla_control/ros/serial_chain.hpp"

namespace labvla::control {

// `update`, `on_activate` and `on_deactivate` are called from the manager's loop.
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
  bool may_start_from(const PerJoint<>& position) const;
  PerJoint<> starting_position() const;

  std::shared_ptr<::compliant_trajectory_controller::ParamListener> parameter_listener_;
  std::shared_ptr<Controller> core_;
  std::unique_ptr<Ports> ports_;
  std::vector<SerialChain> wrists_;  // only with admittance
  std::shared_ptr<Messenger> messenger_;
  Inputs inputs_;
};

}  // namespace labvla::control
