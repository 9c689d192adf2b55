// The hard guarantee: whatever is asked, the next state keeps the limits and leaves a stop that
// keeps them too.
#pragma once

#include <algorithm>
#include <cmath>

#include "labvla_control/core/stop_profile.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

struct AxisLimits {
  double lower = 0.0;
  double upper = 0.0;
  double velocity = 0.0;
  double acceleration = 0.0;
  double jerk = 0.0;
};

// Range of positions that the quickest stop from `m` covers.
struct StopRange {
  double lowest = 0.0;
  double highest = 0.0;
};

inline StopRange stop_range(const Motion& m, const StopProfile& stop) {
  const double end = stop.displacement();
  const double reversal = stop.reversal();
  return {m.p + std::min({0.0, end, reversal}), m.p + std::max({0.0, end, reversal})};
}

// A state is viable when the quickest stop from it keeps position, velocity and acceleration
// limits. Every state on that stop is then viable as well, because the rest of a quickest stop is
// the quickest stop of where it has got to.
inline bool viable(const Motion& m, const AxisLimits& limits) {
  // Rounding only: far below what any encoder resolves, far above what one cycle can accumulate.
  constexpr double kRounding = 1e-12;
  if (!(std::abs(m.a) <= limits.acceleration + kRounding)) return false;
  const StopProfile stop(m.v, m.a, limits.acceleration, limits.jerk);
  if (!(stop.peak_speed() <= limits.velocity + kRounding)) return false;
  const StopRange range = stop_range(m, stop);
  return range.lowest >= limits.lower - kRounding && range.highest <= limits.upper + kRounding;
}

// The fastest viable motion at `p` whose velocity is a share of `v`. Standing there must be viable.
inline Motion slowed_to_viable(double p, double v, const AxisLimits& limits) {
  Motion m{p, std::clamp(v, -limits.velocity, limits.velocity), 0.0};
  if (viable(m, limits)) return m;
  double refused = m.v;
  m.v = 0.0;
  constexpr int kBisections = 12;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (m.v + refused) / 2.0;
    (viable({p, middle, 0.0}, limits) ? m.v : refused) = middle;
  }
  return m;
}

struct FilteredStep {
  Motion next;
  bool limited = false;
};

// One cycle with the admissible jerk nearest to `jerk`. Between constant jerk and the quickest stop
// every convex combination is a motion that starts in `m` and respects jerk and acceleration
// limits, and the stop itself is always viable: so a viable combination exists, and bisection finds
// the one closest to what was asked.
inline FilteredStep viable_step(const Motion& m, double jerk, const AxisLimits& limits, double dt) {
  const double lowest = std::clamp((-limits.acceleration - m.a) / dt, -limits.jerk, 0.0);
  const double highest = std::clamp((limits.acceleration - m.a) / dt, 0.0, limits.jerk);
  const double bounded = std::isfinite(jerk) ? std::clamp(jerk, lowest, highest) : 0.0;
  const Motion wanted = advance(m, bounded, dt);
  if (viable(wanted, limits)) return {wanted, bounded != jerk};
  const Motion moved = StopProfile(m.v, m.a, limits.acceleration, limits.jerk).at(dt);
  const Motion braked{m.p + moved.p, moved.v, moved.a};
  double refused = 0.0;
  double accepted = 1.0;
  constexpr int kBisections = 12;
  for (int i = 0; i < kBisections; ++i) {
    const double share = (refused + accepted) / 2.0;
    (viable(mix(wanted, braked, share), limits) ? accepted : refused) = share;
  }
  return {mix(wanted, braked, accepted), true};
}

}  // namespace labvla::control
