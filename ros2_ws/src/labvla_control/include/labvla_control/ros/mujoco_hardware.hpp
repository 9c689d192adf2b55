// A MuJoCo model in the place of a robot, for tests and for a cell without one.
//
// Parameters of the <hardware> tag: `model`, an MJCF file whose joints have the URDF's names, and
// `drive_frequency` [rad/s], how stiffly position and velocity are followed (60: lags by 33 ms).
// Joints start at their `initial_value`. Gravity is the model's business: bodies with gravcomp="1"
// make a robot that compensates it by itself, as Franka's does. Torques end at the URDF's limits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hardware_interface/system_interface.hpp"
#include "mujoco/mujoco.h"

namespace labvla::control {

class MujocoHardware : public hardware_interface::SystemInterface {
 public:
  using Lifecycle = rclcpp_lifecycle::State;
  using Result = hardware_interface::return_type;

  CallbackReturn on_init(
      const hardware_interface::HardwareComponentInterfaceParams& params) override;
  CallbackReturn on_configure(const Lifecycle& previous) override;
  CallbackReturn on_activate(const Lifecycle& previous) override;

  Result prepare_command_mode_switch(const std::vector<std::string>& start,
                                     const std::vector<std::string>& stop) override;
  Result perform_command_mode_switch(const std::vector<std::string>& start,
                                     const std::vector<std::string>& stop) override;

  Result read(const rclcpp::Time& time, const rclcpp::Duration& period) override;
  Result write(const rclcpp::Time& time, const rclcpp::Duration& period) override;

 private:
  using StatePort = hardware_interface::StateInterface::SharedPtr;
  using CommandPort = hardware_interface::CommandInterface::SharedPtr;

  // Braked: nobody claims the joint, and it is held where it was let go.
  enum class Follows { kBraked, kPosition, kVelocity, kEffort };

  struct Joint {
    std::string name;
    int position = 0;  // in qpos
    int velocity = 0;  // in qvel
    double start = 0.0;
    double torque_limit = 0.0;
    Follows follows = Follows::kBraked;
    double held = 0.0;  // target of a braked joint
    double torque = 0.0;
    StatePort position_state, velocity_state, effort_state;  // null: not in the URDF
    CommandPort position_command, velocity_command, effort_command;
  };

  struct FreeModel {
    void operator()(mjModel* model) const { mj_deleteModel(model); }
    void operator()(mjData* data) const { mj_deleteData(data); }
  };

  bool load(const std::string& file);
  bool find(const hardware_interface::ComponentInfo& component);
  Joint* joint_of(const std::string& interface, std::string& kind);
  void follow(Joint& joint, Follows what);
  void drive();
  void tell() const;

  std::unique_ptr<mjModel, FreeModel> model_;
  std::unique_ptr<mjData, FreeModel> data_;
  std::vector<Joint> joints_;
  std::vector<double> wanted_;  // acceleration of every degree of freedom
  std::vector<double> needed_;  // torque for it
  double drive_frequency_ = 60.0;
  double owed_ = 0.0;  // [s] of simulated time
};

}  // namespace labvla::control
