// Cartesian admittance on a position interface: the wrist wrench moves the arm off its reference,
// softly and boundedly.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "labvla_control/core/config.hpp"
#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

using Vector6 = std::array<double, 6>;

// What the hardware side supplies each cycle. Force first, then torque.
struct WristInput {
  bool valid = false;
  Vector6 wrench{};  // [N, N m] acting on the tool, in the sensor frame
  std::array<double, 9> rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};  // base <- sensor, row-major
  std::array<PerJoint<>, 6> jacobian{};  // of the sensor point in the base frame, linear rows first
};

// Solves (J J^T + damping^2 I) y = x in place by Cholesky; the damping makes it positive definite
// everywhere.
class DampedInverse {
 public:
  DampedInverse(const std::array<PerJoint<>, 6>& jacobian, std::size_t joints, double damping)
      : jacobian_(jacobian), joints_(joints) {
    for (std::size_t r = 0; r < 6; ++r) {
      for (std::size_t c = 0; c <= r; ++c) {
        double sum = r == c ? damping * damping : 0.0;
        for (std::size_t i = 0; i < joints; ++i) sum += jacobian[r][i] * jacobian[c][i];
        for (std::size_t k = 0; k < c; ++k) sum -= factor_[r][k] * factor_[c][k];
        factor_[r][c] = r == c ? std::sqrt(sum) : sum / factor_[c][c];
      }
    }
  }

  Vector6 forward(const PerJoint<>& joint) const {
    Vector6 x{};
    for (std::size_t r = 0; r < 6; ++r) {
      for (std::size_t i = 0; i < joints_; ++i) x[r] += jacobian_[r][i] * joint[i];
    }
    return x;
  }

  PerJoint<> inverse(Vector6 x) const {
    for (std::size_t r = 0; r < 6; ++r) {
      for (std::size_t k = 0; k < r; ++k) x[r] -= factor_[r][k] * x[k];
      x[r] /= factor_[r][r];
    }
    for (std::size_t r = 6; r-- > 0;) {
      for (std::size_t k = r + 1; k < 6; ++k) x[r] -= factor_[k][r] * x[k];
      x[r] /= factor_[r][r];
    }
    PerJoint<> joint{};
    for (std::size_t i = 0; i < joints_; ++i) {
      for (std::size_t r = 0; r < 6; ++r) joint[i] += jacobian_[r][i] * x[r];
    }
    return joint;
  }

 private:
  const std::array<PerJoint<>, 6>& jacobian_;
  std::size_t joints_;
  std::array<Vector6, 6> factor_{};
};

// The offset is the only state: mass, damping and spring act on where the offset really is, so a
// limit that holds it back leaves nothing wound up. Each joint's offset keeps its own share of the
// operating limits and its own bound, the reference keeps the rest: the sum obeys the operating
// limits because both terms do.
class Admittance {
 public:
  Admittance(const Config& config, const AdmittanceConfig& wrist)
      : config_(wrist), period_(config.period) {
    count_ = config.joints.size();
    for (std::size_t i = 0; i < count_; ++i) {
      const AxisLimits axis = operating_axis(config.joints[i]);
      limits_[i] = {-config_.max_joint_offset, config_.max_joint_offset,
                    config_.share * axis.velocity, config_.share * axis.acceleration,
                    config_.share * axis.jerk};
    }
    for (std::size_t k = 0; k < 6; ++k) {
      damping_[k] =
          2.0 * config_.damping_ratio[k] * std::sqrt(config_.mass[k] * config_.stiffness[k]);
    }
  }

  void reset() { offset_.fill({}); }
  const PerJoint<Motion>& offset() const { return offset_; }

  // Takes what the sensor shows now, beyond the payload, as zero.
  void tare(const WristInput& wrist) {
    if (!usable(wrist)) return;
    const Vector6 payload = payload_wrench(wrist);
    for (std::size_t k = 0; k < 6; ++k) bias_[k] = wrist.wrench[k] - payload[k];
  }

  // External wrench in the base frame, bias and payload taken away, inside the dead band exactly
  // zero.
  Vector6 external(const WristInput& wrist) const {
    if (!usable(wrist)) return {};
    const Vector6 payload = payload_wrench(wrist);
    Vector6 base{};
    for (std::size_t part = 0; part < 2; ++part) {
      for (std::size_t r = 0; r < 3; ++r) {
        for (std::size_t c = 0; c < 3; ++c) {
          const std::size_t k = 3 * part + c;
          base[3 * part + r] +=
              wrist.rotation[3 * r + c] * (wrist.wrench[k] - bias_[k] - payload[k]);
        }
      }
    }
    shrink(base, 0, config_.force_dead_band);
    shrink(base, 3, config_.torque_dead_band);
    return base;
  }

