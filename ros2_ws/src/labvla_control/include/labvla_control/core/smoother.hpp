// Rows without their noise: a ladder of penalised least-squares fits, each rung smoother than the
// one before.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "labvla_control/core/types.hpp"

namespace labvla::control {

using Column = std::array<double, kMaxRows>;

// Minimises |x - y|^2 + penalty * |D x|^2, D the third difference. Third, because the result is
// then blind to position, velocity and acceleration and takes only jerk away: no lag and little
// bias.
class RowSmoother {
 public:
  void set(int rows, double penalty) {
    rows_ = static_cast<std::size_t>(rows);
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
    freedom_ = static_cast<double>(order);
    for (std::size_t k = 1; k + order <= rows_; ++k) {
      const double wave =
          2.0 * std::sin(kHalfPi * static_cast<double>(k) / static_cast<double>(rows_));
      freedom_ += 1.0 / (1.0 + penalty * std::pow(wave, 2.0 * static_cast<double>(order)));
    }
  }

  // Degrees of freedom that the fit leaves to the rows (trace of the smoothing matrix, from the
  // eigenvalues of the unbounded difference operator).
  double freedom() const { return freedom_; }

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

  static constexpr double kHalfPi = 1.5707963267948966;

  std::size_t rows_ = 0;
  double freedom_ = 0.0;
  std::array<Column, 4> band_;
};

// The rungs for one number of rows, built when first asked for and shared by all joints of a chunk.
class SmoothingLadder {
 public:
  static constexpr int kRungs = 20;

  void reset(int rows) {
    rows_ = rows;
    built_.fill(false);
  }

  // 1 to kRungs; half a decade of penalty each, from next to nothing to a parabola.
  const RowSmoother& rung(int number) {
    const std::size_t i = static_cast<std::size_t>(number - 1);
    if (!built_[i]) rungs_[i].set(rows_, std::pow(10.0, -2.0 + 0.5 * number));
    built_[i] = true;
    return rungs_[i];
  }

 private:
  int rows_ = 0;
  std::array<bool, kRungs> built_{};
  std::array<RowSmoother, kRungs> rungs_;
};

}  // namespace labvla::control
