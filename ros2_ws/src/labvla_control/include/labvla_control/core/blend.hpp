// The splice: a decaying difference between where the reference is and where the new plan wants it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "labvla_control/core/plan.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// Quintic that takes a difference (p, v, a) to zero with zero slope and curvature over a duration
// common to all joints. What is left of it after any time is again the quintic of what is left, so
// a splice in mid-blend loses nothing.
class Blend {
 public:
  void clear() { active_ = false; }

  void start(double time, double duration, const PerJoint<Motion>& difference, int joints) {
    start_ = time;
    duration_ = duration;
    active_ = true;
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
      const double b0 = difference[i].p;
      const double b1 = difference[i].v * duration;
      const double b2 = difference[i].a * duration * duration / 2.0;
      coefficient_[0][i] = b0;
      coefficient_[1][i] = b1;
      coefficient_[2][i] = b2;
      coefficient_[3][i] = -10.0 * b0 - 6.0 * b1 - 3.0 * b2;
      coefficient_[4][i] = 15.0 * b0 + 8.0 * b1 + 3.0 * b2;
      coefficient_[5][i] = -6.0 * b0 - 3.0 * b1 - b2;
    }
  }

  // 0 at a splice, 1 when the plan is followed exactly.
  double progress(double time) const {
    return active_ ? std::clamp((time - start_) / duration_, 0.0, 1.0) : 1.0;
  }

  void add_to(CurveSample& sample, double time, int joints) const {
    const double t = progress(time);
    if (t >= 1.0) return;
    const double r = 1.0 / duration_;
    const auto& c = coefficient_;
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
      sample.p[i] +=
          c[0][i] + t * (c[1][i] + t * (c[2][i] + t * (c[3][i] + t * (c[4][i] + t * c[5][i]))));
      sample.v[i] +=
          r * (c[1][i] +
               t * (2.0 * c[2][i] + t * (3.0 * c[3][i] + t * (4.0 * c[4][i] + t * 5.0 * c[5][i]))));
      sample.a[i] +=
          r * r * (2.0 * c[2][i] + t * (6.0 * c[3][i] + t * (12.0 * c[4][i] + t * 20.0 * c[5][i])));
      sample.j[i] += r * r * r * (6.0 * c[3][i] + t * (24.0 * c[4][i] + t * 60.0 * c[5][i]));
    }
  }

 private:
  bool active_ = false;
  double start_ = 0.0;
  double duration_ = 1.0;
  std::array<PerJoint<>, 6> coefficient_{};
};

// Whether v, a and jerk of a sample that runs at constant rate 1 are inside the limits. Written
// without early exit in the inner loop so that it stays a straight line of arithmetic.
inline bool inside(const CurveSample& s, const PerJoint<AxisLimits>& limits, int joints) {
  double demand = 0.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
    demand =
        std::max({demand, std::abs(s.v[i]) - limits[i].velocity,
                  std::abs(s.a[i]) - limits[i].acceleration, std::abs(s.j[i]) - limits[i].jerk});
  }
  return demand <= 0.0;
}

// Smallest time, to 2 %, that passes `good`: doubling upwards from `from`, then bisection.
// `longest` when none does.
template <typename Good>
double smallest_time(double from, double longest, Good&& good) {
  constexpr double kGrowth = 1.35;
  constexpr int kBisections = 4;
  double refused = 0.0;
  double accepted = from;
  while (!good(accepted)) {
    refused = accepted;
    accepted *= kGrowth;
    if (accepted > longest) return longest;
  }
  if (refused == 0.0) return accepted;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (refused + accepted) / 2.0;
    (good(middle) ? accepted : refused) = middle;
  }
  return accepted;
}

}  // namespace labvla::control
