// Where the wrist sensor is and how the joints move it, read from the robot description.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "labvla_control/core/admittance.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

using Vector3 = std::array<double, 3>;
using Matrix3 = std::array<double, 9>;  // row-major

class SerialChain {
 public:
  // From link `base` to link `tip`. `joints` are the controller's; one that is not on the way does
  // not move the tip. Throws std::invalid_argument, in words, when the description does not fit.
  SerialChain(const std::string& urdf, const std::string& base, const std::string& tip,
              const std::vector<std::string>& joints);

  // Fills rotation and Jacobian of `wrist`. For the loop: no heap.
  void locate(const PerJoint<>& position, WristInput& wrist) const;

 private:
  struct Segment {
    Matrix3 rotation{};  // parent <- joint, at position 0
    Vector3 origin{};
    Vector3 axis{};
    int joint = -1;  // in the controller's order; -1: fixed
    bool revolute = false;
  };

  std::vector<Segment> segments_;
  std::size_t joints_ = 0;
};

}  // namespace labvla::control
