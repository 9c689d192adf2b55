// Torque-driven joints with gravity compensated, for tests without a simulator.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "labvla_control/core/types.hpp"
#include "labvla_control/plant/noise.hpp"

namespace labvla::plant {

using control::PerJoint;

// Decoupled on purpose: what is under test is the controller's law per joint under delay, noise,
// friction and contact, not a dynamics library.
struct JointPlant {
  double inertia = 0.5;        // [kg m^2]
  double viscous = 0.5;        // [N m s / rad]
  double coulomb = 0.0;        // [N m]
  double payload = 0.0;        // [N m] gravity of an uncompensated payload at its full lever
  double payload_angle = 0.0;  // [rad] where the lever is horizontal
  double wall = std::numeric_limits<double>::infinity();  // [rad] a one-sided wall above this angle
  double wall_stiffness = 1e4;                            // [N m / rad]
  double wall_damping = 20.0;                             // [N m s / rad]
};

struct SensorNoise {
  double position = 0.0;  // [rad] standard deviation
  double velocity = 0.0;  // [rad/s]
};

class TorquePlant {
 public:
  TorquePlant(std::vector<JointPlant> joints, const std::vector<double>& position, double period,
              SensorNoise noise = {}, std::uint64_t seed = 1)
      : joints_(std::move(joints)), period_(period), noise_(noise), random_(seed) {
    for (std::size_t i = 0; i < joints_.size(); ++i) position_[i] = position[i];
    measure();
  }

  // One control cycle. The torque acts one cycle later, as on a robot that answers over a network.
  void step(const PerJoint<>& torque) {
    constexpr int kSubsteps = 5;
    const double dt = period_ / kSubsteps;
    for (std::size_t i = 0; i < joints_.size(); ++i) {
      for (int s = 0; s < kSubsteps; ++s) integrate(i, pending_[i], dt);
      pending_[i] = torque[i];
    }
    measure();
  }

  std::size_t count() const { return joints_.size(); }
  const PerJoint<>& position() const { return position_; }
  const PerJoint<>& velocity() const { return velocity_; }
  const PerJoint<>& measured_position() const { return measured_position_; }
  const PerJoint<>& measured_velocity() const { return measured_velocity_; }
  // [N m] with which joint `i` presses against its wall.
  double contact(std::size_t i) const {
    const JointPlant& j = joints_[i];
    const double depth = position_[i] - j.wall;
    return depth > 0.0 ? std::max(0.0, j.wall_stiffness * depth + j.wall_damping * velocity_[i])
                       : 0.0;
  }

 private:
  // Semi-implicit; friction is implicit too, so that it stops a joint instead of making it chatter.
  void integrate(std::size_t i, double torque, double dt) {
    const JointPlant& j = joints_[i];
    const double applied =
        torque - contact(i) - j.payload * std::cos(position_[i] - j.payload_angle);
    double v = (velocity_[i] + dt * applied / j.inertia) / (1.0 + dt * j.viscous / j.inertia);
    const double friction = dt * j.coulomb / j.inertia;
    v = std::abs(v) <= friction ? 0.0 : v - std::copysign(friction, v);
    velocity_[i] = v;
    position_[i] += dt * v;
  }

  void measure() {
    for (std::size_t i = 0; i < joints_.size(); ++i) {
      measured_position_[i] = position_[i] + noise_.position * random_.gaussian();
      measured_velocity_[i] = velocity_[i] + noise_.velocity * random_.gaussian();
    }
  }

  std::vector<JointPlant> joints_;
  double period_;
  SensorNoise noise_;
  Noise random_;
  PerJoint<> position_{};
  PerJoint<> velocity_{};
  PerJoint<> pending_{};
  PerJoint<> measured_position_{};
  PerJoint<> measured_velocity_{};
};

}  // namespace labvla::plant
