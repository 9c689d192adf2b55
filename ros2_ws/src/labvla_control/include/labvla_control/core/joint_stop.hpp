// A stop that needs no path: every joint from its motion to rest over one common duration.
#pragma once

#include <algorithm>
#include <cmath>

#include "labvla_control/core/blend.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// Cubic velocity from (v, a) to (0, 0); acceleration is a parabola and jerk a line, so those limits
// are checked exactly.
class JointStop {
 public:
  void start(const PerJoint<Motion>& from, const PerJoint<AxisLimits>& limits, int joints,
             double shortest, double longest) {
    from_ = from;
    joints_ = joints;
    elapsed_ = 0.0;
    duration_ = smallest_time(shortest, longest, [&](double duration) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
        if (!fits(from[i], limits[i], duration)) return false;
      }
      return true;
    });
  }

  void hold(const PerJoint<Motion>& at, int joints) {
    joints_ = joints;
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i)
      from_[i] = {at[i].p, 0.0, 0.0};
    duration_ = 1.0;
    elapsed_ = 1.0;
  }

  void tick(double dt) { elapsed_ = std::min(elapsed_ + dt, duration_); }
  bool arrived() const { return elapsed_ >= duration_; }
  double duration() const { return duration_; }

  void sample(double ahead, CurveSample& out) const {
    const double T = duration_;
    const double t = std::min(1.0, (elapsed_ + ahead) / T);
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints_); ++i) {
      const Motion& m = from_[i];
      out.p[i] = m.p + T * m.v * t * (1.0 + t * t * (-1.0 + t / 2.0)) +
                 T * T * m.a * t * t * (1.0 / 2.0 + t * (-2.0 / 3.0 + t / 4.0));
      out.v[i] = m.v * (1.0 + t * t * (-3.0 + 2.0 * t)) + T * m.a * t * (1.0 + t * (-2.0 + t));
      out.a[i] = 6.0 * m.v / T * t * (t - 1.0) + m.a * (1.0 + t * (-4.0 + 3.0 * t));
      out.j[i] = t < 1.0 ? 6.0 * m.v / (T * T) * (2.0 * t - 1.0) + m.a / T * (6.0 * t - 4.0) : 0.0;
    }
  }

 private:
  static bool fits(const Motion& m, const AxisLimits& limits, double T) {
    const double jerk_first = std::abs(6.0 * m.v / (T * T) + 4.0 * m.a / T);
    const double jerk_last = std::abs(6.0 * m.v / (T * T) + 2.0 * m.a / T);
    if (std::max(jerk_first, jerk_last) > limits.jerk) return false;
    const double linear = -6.0 * m.v / T - 4.0 * m.a;
    const double square = 6.0 * m.v / T + 3.0 * m.a;
    // An acceleration still rising at the start lifts the speed before it falls.
    for (const double t : {0.15, 0.3, 0.5}) {
      const double v =
          m.v * (1.0 + t * t * (-3.0 + 2.0 * t)) + T * m.a * t * (1.0 + t * (-2.0 + t));
      if (std::abs(v) > limits.velocity) return false;
    }
    const double extreme = square == 0.0 ? 0.0 : -linear / (2.0 * square);
    if (extreme <= 0.0 || extreme >= 1.0) return true;
    return std::abs(m.a + extreme * (linear + extreme * square)) <= limits.acceleration;
  }

  PerJoint<Motion> from_{};
  int joints_ = 0;
  double duration_ = 1.0;
  double elapsed_ = 1.0;
};

}  // namespace labvla::control
