// Position-servoed joints that carry a planar arm with a wrist sensor in front of a wall, for tests
// of admittance.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "labvla_control/core/admittance.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/plant/noise.hpp"

namespace labvla::plant {

// Links in the x-y plane, all axes along z; joints with a link of zero length turn the tool only.
struct ServoArm {
  std::vector<double> links{0.425, 0.392, 0.1};  // [m]
  double lag = 0.03;                             // [s] first-order, like a servo with look-ahead
  double wall = std::numeric_limits<double>::infinity();  // [m] the tool may not pass this x
  double wall_stiffness = 2e4;                            // [N/m]
  double wall_damping = 100.0;                            // [N s/m]
  double force_noise = 0.0;                               // [N] standard deviation
  double payload_mass = 0.0;  // [kg] seen by the sensor, gravity along -z
  double push_x = 0.0;        // [N] a hand on the tool
  double push_y = 0.0;
};

class ServoPlant {
 public:
  ServoPlant(ServoArm arm, const std::vector<double>& position, double period,
             std::uint64_t seed = 1)
      : arm_(std::move(arm)), period_(period), random_(seed) {
    for (std::size_t i = 0; i < arm_.links.size(); ++i) position_[i] = pending_[i] = position[i];
    sense();
  }

  void step(const control::PerJoint<>& command) {
    const double gain = 1.0 - std::exp(-period_ / arm_.lag);
    for (std::size_t i = 0; i < arm_.links.size(); ++i) {
      const double moved = gain * (pending_[i] - position_[i]);
      position_[i] += moved;
      velocity_[i] = moved / period_;
      pending_[i] = command[i];
    }
    sense();
  }

  void push(double x, double y) {
    arm_.push_x = x;
    arm_.push_y = y;
  }

  std::size_t count() const { return arm_.links.size(); }
  const control::PerJoint<>& position() const { return position_; }
  const control::PerJoint<>& velocity() const { return velocity_; }
  const control::WristInput& wrist() const { return wrist_; }
  double tool_x() const { return x_; }
  double tool_y() const { return y_; }
  double contact() const { return contact_; }

 private:
  void sense() {
    std::array<double, control::kMaxJoints> jx{};
    std::array<double, control::kMaxJoints> jy{};
    double angle = 0.0;
    x_ = y_ = 0.0;
    for (std::size_t i = 0; i < arm_.links.size(); ++i) {
      angle += position_[i];
      const double dx = arm_.links[i] * std::cos(angle);
      const double dy = arm_.links[i] * std::sin(angle);
      x_ += dx;
      y_ += dy;
      for (std::size_t k = 0; k <= i; ++k) {
        jx[k] -= dy;
        jy[k] += dx;
      }
    }
    double vx = 0.0;
    for (std::size_t i = 0; i < arm_.links.size(); ++i) vx += jx[i] * velocity_[i];
    const double depth = x_ - arm_.wall;
    contact_ =
        depth > 0.0 ? std::max(0.0, arm_.wall_stiffness * depth + arm_.wall_damping * vx) : 0.0;

    wrist_.valid = true;
    const double c = std::cos(angle);
    const double s = std::sin(angle);
    wrist_.rotation = {c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0};
    const double fx = arm_.push_x - contact_ + arm_.force_noise * random_.gaussian();
    const double fy = arm_.push_y + arm_.force_noise * random_.gaussian();
    wrist_.wrench = {
        c * fx + s * fy, -s * fx + c * fy, -9.80665 * arm_.payload_mass, 0.0, 0.0, 0.0};
    wrist_.jacobian = {};
    for (std::size_t i = 0; i < arm_.links.size(); ++i) {
      wrist_.jacobian[0][i] = jx[i];
      wrist_.jacobian[1][i] = jy[i];
      wrist_.jacobian[5][i] = 1.0;
    }
  }

  ServoArm arm_;
  double period_;
  Noise random_;
  control::PerJoint<> position_{};
  control::PerJoint<> velocity_{};
  control::PerJoint<> pending_{};
  control::WristInput wrist_;
  double x_ = 0.0;
  double y_ = 0.0;
  double contact_ = 0.0;
};

}  // namespace labvla::plant
