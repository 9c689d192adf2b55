// The accepted path: a plan plus the decaying splice, travelled at a rate that slows down to stop.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "labvla_control/core/blend.hpp"
#include "labvla_control/core/plan.hpp"
#include "labvla_control/core/stop_profile.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// Rate of plan time: 1 runs as planned, 0 stands. Slope and curvature of a change are shaped like a
// trapezoid.
class Rate {
 public:
  Rate() = default;

  // Constant `value`, plan time counted from `time`.
  Rate(double time, double value) : base_(time), target_(value) {}

  // Over about `duration` to `target`, starting at plan time `time`.
  void ramp(double time, double target, double duration) {
    const Sample now = at_now();
    const double change = std::max(std::abs(now.value - target), 1e-6);
    constexpr double kCorner =
        0.15;  // of the duration, at each end, for the slope to build up and fall
    const double slope = std::max(change / (duration * (1.0 - kCorner)), std::abs(now.slope));
    profile_ = StopProfile(now.value - target, now.slope, slope,
                           change / (duration * duration * kCorner * (1.0 - kCorner)));
    base_ = time;
    target_ = target;
    elapsed_ = 0.0;
  }

  struct Sample {
    double time = 0.0;
    double value = 0.0;
    double slope = 0.0;
    double curvature = 0.0;
  };

  Sample at(double elapsed) const {
    const Motion m = profile_.at(elapsed);
    return {base_ + target_ * elapsed + m.p, target_ + m.v, m.a, profile_.curvature_at(elapsed)};
  }
  Sample ahead(double time) const { return at(elapsed_ + time); }
  Sample at_now() const { return at(elapsed_); }
  void tick(double dt) { elapsed_ += dt; }

  double duration() const { return profile_.duration(); }
  double target() const { return target_; }
  bool settled() const { return elapsed_ >= profile_.duration(); }
  // Plan time at the end of a ramp to zero.
  double final_time() const { return base_ + profile_.displacement(); }

 private:
  StopProfile profile_{0.0, 0.0, 1.0, 1.0};
  double base_ = 0.0;
  double target_ = 1.0;
  double elapsed_ = 0.0;
};

inline void scale_rate(CurveSample& s, const Rate::Sample& r, int joints) {
  const double r2 = r.value * r.value;
  for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
    s.j[i] = r.value * r2 * s.j[i] + 3.0 * r.value * r.slope * s.a[i] + r.curvature * s.v[i];
    s.a[i] = r2 * s.a[i] + r.slope * s.v[i];
    s.v[i] *= r.value;
  }
}

class Path {
 public:
  Path(const PerJoint<AxisLimits>& limits, int joints) : limits_(limits), joints_(joints) {}

  // Travel `plan` from plan time `time` on, with no splice: the caller adds one where the reference
  // differs.
  void take(const Plan& plan, double time, double rate) {
    plan_ = &plan;
    blend_.clear();
    rate_ = Rate(time, rate);
  }

  const Plan* plan() const { return plan_; }
  double time() const { return rate_.at_now().time; }
  double rate() const { return rate_.at_now().value; }
  double progress() const { return blend_.progress(time()); }
  bool travelling() const { return rate_.target() > 0.0; }
  bool arrived() const { return rate_.target() == 0.0 && rate_.settled(); }
  void tick(double dt) { rate_.tick(dt); }

  void sample_plan(CurveSample& out) const { plan_->sample(time(), out); }

  // Where the path is `ahead` seconds from now, and how it moves there.
  void sample(double ahead, CurveSample& out) const { sample_at(rate_.ahead(ahead), out); }

