#include "labvla_control/ros/ports.hpp"

#include <algorithm>
#include <cmath>

namespace labvla::control {

namespace {

template <typename Handles, typename Slots>
const std::string* find_all(Handles& handles, const std::vector<std::string>& names, Slots& slots) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = std::find_if(handles.begin(), handles.end(),
                                    [&](const auto& h) { return h.get_name() == names[i]; });
    if (found == handles.end()) return &names[i];
    slots[i] = &*found;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> PortNames::states() const {
  std::vector<std::string> all;
  for (const auto* part : {&position, &velocity, &ready, &speed_scaling, &wrench})
    all.insert(all.end(), part->begin(), part->end());
  return all;
}

const std::string* Ports::bind(std::vector<hardware_interface::LoanedCommandInterface>& commands,
                               std::vector<hardware_interface::LoanedStateInterface>& states) {
  const std::string* missing = find_all(commands, names_.command, command_);
  if (missing == nullptr) missing = find_all(states, names_.position, position_);
  if (missing == nullptr) missing = find_all(states, names_.velocity, velocity_);
  if (missing == nullptr) missing = find_all(states, names_.ready, ready_);
  if (missing == nullptr) missing = find_all(states, names_.speed_scaling, speed_scaling_);
  if (missing == nullptr) missing = find_all(states, names_.wrench, wrench_);
  return missing;
}

void Ports::read(Inputs& inputs) const {
  for (std::size_t i = 0; i < names_.position.size(); ++i) {
    inputs.position[i] = read_handle(*position_[i]);
    inputs.velocity[i] = read_handle(*velocity_[i]);
  }
  inputs.ready = true;
  for (std::size_t i = 0; i < names_.ready.size(); ++i)
    inputs.ready = inputs.ready && read_handle(*ready_[i]) > 0.5;  // false for NaN too
  inputs.speed_scaling = slowest();
  for (std::size_t k = 0; k < names_.wrench.size(); ++k) {
    WristInput& wrist = inputs.wrists[k / 6];
    wrist.valid = true;
    wrist.wrench[k % 6] = read_handle(*wrench_[k]);
  }
}

// One plan has one time: it goes as fast as the slowest robot.
double Ports::slowest() const {
  double scaling = 1.0;
  for (std::size_t i = 0; i < names_.speed_scaling.size(); ++i) {
    const double own = read_handle(*speed_scaling_[i]);
    if (!std::isfinite(own)) return own;
    scaling = std::min(scaling, own);
  }
  return scaling;
}

void Ports::write(const PerJoint<>& command) const {
  // A busy handle keeps the command of the cycle before; ros2_control counts and logs it.
  for (std::size_t i = 0; i < names_.command.size(); ++i)
    static_cast<void>(write_handle(*command_[i], command[i]));
}

PerJoint<> Ports::last_command() const {
  PerJoint<> command{};
  for (std::size_t i = 0; i < names_.command.size(); ++i) command[i] = read_handle(*command_[i]);
  return command;
}

}  // namespace labvla::control
