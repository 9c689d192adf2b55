// The reference of all joints: follows a path, stops, holds; every sample goes through the
// viability filter.
#pragma once

#include <algorithm>
#include <cmath>

#include "labvla_control/core/joint_stop.hpp"
#include "labvla_control/core/path.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

struct ReferenceTiming {
  double period = 0.001;
  double shortest_blend = 0.06;
  double longest_blend = 1.5;
};

class Reference {
 public:
  Reference(const PerJoint<AxisLimits>& limits, int joints, const ReferenceTiming& timing)
      : operating_(limits),
        limits_(limits),
        joints_(joints),
        timing_(timing),
        path_(limits_, joints) {
    // Between two samples a speed or a position can peak by this much above both.
    for (std::size_t i = 0; i < count(); ++i) {
      const double square = timing.period * timing.period / 8.0;
      operating_[i].velocity -= operating_[i].jerk * square;
      operating_[i].lower += operating_[i].acceleration * square;
      operating_[i].upper -= operating_[i].acceleration * square;
    }
    limits_ = operating_;
  }

  // The path points at this object's limits.
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  // Starts anew at rest. A joint found outside its operating range may stay there and come back,
  // but go no further.
  void anchor(const PerJoint<>& position) {
    for (std::size_t i = 0; i < count(); ++i) {
      motion_[i] = {position[i], 0.0, 0.0};
      limits_[i].lower = std::min(operating_[i].lower, position[i]);
      limits_[i].upper = std::max(operating_[i].upper, position[i]);
    }
    hold();
  }

  // Starts anew in motion and stops. What no operating limit can stop in time begins slower than it
  // is.
  void take_over(const PerJoint<>& position, const PerJoint<>& velocity) {
    anchor(position);
    for (std::size_t i = 0; i < count(); ++i)
      motion_[i] = slowed_to_viable(position[i], velocity[i], limits_[i]);
    joint_stop_.start(motion_, limits_, joints_);
    source_ = Source::kJointStop;
  }

  // Adopts `plan` at its time `time`, from whatever motion there is now.
  void follow(const Plan& plan, double time, double rate) {
    path_.take(plan, time, rate);
    path_.splice(motion_, timing_.shortest_blend, timing_.longest_blend);
    source_ = Source::kPath;
    fresh_ = false;
    ++splices_;
  }

  // Along the path where it is long enough, the limits allow it and it takes no longer than
  // `longest`, otherwise joint by joint in a common time. `use_whole_path` aims at the last row.
  void stop(bool use_whole_path, double longest) {
    if (source_ != Source::kPath || !path_.travelling()) return;
    fresh_ = false;
    joint_stop_.start(motion_, limits_, joints_);
    if (!use_whole_path) longest = std::min(longest, joint_stop_.longest_path_stop());
    if (!path_.stop(kShortestStop, longest, use_whole_path)) source_ = Source::kJointStop;
  }

  // How long the quickest stop of all joints together would take from here.
  double quickest_stop() const {
    JointStop probe;
    probe.start(motion_, limits_, joints_);
    return probe.duration();
  }

  void scale(double rate) {
    if (source_ != Source::kPath || !path_.travelling() || rate == path_.rate_target()) return;
    path_.scale_to(rate, kShortestStop, timing_.longest_blend);
    fresh_ = false;
  }

  // One cycle.
  void step() {
    const double dt = timing_.period;
    if (!fresh_) sample(0.0, now_);
    if (correction_demand() > kLargestCorrection) {
      recover();
      sample(0.0, now_);
    }
    CurveSample next;
    sample(dt, next);
    limited_ = false;
    for (std::size_t i = 0; i < count(); ++i) {
      const double jerk = (next.a[i] - now_.a[i]) / dt - correction(i);
      const FilteredStep step = viable_step(motion_[i], jerk, limits_[i], dt);
      motion_[i] = step.next;
      limited_ = limited_ || step.limited;
      narrow(i);
    }
    tick(dt);
    now_ = next;
    fresh_ = true;
    if (source_ == Source::kPath ? path_.arrived()
                                 : source_ == Source::kJointStop && joint_stop_.arrived()) {
      for (std::size_t i = 0; i < count(); ++i) target_[i] = {next.p[i], 0.0, 0.0};
      joint_stop_.hold(target_, joints_);
      source_ = Source::kHold;
    }
  }

  const PerJoint<Motion>& motion() const { return motion_; }
  const PerJoint<AxisLimits>& limits() const { return limits_; }
  const Path& path() const { return path_; }
  bool on_path() const { return source_ == Source::kPath; }
  bool limited() const { return limited_; }
  std::uint64_t splices() const { return splices_; }

