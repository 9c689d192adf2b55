// From the message to the core's view of it: no copy of the tables, no judgement.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "builtin_interfaces/msg/time.hpp"
#include "labvla_control/core/timeline.hpp"
#include "labvla_msgs/msg/action_chunk.hpp"

namespace labvla::control {

inline std::int64_t nanoseconds(const builtin_interfaces::msg::Time& stamp) {
  return static_cast<std::int64_t>(stamp.sec) * 1'000'000'000 + stamp.nanosec;
}

inline builtin_interfaces::msg::Time to_stamp(std::int64_t ns) {
  builtin_interfaces::msg::Time stamp;
  stamp.sec = static_cast<std::int32_t>(ns / 1'000'000'000);
  stamp.nanosec = static_cast<std::uint32_t>(ns % 1'000'000'000);
  return stamp;
}

// Lives as long as the message that it looks at.
class ChunkOfMessage {
 public:
  // `received_ns` is the time of the control cycle that the chunk is judged against, on the clock
  // of the message's stamps.
  ChunkOfMessage(const labvla_msgs::msg::ActionChunk& message, std::int64_t received_ns) {
    view_.joints = table(message.joint_names, message.joint_targets, joint_names_);
    view_.grippers = table(message.gripper_names, message.gripper_targets, gripper_names_);
    view_.rows = message.rows;
    view_.dt = message.dt;
    view_.plan_start_ns = nanoseconds(message.plan_start);
    view_.observation_ns = nanoseconds(message.observation_stamp);
    view_.received_ns = received_ns;
    view_.session = message.session;
    view_.sequence = message.sequence;
  }

  ChunkOfMessage(const ChunkOfMessage&) = delete;
  ChunkOfMessage& operator=(const ChunkOfMessage&) = delete;

  const ChunkView& view() const { return view_; }

 private:
  // A table with more columns than fit keeps its true count: the core refuses it by shape and looks
  // at no name.
  template <std::size_t kColumns>
  static TableView table(const std::vector<std::string>& names, const std::vector<double>& values,
                         std::array<std::string_view, kColumns>& columns) {
    std::copy_n(names.begin(), std::min(names.size(), kColumns), columns.begin());
    return {columns.data(), names.size(), values.data(), values.size()};
  }

  std::array<std::string_view, kMaxJoints> joint_names_{};
  std::array<std::string_view, kMaxGrippers> gripper_names_{};
  ChunkView view_;
};

}  // namespace labvla::control