  // Blends from `reference` to the plan in the shortest time that keeps plan and blend together
  // inside the limits. When the plan leaves no room at any duration, the blend alone is kept inside
  // and the filter does the rest.
  void splice(const PerJoint<Motion>& reference, double shortest, double longest) {
    const Rate::Sample now = rate_.at_now();
    const double rate = std::max(now.value, kSlowestSplice);
    CurveSample planned;
    plan_->sample(now.time, planned);
    PerJoint<Motion> difference{};
    double alone = shortest;
    PerJoint<AxisLimits> room = limits_;
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints_); ++i) {
      const AxisLimits& l = limits_[i];
      Motion& d = difference[i];
      d.p = reference[i].p - planned.p[i];
      d.v = reference[i].v / rate - planned.v[i];
      d.a = (reference[i].a - now.slope * reference[i].v / rate) / (rate * rate) - planned.a[i];
      // Some acceleration is kept back: between the instants that are looked at there may be more.
      room[i].acceleration = std::max(kSplicedShare * l.acceleration, std::abs(reference[i].a));
      // A pure displacement d peaks at 5.77 |d| / T^2 in acceleration and 60 |d| / T^3 in jerk.
      const double size = std::abs(d.p);
      alone = std::max({alone, rate * std::sqrt(5.77 * size / l.acceleration),
                        rate * std::cbrt(60.0 * size / l.jerk)});
    }
    const auto fits = [&](double duration) {
      blend_.start(now.time, duration, difference, joints_);
      constexpr std::array<double, 13> kInstants{0.0,  0.06, 0.13, 0.2,  0.28, 0.37,      0.47,
                                                 0.57, 0.67, 0.76, 0.84, 0.92, 1.0 - 1e-9};
      for (const double instant : kInstants) {
        CurveSample s;
        sample_at({now.time + instant * duration, rate, 0.0, 0.0}, s);
        if (!inside(s, room, joints_)) return false;
      }
      return true;
    };
    double duration = smallest_time(std::max(shortest, 0.8 * alone), longest, fits);
    if (duration >= longest) duration = std::min(longest, 1.5 * alone);
    blend_.start(now.time, duration, difference, joints_);
  }

  // Slows down along the path in the shortest time that keeps the limits. False, and nothing
  // changed, when the path ahead is too short or a limit would break. `whole` asks to end on the
  // last row if that can be done: an end of data.
  bool stop(double shortest, double longest, bool whole) {
    const Rate before = rate_;
    const double now = time();
    const double room = plan_->last_row() - now;
    const auto fits = [&](double duration) {
      rate_ = before;
      rate_.ramp(now, 0.0, duration);
      return rate_.final_time() <= plan_->end() + kTimeRounding && slow_down_fits();
    };
    const double exact = 2.0 * room / std::max(before.at_now().value, kSlowestSplice);
    if (whole && exact >= shortest && exact <= longest && fits(exact)) return true;
    const double duration = smallest_time(shortest, longest, fits);
    if (duration < longest && fits(duration)) return true;
    rate_ = before;
    return false;
  }

  // Follows the robot's own speed scaling; the change takes as long as the limits need.
  void scale_to(double target, double shortest, double longest) {
    const Rate before = rate_;
    const double now = time();
    const auto fits = [&](double duration) {
      rate_ = before;
      rate_.ramp(now, target, duration);
      return slow_down_fits();
    };
    fits(smallest_time(shortest, longest, fits));
  }

  double rate_target() const { return rate_.target(); }
  double stop_duration() const { return rate_.duration(); }

 private:
  static constexpr double kSlowestSplice = 0.05;
  static constexpr double kSplicedShare = 0.97;
  static constexpr double kTimeRounding = 1e-9;

  void sample_at(const Rate::Sample& r, CurveSample& out) const {
    plan_->sample(r.time, out);
    blend_.add_to(out, r.time, joints_);
    scale_rate(out, r, joints_);
  }

  bool slow_down_fits() const {
    constexpr std::array<double, 10> kInstants{0.0,  0.07, 0.14, 0.25, 0.4,
                                               0.55, 0.7,  0.84, 0.92, 0.99};
    for (const double instant : kInstants) {
      CurveSample s;
      sample_at(rate_.at(instant * rate_.duration()), s);
      if (!inside(s, limits_, joints_)) return false;
    }
    return true;
  }

  const PerJoint<AxisLimits>& limits_;
  int joints_;
  const Plan* plan_ = nullptr;
  Blend blend_;
  Rate rate_;
};

}  // namespace labvla::control
