// The controller's hardware interfaces: their names, and the way between handles and the core.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "hardware_interface/loaned_command_interface.hpp"
#include "hardware_interface/loaned_state_interface.hpp"
#include "labvla_control/core/state.hpp"
#include "labvla_control/ros/handles.hpp"

namespace labvla::control {

// Full names, such as fr3_joint1/position; joint by joint in the order of the configuration.
struct PortNames {
  std::vector<std::string> command;
  std::vector<std::string> position;
  std::vector<std::string> velocity;
  std::vector<std::string> ready;
  std::vector<std::string> speed_scaling;  // of each robot; none: always full speed
  std::vector<std::string> wrench;         // six for each wrist

  std::vector<std::string> states() const;
};

class Ports {
 public:
  static constexpr std::size_t kMaxReady = 8;
  static constexpr std::size_t kMaxRobots = 4;

  explicit Ports(PortNames names) : names_(std::move(names)) {}

  const PortNames& names() const { return names_; }

  // Finds the handles by name. Returns the first name that is missing, or nullptr.
  const std::string* bind(std::vector<hardware_interface::LoanedCommandInterface>& commands,
                          std::vector<hardware_interface::LoanedStateInterface>& states);

  // From the handles; what cannot be read becomes NaN, which the core takes as a fault.
  void read(Inputs& inputs) const;
  void write(const PerJoint<>& command) const;
  // What the hardware was told last, by whoever commanded it.
  PerJoint<> last_command() const;

 private:
  double slowest() const;

  using Command = hardware_interface::LoanedCommandInterface;
  using StateHandle = hardware_interface::LoanedStateInterface;

  PortNames names_;
  PerJoint<Command*> command_{};
  PerJoint<const StateHandle*> position_{};
  PerJoint<const StateHandle*> velocity_{};
  std::array<const StateHandle*, kMaxReady> ready_{};
  std::array<const StateHandle*, kMaxRobots> speed_scaling_{};
  std::array<const StateHandle*, 6 * kMaxWrists> wrench_{};
};

}  // namespace labvla::control
