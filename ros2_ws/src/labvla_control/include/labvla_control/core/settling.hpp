// How all joints of a motion stop accelerating, after which they go on as straight as a line in
// joint space.
#pragma once

#include <algorithm>
#include <cmath>

#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// Constant jerk until every acceleration is zero, in a time common to all joints; constant velocity
// from then on.
class Settling {
 public:
  Settling() = default;

  // Nothing to settle: `at` moves on or stands as it does.
  explicit Settling(const PerJoint<Motion>& steady) : from_(steady), settled_(steady) {}

  // In the shortest time that keeps `share` of every jerk limit.
  Settling(const PerJoint<Motion>& from, const PerJoint<AxisLimits>& limits, int joints,
           double share)
      : from_(from) {
    const std::size_t count = static_cast<std::size_t>(joints);
    for (std::size_t i = 0; i < count; ++i)
      duration_ = std::max(duration_, std::abs(from[i].a) / (share * limits[i].jerk));
    for (std::size_t i = 0; i < count; ++i) settled_[i] = advance(from[i], jerk(i), duration_);
  }

  double duration() const { return duration_; }
  const Motion& settled(std::size_t i) const { return settled_[i]; }
  double jerk_at(std::size_t i, double t) const { return t < duration_ ? jerk(i) : 0.0; }

  Motion at(std::size_t i, double t) const {
    if (t < duration_) return advance(from_[i], jerk(i), t);
    return {settled_[i].p + (t - duration_) * settled_[i].v, settled_[i].v, 0.0};
  }

 private:
  double jerk(std::size_t i) const { return duration_ > 0.0 ? -from_[i].a / duration_ : 0.0; }

  PerJoint<Motion> from_{};
  PerJoint<Motion> settled_{};
  double duration_ = 0.0;
};

}  // namespace labvla::control
