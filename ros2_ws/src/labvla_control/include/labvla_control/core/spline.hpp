// From rows to a curve: the smoothest change of the rows that the limits accept, and a C2 cubic
// through the result.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

using Column = std::array<double, kMaxRows>;

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

// Penalised least squares on rows: minimises |x - y|^2 + penalty * |D x|^2, D the third difference.
// Third, because the result is then blind to position, velocity and acceleration and takes only
// jerk away: little lag-free bias.
class RowSmoother {
 public:
  RowSmoother(int rows, double penalty) : rows_(static_cast<std::size_t>(rows)) {
    const std::size_t order = std::min<std::size_t>(3, rows_ - 1);
    constexpr std::array<std::array<double, 4>, 4> kBinomial{
        {{1, 0, 0, 0}, {-1, 1, 0, 0}, {1, -2, 1, 0}, {-1, 3, -3, 1}}};
    const auto& d = kBinomial[order];
    for (auto& band : band_) band.fill(0.0);
    band_[0].fill(1.0);
    for (std::size_t k = 0; k + order < rows_; ++k) {
      for (std::size_t i = 0; i <= order; ++i) {
        for (std::size_t j = 0; j <= i; ++j) band_[i - j][k + i] += penalty * d[i] * d[j];
      }
    }
    factorise();
  }

  // In place.
  void solve(Column& x) const {
    for (std::size_t i = 0; i < rows_; ++i) {
      for (std::size_t k = 1; k <= std::min<std::size_t>(3, i); ++k) x[i] -= band_[k][i] * x[i - k];
    }
    for (std::size_t i = 0; i < rows_; ++i) x[i] /= band_[0][i];
    for (std::size_t i = rows_; i-- > 0;) {
      for (std::size_t k = 1; k <= 3 && i + k < rows_; ++k) x[i] -= band_[k][i + k] * x[i + k];
    }
  }

 private:
  // L D L^T; band_[k][i] holds element (i, i - k).
  void factorise() {
    for (std::size_t i = 0; i < rows_; ++i) {
      for (std::size_t k = std::min<std::size_t>(3, i); k > 0; --k) {
        const std::size_t j = i - k;
        for (std::size_t m = 1; k + m <= std::min<std::size_t>(3, i); ++m) {
          band_[k][i] -= band_[k + m][i] * band_[m][j] * band_[0][j - m];
        }
        band_[k][i] /= band_[0][j];
      }
      for (std::size_t k = 1; k <= std::min<std::size_t>(3, i); ++k) {
        band_[0][i] -= band_[k][i] * band_[k][i] * band_[0][i - k];
      }
    }
  }

  std::size_t rows_;
  std::array<Column, 4> band_;
};

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

// Makes one joint's rows feasible in place, with as little change as the ladder of penalties
// allows, and returns the largest change of a row from `first` on.
//
// Positions are clamped, then no row may be further from its predecessor than the velocity limit
// permits, then noise is taken out by the smallest penalty that brings the curve inside `limits`.
// If even a parabola is too fast, the rows shrink towards the first one, which always ends inside.
inline double fit_rows(Column& x, Column& curvature, int rows, int first, double h,
                       const AxisLimits& limits) {
  const std::size_t n = static_cast<std::size_t>(rows);
  const std::size_t begin = static_cast<std::size_t>(first);
  const Column asked = x;
  for (std::size_t k = 0; k < n; ++k) x[k] = std::clamp(x[k], limits.lower, limits.upper);
  const double reach = limits.velocity * h;
  for (std::size_t k = begin + 1; k < n; ++k)
    x[k] = std::clamp(x[k], x[k - 1] - reach, x[k - 1] + reach);

  const Column reachable = x;
  const auto demand_at = [&](int rung) {
    x = reachable;
    if (rung > 0) RowSmoother(rows, std::pow(10.0, -2.0 + 0.5 * rung)).solve(x);
    spline_curvature(x, rows, h, curvature);
    return curve_demand(x, curvature, rows, first, h, limits);
  };
  constexpr int kRungs = 20;
  if (demand_at(0) > 1.0) {
    int refused = 0;
    int accepted = kRungs;
    while (accepted - refused > 1) {
      const int rung = (refused + accepted) / 2;
      (demand_at(rung) > 1.0 ? refused : accepted) = rung;
    }
    const double demand = demand_at(accepted);
    if (demand > 1.0) {
      for (std::size_t k = 0; k < n; ++k) {
        x[k] = x[begin] + (x[k] - x[begin]) / demand;
        curvature[k] /= demand;
      }
    }
  }
  double change = 0.0;
  for (std::size_t k = begin; k < n; ++k) change = std::max(change, std::abs(x[k] - asked[k]));
  return change;
}

}  // namespace labvla::control
