// A robot of any number of joints, its chunks, and the check that its reference keeps the limits.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#include "labvla_control/core/controller.hpp"
#include "labvla_control/plant/noise.hpp"

namespace labvla::test {

inline control::Config robot(int joints, bool effort = true) {
  control::Config config;
  for (int i = 0; i < joints; ++i) {
    control::JointConfig joint;
    joint.name = "joint" + std::to_string(i);
    joint.hardware = {-2.7, 2.7, 2.6, control::VelocityLaw{-0.2, 5.17, -2.71, 2.71}};
    joint.operating.velocity = 0.8;
    joint.impedance.stiffness = 600.0;
    joint.impedance.torque = 80.0;
    config.joints.push_back(joint);
  }
  config.grippers.push_back({"gripper", 0.0, 0.08});
  if (effort) {
    config.command = control::CommandInterface::kEffort;
    config.compliance = control::Compliance::kImpedance;
  }
  return config;
}

// Owns what a ChunkView points to.
class Rows {
 public:
  Rows(const control::Config& config, std::size_t rows)
      : rows_(rows), width_(config.joints.size()) {
    for (const auto& joint : config.joints) names_.push_back(joint.name);
    values_.resize(rows * width_);
    gripper_.resize(rows);
  }

  // A sine per joint that all chunks share, with an error of this chunk's own.
  void fill(double start, double dt, double error, plant::Noise& noise) {
    for (std::size_t j = 0; j < width_; ++j) {
      const double offset = error * noise.gaussian();
      for (std::size_t r = 0; r < rows_; ++r) {
        const double t = start + dt * static_cast<double>(r);
        const double fade = std::min(1.0, t * t / 4.0);
        values_[r * width_ + j] = 0.2 * fade * std::sin(1.5 * t + static_cast<double>(j)) + offset;
      }
    }
  }

  control::ChunkView view(double dt, double start, double now, std::uint64_t sequence) const {
    control::ChunkView chunk;
    chunk.joints = {names_.data(), names_.size(), values_.data(), values_.size()};
    chunk.grippers = {&kGripper, 1, gripper_.data(), gripper_.size()};
    chunk.rows = rows_;
    chunk.dt = dt;
    chunk.plan_start_ns = chunk.observation_ns = static_cast<std::int64_t>(start * 1e9);
    chunk.received_ns = static_cast<std::int64_t>(now * 1e9);
    chunk.sequence = sequence;
    return chunk;
  }

 private:
  static constexpr std::string_view kGripper = "gripper";
  std::size_t rows_;
  std::size_t width_;
  std::vector<std::string_view> names_;
  std::vector<double> values_;
  std::vector<double> gripper_;
};

// Third differences of what really came out, against the operating limits.
class LimitWatch {
 public:
  explicit LimitWatch(const control::Config& config) : config_(config) {}

  void see(const control::State& state) {
    if (state.anchors != anchors_ || state.activation != activation_) seen_ = 0;
    anchors_ = state.anchors;
    activation_ = state.activation;
    for (std::size_t k = history_.size() - 1; k > 0; --k) history_[k] = history_[k - 1];
    for (std::size_t i = 0; i < config_.joints.size(); ++i) history_[0][i] = state.reference[i].p;
    seen_ = std::min<std::size_t>(seen_ + 1, history_.size());
    const double dt = config_.period;
    for (std::size_t i = 0; i < config_.joints.size(); ++i) {
      const auto& o = config_.joints[i].operating;
      const auto& h = history_;
      CHECK(std::isfinite(state.command[i]) && std::isfinite(h[0][i]));
      if (seen_ >= 2) CHECK(std::abs(h[0][i] - h[1][i]) / dt <= o.velocity + 1e-9);
      if (seen_ >= 3)
        CHECK(std::abs(h[0][i] - 2 * h[1][i] + h[2][i]) / (dt * dt) <= o.acceleration + 1e-7);
      if (seen_ >= 4) {
        CHECK(std::abs(h[0][i] - 3 * h[1][i] + 3 * h[2][i] - h[3][i]) / (dt * dt * dt) <=
              o.jerk + 1e-3);
      }
    }
  }

 private:
  const control::Config& config_;
  std::array<control::PerJoint<>, 4> history_{};
  std::size_t seen_ = 0;
  std::uint64_t anchors_ = 0;
  std::uint64_t activation_ = 0;
};

}  // namespace labvla::test
