// From rows to a curve: the smoothest change of the rows that the limits accept, and a C2 cubic
// through the result.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "labvla_control/core/smoother.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// Second derivatives of the cubic spline through evenly spaced values. The outermost intervals are
// parabolas (their curvature is constant): "natural" ends would force the acceleration to zero and
// cost jerk on every chunk.
inline void spline_curvature(const Column& x, int rows, double h, Column& curvature) {
  const std::size_t n = static_cast<std::size_t>(rows);
  if (n < 3) {
    curvature.fill(0.0);
    return;
  }
  Column factor;
  const auto diagonal = [&](std::size_t i) {
    return 4.0 + (i == 1 ? 1.0 : 0.0) + (i == n - 2 ? 1.0 : 0.0);
  };
  for (std::size_t i = 1; i + 1 < n; ++i) {
    const double right = 6.0 * (x[i + 1] - 2.0 * x[i] + x[i - 1]) / (h * h);
    const double pivot = diagonal(i) - (i > 1 ? factor[i - 1] : 0.0);
    factor[i] = 1.0 / pivot;
    curvature[i] = (right - (i > 1 ? curvature[i - 1] : 0.0)) * factor[i];
  }
  for (std::size_t i = n - 2; i-- > 1;) curvature[i] -= factor[i] * curvature[i + 1];
  curvature[0] = curvature[1];
  curvature[n - 1] = curvature[n - 2];
}

// Largest use of a limit by the curve from row `first` on, 1 = exactly at the limit.
inline double curve_demand(const Column& x, const Column& curvature, int rows, int first, double h,
                           const AxisLimits& limits) {
  double demand = 0.0;
  for (std::size_t k = static_cast<std::size_t>(first); k + 1 < static_cast<std::size_t>(rows);
       ++k) {
    const double a0 = curvature[k];
    const double a1 = curvature[k + 1];
    const double v0 = (x[k + 1] - x[k]) / h - h * (2.0 * a0 + a1) / 6.0;
    const double v1 = v0 + h * (a0 + a1) / 2.0;
    double speed = std::max(std::abs(v0), std::abs(v1));
    if (a0 * a1 < 0.0) speed = std::max(speed, std::abs(v0 + h * a0 * a0 / (2.0 * (a0 - a1))));
    demand = std::max({demand, speed / limits.velocity,
                       std::max(std::abs(a0), std::abs(a1)) / limits.acceleration,
                       std::abs(a1 - a0) / (h * limits.jerk)});
  }
  return demand;
}

// Makes one joint's rows feasible; rows that are feasible already are not touched. One object
// serves all joints of a chunk.
class RowFitter {
 public:
  // `first` is the first row that matters; limits before it need not be kept.
  void begin(int rows, int first, double row_period) {
    rows_ = rows;
    first_ = first;
    h_ = row_period;
    ladder_.reset(rows);
  }

  // Fits `x` in place, gives the curve's second derivatives, returns the largest change of a row.
  //
  // Positions are clamped. What is still too fast is smoothed, or slowed to the velocity limit row
  // by row and then smoothed, whichever ends nearer to what was asked: the first suits noise, the
  // second a motion that is too large.
  double fit(Column& x, Column& curvature, const AxisLimits& limits) {
    const Column asked = x;
    for (std::size_t k = 0; k < count(); ++k) x[k] = std::clamp(x[k], limits.lower, limits.upper);
    if (demand(x, curvature, limits) > 1.0) {
      Column slowed = x;
      const bool differs = slow_down(slowed, limits.velocity * h_);
      smooth(x, curvature, limits);
      if (differs) {
        Column slowed_curvature;
        smooth(slowed, slowed_curvature, limits);
        if (distance(slowed, asked) < distance(x, asked)) {
          x = slowed;
          curvature = slowed_curvature;
        }
      }
    }
    double change = 0.0;
    for (std::size_t k = begin_row(); k < count(); ++k) {
      change = std::max(change, std::abs(x[k] - asked[k]));
    }
    return change;
  }

 private:
  std::size_t count() const { return static_cast<std::size_t>(rows_); }
  std::size_t begin_row() const { return static_cast<std::size_t>(first_); }

  double demand(const Column& x, Column& curvature, const AxisLimits& limits) const {
    spline_curvature(x, rows_, h_, curvature);
    return curve_demand(x, curvature, rows_, first_, h_, limits);
  }

  // No row further from its predecessor than `reach`.
  bool slow_down(Column& x, double reach) const {
    bool changed = false;
    for (std::size_t k = begin_row() + 1; k < count(); ++k) {
      const double bounded = std::clamp(x[k], x[k - 1] - reach, x[k - 1] + reach);
      changed = changed || bounded != x[k];
      x[k] = bounded;
    }
    return changed;
  }

  double distance(const Column& a, const Column& b) const {
    double sum = 0.0;
    for (std::size_t k = begin_row(); k < count(); ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum;
  }

  // Among the rungs that bring the curve inside the limits, generalised cross-validation chooses:
  // where the excess was noise it removes the noise, where it was meant it stays as near as the
  // limits allow. If even a parabola is too fast, the rows shrink towards the first one, which
  // always ends inside.
  void smooth(Column& x, Column& curvature, const AxisLimits& limits) {
    const Column rough = x;
    const auto try_rung = [&](int rung) {
      x = rough;
      ladder_.rung(rung).solve(x);
      return demand(x, curvature, limits);
    };
    int best = SmoothingLadder::kRungs;
    double least = std::numeric_limits<double>::infinity();
    for (int rung = 1; rung <= SmoothingLadder::kRungs; ++rung) {
      if (try_rung(rung) > 1.0) continue;
      const double left = static_cast<double>(rows_) - ladder_.rung(rung).freedom();
      const double error = distance(x, rough) / (left * left);
      if (error < least) best = rung;
      least = std::min(least, error);
    }
    const double excess = try_rung(best);
    if (excess <= 1.0) return;
    const double anchor = x[begin_row()];
    for (std::size_t k = 0; k < count(); ++k) {
      x[k] = anchor + (x[k] - anchor) / excess;
      curvature[k] /= excess;
    }
  }

  int rows_ = 0;
  int first_ = 0;
  double h_ = 1.0;
  SmoothingLadder ladder_;
};

}  // namespace labvla::control
