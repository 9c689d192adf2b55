// Any bytes as chunks for a running controller. The promise: a verdict each time, and a motion
// inside the limits.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "robot.hpp"

namespace labvla::fuzz {

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  bool empty() const { return left_ == 0; }

  template <typename T>
  T take() {
    T value{};
    const std::size_t n = std::min(sizeof(T), left_);
    std::memcpy(&value, data_, n);
    data_ += n;
    left_ -= n;
    return value;
  }

  // Half of them raw bits, half of them near where a robot may be: both ends of the checks are
  // reached.
  double number() {
    const auto kind = take<std::uint8_t>();
    if (kind % 4 == 0) return take<double>();
    return static_cast<double>(take<std::int16_t>()) * (kind % 4 == 1 ? 1e-5 : 1e-4);
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

inline void run(const std::uint8_t* data, std::size_t size) {
  static const control::Config config = test::robot(3, false);
  static constexpr std::array<std::string_view, 6> kNames{"joint0",  "joint1", "joint2",
                                                          "gripper", "",       "joint"};
  auto controller = std::make_unique<control::Controller>(config);
  CHECK(controller->activate({}));
  test::LimitWatch watch(config);
  control::Inputs inputs;
  Bytes bytes(data, size);
  for (int round = 0; round < 8 && !bytes.empty(); ++round) {
    const auto shape = bytes.take<std::uint8_t>();
    std::vector<std::string_view> names(kNames.begin(), kNames.begin() + 3);
    if (shape % 8 == 0) names[shape % 3] = kNames[bytes.take<std::uint8_t>() % kNames.size()];
    if (shape % 16 == 1) names.push_back(kNames[shape % kNames.size()]);
    control::ChunkView chunk;
    chunk.rows =
        shape % 32 == 2 ? bytes.take<std::uint16_t>() : 2u + bytes.take<std::uint8_t>() % 12u;
    std::vector<double> values(std::min<std::size_t>(chunk.rows, 200) * names.size());
    for (double& value : values) value = bytes.number();
    std::vector<double> gripper(shape % 4 == 3 ? values.size() / names.size() : 0);
    for (double& value : gripper) value = bytes.number();
    const std::string_view gripper_name = kNames[3];
    chunk.joints = {names.data(), names.size(), values.data(), values.size()};
    chunk.grippers = {&gripper_name, gripper.empty() ? 0u : 1u, gripper.data(), gripper.size()};
    const auto timing = bytes.take<std::uint8_t>();
    chunk.dt = timing % 8 == 0 ? bytes.number() : 0.02 + 0.001 * (timing % 32);
    const double now = controller->state().time;
    chunk.received_ns = static_cast<std::int64_t>(now * 1e9);
    chunk.plan_start_ns =
        timing % 16 == 1
            ? bytes.take<std::int64_t>()
            : chunk.received_ns - 1'000'000 * static_cast<int>(bytes.take<std::int8_t>());
    chunk.observation_ns = timing % 16 == 2 ? bytes.take<std::int64_t>() : chunk.received_ns;
    chunk.sequence = static_cast<std::uint64_t>(round) + bytes.take<std::uint8_t>() % 3;
    chunk.session = bytes.take<std::uint8_t>() % 3;
    const control::Verdict verdict = controller->submit(chunk);
    CHECK(static_cast<std::size_t>(verdict.refusal) < control::kRefusals);
    CHECK(verdict.joint >= -1 && verdict.joint < 3);
    if ((timing & 0x40) != 0) controller->stop();
    const int cycles = 1 + bytes.take<std::uint8_t>();
    for (int cycle = 0; cycle < cycles; ++cycle) {
      const control::State& state = controller->update(inputs);
      watch.see(state);
      for (std::size_t i = 0; i < 3; ++i) inputs.position[i] = state.reference[i].p;
    }
    if ((timing & 0x80) != 0) controller->reset_stop();
  }
}

}  // namespace labvla::fuzz
