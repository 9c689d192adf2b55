// The quickest way to bring a velocity and its slope to zero under bounds on slope and curvature.
//
// Used for a joint (velocity, acceleration, jerk) and for the rate at which plan time runs (rate,
// slope, curvature).
#pragma once

#include <algorithm>
#include <cmath>

#include "labvla_control/core/types.hpp"

namespace labvla::control {

// Time-optimal transfer (v, a) -> (0, 0) with |a| <= acceleration and |jerk| <= jerk: at most three
// phases of constant jerk -J, 0, +J, in the direction against the velocity that would remain if `a`
// alone were brought to zero.
class StopProfile {
 public:
  StopProfile() = default;

  StopProfile(double v, double a, double acceleration, double jerk) : jerk_(jerk) {
    const double coast = v + a * std::abs(a) / (2.0 * jerk);
    sign_ = coast < 0.0 ? -1.0 : 1.0;
    start_ = {0.0, sign_ * v, sign_ * a};
    coast_ = sign_ * coast;
    const double squared = std::max(0.0, jerk * start_.v + start_.a * start_.a / 2.0);
    const double peak = std::min(std::sqrt(squared), acceleration);
    t1_ = std::max(0.0, (start_.a + peak) / jerk);
    t3_ = peak / jerk;
    t2_ = peak < acceleration ? 0.0 : std::max(0.0, (squared / jerk - peak * peak / jerk) / peak);
    after_first_ = advance(start_, -jerk, t1_);
    after_second_ = advance(after_first_, 0.0, t2_);
    end_ = advance(after_second_, jerk, t3_).p;
  }

  double duration() const { return t1_ + t2_ + t3_; }

  // Relative to the starting position.
  Motion at(double t) const {
    Motion m;
    if (t <= t1_) {
      m = advance(start_, -jerk_, t);
    } else if (t <= t1_ + t2_) {
      m = advance(after_first_, 0.0, t - t1_);
    } else if (t < duration()) {
      m = advance(after_second_, jerk_, t - t1_ - t2_);
    } else {
      m = {end_, 0.0, 0.0};
    }
    return {sign_ * m.p, sign_ * m.v, sign_ * m.a};
  }

  double curvature_at(double t) const {
    if (t < t1_) return -sign_ * jerk_;
    if (t < t1_ + t2_ || t >= duration()) return 0.0;
    return sign_ * jerk_;
  }

  double displacement() const { return sign_ * end_; }

  // Position where the velocity changes sign on the way (0 when it does not): the far end of a
  // reversal.
  double reversal() const {
    if (start_.v >= 0.0) return 0.0;
    const double root = std::sqrt(std::max(0.0, start_.a * start_.a + 2.0 * jerk_ * start_.v));
    return sign_ * advance(start_, -jerk_, (start_.a - root) / jerk_).p;
  }

  // Largest speed on the way, the start included.
  double peak_speed() const { return std::max(std::abs(start_.v), start_.a > 0.0 ? coast_ : 0.0); }

 private:
  double jerk_ = 1.0;
  double sign_ = 1.0;
  double coast_ = 0.0;
  double t1_ = 0.0;
  double t2_ = 0.0;
  double t3_ = 0.0;
  double end_ = 0.0;
  Motion start_;
  Motion after_first_;
  Motion after_second_;
};

}  // namespace labvla::control
