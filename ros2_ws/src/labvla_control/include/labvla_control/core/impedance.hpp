// Joint impedance on an effort interface: a saturated spring and damper around the reference.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "labvla_control/core/config.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

class Impedance {
 public:
  explicit Impedance(const Config& config)
      : period_(config.period), scale_rate_(config.stiffness_scale_rate) {
    count_ = config.joints.size();
    for (std::size_t i = 0; i < count_; ++i) {
      const JointConfig& j = config.joints[i];
      gains_[i] = j.impedance;
      damping_[i] =
          2.0 * j.impedance.damping_ratio * std::sqrt(j.impedance.stiffness * j.impedance.inertia);
      lower_[i] = j.hardware.lower + j.impedance.repulsion_zone;
      upper_[i] = j.hardware.upper - j.impedance.repulsion_zone;
    }
  }

  // From no torque: the first cycles then rise at the torque rate instead of stepping.
  void reset() { torque_.fill(0.0); }

  double scale() const { return scale_; }

  const PerJoint<>& update(const PerJoint<Motion>& reference, const PerJoint<>& position,
                           const PerJoint<>& velocity, const PerJoint<>& feedforward,
                           double wanted_scale) {
    const double reach = scale_rate_ * period_;
    scale_ += std::clamp(wanted_scale - scale_, -reach, reach);
    const double damping_scale = std::sqrt(scale_);
    for (std::size_t i = 0; i < count_; ++i) {
      const ImpedanceGains& g = gains_[i];
      const double error = std::clamp(reference[i].p - position[i], -g.error_clip, g.error_clip);
      double torque = scale_ * g.stiffness * error +
                      damping_scale * damping_[i] * (reference[i].v - velocity[i]);
      if (std::isfinite(feedforward[i])) torque += feedforward[i];
      torque += g.repulsion_stiffness *
                (std::max(0.0, lower_[i] - position[i]) - std::max(0.0, position[i] - upper_[i]));
      torque = std::clamp(torque, -g.torque, g.torque);
      const double step = g.torque_rate * period_;
      torque_[i] += std::clamp(torque - torque_[i], -step, step);
    }
    return torque_;
  }

 private:
  std::size_t count_ = 0;
  double period_;
  double scale_rate_;
  double scale_ = 1.0;
  PerJoint<ImpedanceGains> gains_{};
  PerJoint<> damping_{};
  PerJoint<> lower_{};
  PerJoint<> upper_{};
  PerJoint<> torque_{};
};

}  // namespace labvla::control
