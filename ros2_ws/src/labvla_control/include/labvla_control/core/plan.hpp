// An accepted chunk: a C2 curve per joint over evenly spaced rows and a little beyond, the gripper
// rows, and when a stop must begin.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "labvla_control/core/settling.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

// Values and the first three derivatives of every joint at one instant.
struct CurveSample {
  PerJoint<> p{};
  PerJoint<> v{};
  PerJoint<> a{};
  PerJoint<> j{};
};

struct Plan {
  double start = 0.0;  // [s, update time] of row 0
  double row_period = 0.0;
  int rows = 0;
  int joints = 0;
  std::array<PerJoint<>, kMaxRows> value;
  std::array<PerJoint<>, kMaxRows> curvature;
  Settling run_out;      // how the motion of the last row goes on
  double overrun = 0.0;  // [s] of it that may be travelled

  int grippers = 0;
  std::array<bool, kMaxGrippers> gripper_known{};  // the set-points of the others stay
  std::array<PerGripper, kMaxRows> gripper;

  double stop_begin = 0.0;   // [s, plan time] when to slow down because the data end
  double blind_begin = 0.0;  // [s since accepted] when to slow down if nothing newer is accepted
  double accepted = 0.0;     // [s, update time]
  std::uint64_t activation = 0;  // whose update time the plan is in
  double row_change = 0.0;       // [rad] largest change of a row that the limits asked for
  std::uint64_t session = 0;
  std::uint64_t sequence = 0;

  double last_row() const { return start + row_period * (rows - 1); }
  double end() const { return last_row() + overrun; }

  // Before the first row the curve is continued at rest there: a plan is only executed from its
  // first row on, so this serves checks that look elsewhere.
  void sample(double time, CurveSample& out) const {
    if (time > last_row()) return sample_run_out(time - last_row(), out);
    const double position = (time - start) / row_period;
    const double inside = std::clamp(position, 0.0, static_cast<double>(rows - 1));
    const std::size_t k = static_cast<std::size_t>(std::min(static_cast<int>(inside), rows - 2));
    const double u = inside - static_cast<double>(k);
    const double w = 1.0 - u;
    const double h = row_period;
    const double c0 = h * h / 6.0 * w * (w * w - 1.0);
    const double c1 = h * h / 6.0 * u * (u * u - 1.0);
    const double d0 = h / 6.0 * (1.0 - 3.0 * w * w);
    const double d1 = h / 6.0 * (3.0 * u * u - 1.0);
    const PerJoint<>& x0 = value[k];
    const PerJoint<>& x1 = value[k + 1];
    const PerJoint<>& g0 = curvature[k];
    const PerJoint<>& g1 = curvature[k + 1];
    const double moving = position >= 0.0 ? 1.0 : 0.0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
      out.p[i] = w * x0[i] + u * x1[i] + c0 * g0[i] + c1 * g1[i];
      out.v[i] = moving * ((x1[i] - x0[i]) / h + d0 * g0[i] + d1 * g1[i]);
      out.a[i] = moving * (w * g0[i] + u * g1[i]);
      out.j[i] = moving * (g1[i] - g0[i]) / h;
    }
  }

  // The newest gripper row whose time has come.
  const PerGripper& gripper_at(double time) const {
    const double position =
        std::clamp((time - start) / row_period, 0.0, static_cast<double>(rows - 1));
    return gripper[static_cast<std::size_t>(position + 1e-9)];
  }

 private:
  void sample_run_out(double beyond, CurveSample& out) const {
    for (std::size_t i = 0; i < static_cast<std::size_t>(joints); ++i) {
      const Motion m = run_out.at(i, beyond);
      out.p[i] = m.p;
      out.v[i] = m.v;
      out.a[i] = m.a;
      out.j[i] = run_out.jerk_at(i, beyond);
    }
  }
};

}  // namespace labvla::control