  bool standing() const {
    if (source_ != Source::kHold) return false;
    for (std::size_t i = 0; i < count(); ++i) {
      if (std::abs(motion_[i].v) > kStandingSpeed) return false;
    }
    return true;
  }

  // Largest distance of any joint between plan and reference.
  double deviation() const {
    if (source_ != Source::kPath) return 0.0;
    CurveSample planned;
    path_.sample_plan(planned);
    double largest = 0.0;
    for (std::size_t i = 0; i < count(); ++i)
      largest = std::max(largest, std::abs(planned.p[i] - motion_[i].p));
    return largest;
  }

 private:
  enum class Source : std::uint8_t { kHold, kPath, kJointStop };

  static constexpr double kShortestStop = 0.04;   // [s]
  static constexpr double kStandingSpeed = 1e-4;  // [rad/s]
  static constexpr double kLargestCorrection =
      0.2;  // of the jerk limit; more means the path has been lost
  // Discrete pole of the state feedback that keeps the integrated reference on the path: quick
  // against the path, slow against rounding. The gains follow from (z - pole)^3 for a triple
  // integrator with jerk as input.
  static constexpr double kPole = 0.7;
  static constexpr double kC = 1.0 - kPole;
  static constexpr double kGainP = kC * kC * kC;
  static constexpr double kGainV = 3.0 * kC * kC - kC * kC * kC;
  static constexpr double kGainA = 3.0 * kC - 1.5 * kC * kC + kC * kC * kC / 3.0;

  std::size_t count() const { return static_cast<std::size_t>(joints_); }

  double correction(std::size_t i) const {
    const double dt = timing_.period;
    return (kGainP * (motion_[i].p - now_.p[i]) / dt + kGainV * (motion_[i].v - now_.v[i])) /
               (dt * dt) +
           kGainA * (motion_[i].a - now_.a[i]) / dt;
  }

  double correction_demand(std::size_t i) const {
    return std::abs(correction(i)) / limits_[i].jerk;
  }

  double correction_demand() const {
    double demand = 0.0;
    for (std::size_t i = 0; i < count(); ++i) demand = std::max(demand, correction_demand(i));
    return demand;
  }

  // The filter has pushed the reference off what was asked: ask again, from where the reference is.
  void recover() {
    if (source_ == Source::kPath && path_.travelling()) {
      path_.splice(motion_, timing_.shortest_blend, timing_.longest_blend);
    } else if (source_ == Source::kPath) {
      joint_stop_.start(motion_, limits_, joints_);
      source_ = Source::kJointStop;
    } else {
      for (std::size_t i = 0; i < count(); ++i) {
        if (correction_demand(i) > kLargestCorrection)
          joint_stop_.release(i, motion_[i], limits_[i]);
      }
      source_ = Source::kJointStop;
    }
  }

  void hold() {
    joint_stop_.hold(motion_, joints_);
    source_ = Source::kHold;
    fresh_ = false;
  }

  void sample(double ahead, CurveSample& out) const {
    if (source_ == Source::kPath) {
      path_.sample(ahead, out);
    } else {
      joint_stop_.sample(ahead, out);
    }
  }

  void tick(double dt) {
    if (source_ == Source::kPath) {
      path_.tick(dt);
    } else {
      joint_stop_.tick(dt);
    }
  }

  // Takes back what `anchor` granted as the joint returns; the quickest stop must stay inside.
  void narrow(std::size_t i) {
    AxisLimits& l = limits_[i];
    if (l.lower >= operating_[i].lower && l.upper <= operating_[i].upper) return;
    const Motion& m = motion_[i];
    const StopRange range = stop_range(m, StopProfile(m.v, m.a, l.acceleration, l.jerk));
    l.lower = std::max(l.lower, std::min(operating_[i].lower, range.lowest));
    l.upper = std::min(l.upper, std::max(operating_[i].upper, range.highest));
  }

  PerJoint<AxisLimits> operating_;
  PerJoint<AxisLimits> limits_;
  int joints_;
  ReferenceTiming timing_;
  Path path_;
  JointStop joint_stop_;
  Source source_ = Source::kHold;
  PerJoint<Motion> motion_{};
  PerJoint<Motion> target_{};
  CurveSample now_;
  bool fresh_ = false;
  bool limited_ = false;
  std::uint64_t splices_ = 0;
};

}  // namespace labvla::control