  const PerJoint<Motion>& update(const WristInput& wrist) {
    PerJoint<> velocity{};
    PerJoint<> position{};
    for (std::size_t i = 0; i < count_; ++i) {
      position[i] = offset_[i].p;
      velocity[i] = offset_[i].v;
    }
    // Joint-space return of what the task does not see (redundancy, singular directions, a missing
    // wrench).
    PerJoint<> wanted{};
    for (std::size_t i = 0; i < count_; ++i) {
      wanted[i] = -kReturn * (2.0 * velocity[i] + kReturn * position[i]);
    }
    if (usable(wrist)) {
      const DampedInverse map(wrist.jacobian, count_, config_.inverse_damping);
      const Vector6 x = map.forward(position);
      const Vector6 speed = map.forward(velocity);
      const Vector6 force = bounded(external(wrist));
      const Vector6 returning = map.forward(wanted);
      Vector6 pull{};
      for (std::size_t k = 0; k < 6; ++k) {
        pull[k] =
            (force[k] - damping_[k] * speed[k] - config_.stiffness[k] * x[k]) / config_.mass[k] -
            returning[k];
      }
      const PerJoint<> task = map.inverse(pull);
      for (std::size_t i = 0; i < count_; ++i) wanted[i] += task[i];
    }
    for (std::size_t i = 0; i < count_; ++i) {
      const double acceleration =
          std::clamp(wanted[i], -limits_[i].acceleration, limits_[i].acceleration);
      const double jerk = (acceleration - offset_[i].a) / kAccelerationLag;
      offset_[i] = viable_step(offset_[i], jerk, limits_[i], period_).next;
    }
    return offset_;
  }

 private:
  static constexpr double kReturn = 4.0;  // [1/s]
  static constexpr double kAccelerationLag =
      0.012;  // [s] low-pass between wanted acceleration and jerk

  static bool usable(const WristInput& wrist) {
    if (!wrist.valid) return false;
    for (const double w : wrist.wrench) {
      if (!std::isfinite(w)) return false;
    }
    for (const double r : wrist.rotation) {
      if (!std::isfinite(r)) return false;
    }
    for (const auto& row : wrist.jacobian) {
      for (const double j : row) {
        if (!std::isfinite(j)) return false;
      }
    }
    return true;
  }

  Vector6 payload_wrench(const WristInput& wrist) const {
    std::array<double, 3> f{};
    for (std::size_t k = 0; k < 3; ++k) {
      for (std::size_t r = 0; r < 3; ++r)
        f[k] += config_.payload_mass * wrist.rotation[3 * r + k] * config_.gravity[r];
    }
    const auto& c = config_.payload_centre;
    return {f[0],
            f[1],
            f[2],
            c[1] * f[2] - c[2] * f[1],
            c[2] * f[0] - c[0] * f[2],
            c[0] * f[1] - c[1] * f[0]};
  }

  static void shrink(Vector6& w, std::size_t begin, double dead_band) {
    const double size =
        std::sqrt(w[begin] * w[begin] + w[begin + 1] * w[begin + 1] + w[begin + 2] * w[begin + 2]);
    const double factor = size > dead_band ? (size - dead_band) / size : 0.0;
    for (std::size_t k = begin; k < begin + 3; ++k) w[k] *= factor;
  }

  // No push moves the tool further than its bound, because the spring balances the largest admitted
  // force there.
  Vector6 bounded(Vector6 force) const {
    for (std::size_t k = 0; k < 6; ++k) {
      const double bound =
          config_.stiffness[k] * (k < 3 ? config_.max_translation : config_.max_rotation);
      force[k] = std::clamp(force[k], -bound, bound);
    }
    return force;
  }

  AdmittanceConfig config_;
  double period_;
  std::size_t count_ = 0;
  PerJoint<AxisLimits> limits_{};
  Vector6 damping_{};
  Vector6 bias_{};
  PerJoint<Motion> offset_{};
};

// The wrists of all arms. Each moves the joints that its Jacobian has, and leaves all others where
// they are, so that their offsets add up.
class Wrists {
 public:
  using Inputs = std::array<WristInput, kMaxWrists>;

  explicit Wrists(const Config& config) {
    for (const AdmittanceConfig& wrist : config.wrists) arms_.emplace_back(config, wrist);
  }

  const PerJoint<Motion>& offset() const { return offset_; }

  void reset() {
    for (Admittance& arm : arms_) arm.reset();
    offset_.fill({});
  }

  void tare(const Inputs& in) {
    for (std::size_t w = 0; w < arms_.size(); ++w) arms_[w].tare(in[w]);
  }

  void update(const Inputs& in) {
    offset_.fill({});
    for (std::size_t w = 0; w < arms_.size(); ++w) {
      const PerJoint<Motion>& own = arms_[w].update(in[w]);
      for (std::size_t i = 0; i < own.size(); ++i) {
        offset_[i].p += own[i].p;
        offset_[i].v += own[i].v;
        offset_[i].a += own[i].a;
      }
    }
  }

 private:
  std::vector<Admittance> arms_;
  PerJoint<Motion> offset_{};
};

}  // namespace labvla::control
