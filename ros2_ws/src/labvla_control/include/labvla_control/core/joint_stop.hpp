// A stop that needs no path: all joints come to rest together, as fast as the limits of the slowest
// one allow.
#pragma once

#include <algorithm>
#include <cmath>

#include "labvla_control/core/plan.hpp"
#include "labvla_control/core/settling.hpp"
#include "labvla_control/core/stop_profile.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// First the accelerations go to zero, in a time common to all joints; then the velocities shrink by
// one common factor, so that the rest of the way is a straight line in joint space. The factor
// follows the quickest stop under the tightest ratio of limit to velocity: closed form, nothing to
// search.
class JointStop {
 public:
  void start(const PerJoint<Motion>& from, const PerJoint<AxisLimits>& limits, int joints) {
    joints_ = joints;
    elapsed_ = 0.0;
    alone_.fill(false);
    settling_ = Settling(from, limits, joints, kShare);
    constexpr double kStanding = 1e-6;
    double acceleration = limits[0].acceleration / kStanding;
    double jerk = limits[0].jerk / kStanding;
    for (std::size_t i = 0; i < count(); ++i) {
      const double speed = std::max(std::abs(settling_.settled(i).v), kStanding);
      acceleration = std::min(acceleration, kShare * limits[i].acceleration / speed);
      jerk = std::min(jerk, kShare * limits[i].jerk / speed);
    }
    factor_ = StopProfile(1.0, 0.0, acceleration, jerk);
    last_end_ = settling_.duration() + factor_.duration();
  }

  void hold(const PerJoint<Motion>& at, int joints) {
    joints_ = joints;
    alone_.fill(false);
    factor_ = StopProfile(0.0, 0.0, 1.0, 1.0);
    elapsed_ = last_end_ = 0.0;
    PerJoint<Motion> still{};
    for (std::size_t i = 0; i < count(); ++i) still[i].p = at[i].p;
    settling_ = Settling(still);
  }

  // Joint `i` could not stay on the common stop: it goes on alone with the quickest stop from `m`,
  // which its limits always allow. The others are not disturbed.
  void release(std::size_t i, const Motion& m, const AxisLimits& limits) {
    alone_[i] = true;
    released_[i] = elapsed_;
    released_at_[i] = m.p;
    quickest_[i] = StopProfile(m.v, m.a, limits.acceleration, limits.jerk);
    last_end_ = std::max(last_end_, elapsed_ + quickest_[i].duration());
  }

  void tick(double dt) { elapsed_ = std::min(elapsed_ + dt, duration()); }
  bool arrived() const { return elapsed_ >= duration(); }
  double duration() const { return last_end_; }
  // What staying on the path may cost in time; a stop that takes longer had better leave it.
  double longest_path_stop() const { return std::max(0.15, 1.5 * duration()); }

  void sample(double ahead, CurveSample& out) const {
    const double t = elapsed_ + ahead;
    const Motion factor = factor_.at(std::max(0.0, t - settling_.duration()));
    for (std::size_t i = 0; i < count(); ++i) {
      const Motion m = alone_[i] ? alone(i, t - released_[i]) : together(i, t, factor);
      out.p[i] = m.p;
      out.v[i] = m.v;
      out.a[i] = m.a;
    }
  }

 private:
  static constexpr double kShare =
      0.97;  // of the limits; the rest is for the reference to stay on it

  std::size_t count() const { return static_cast<std::size_t>(joints_); }
  Motion together(std::size_t i, double t, const Motion& factor) const {
    if (t < settling_.duration()) return settling_.at(i, t);
    const Motion& end = settling_.settled(i);
    return {end.p + end.v * factor.p, end.v * factor.v, end.v * factor.a};
  }

  Motion alone(std::size_t i, double t) const {
    const Motion moved = quickest_[i].at(t);
    return {released_at_[i] + moved.p, moved.v, moved.a};
  }

  Settling settling_;
  int joints_ = 0;
  double elapsed_ = 0.0;
  double last_end_ = 0.0;
  PerJoint<bool> alone_{};
  PerJoint<> released_{};
  PerJoint<> released_at_{};
  PerJoint<StopProfile> quickest_{};
  StopProfile factor_{0.0, 0.0, 1.0, 1.0};
};

}  // namespace labvla::control
