// Stand-in: a controller that claims nothing, reads nothing and does nothing.
#include "controller_interface/controller_interface.hpp"
#include "pluginlib/class_list_macros.hpp"

namespace ur_controllers {

class Idle : public controller_interface::ControllerInterface {
 public:
  using Interfaces = controller_interface::InterfaceConfiguration;

  CallbackReturn on_init() override { return CallbackReturn::SUCCESS; }
  Interfaces command_interface_configuration() const override { return none(); }
  Interfaces state_interface_configuration() const override { return none(); }
  controller_interface::return_type update(const rclcpp::Time& /*time*/,
                                           const rclcpp::Duration& /*period*/) override {
    return controller_interface::return_type::OK;
  }

 private:
  static Interfaces none() {
    return {controller_interface::interface_configuration_type::NONE, {}};
  }
};

}  // namespace ur_controllers

PLUGINLIB_EXPORT_CLASS(ur_controllers::Idle, controller_interface::ControllerInterface)
