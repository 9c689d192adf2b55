// From a control cycle to the messages about it.
#pragma once

#include <limits>

#include "labvla_control/core/config.hpp"
#include "labvla_control/core/state.hpp"
#include "labvla_control/ros/chunk_conversion.hpp"
#include "labvla_msgs/msg/controller_state.hpp"
#include "labvla_msgs/msg/gripper_setpoints.hpp"

namespace labvla::control {

// A control cycle on its way out of the loop.
struct Snapshot {
  std::int64_t stamp_ns = 0;
  State state;
};

// NaN until a plan has said something about a gripper.
inline double gripper_target(const State& state, std::size_t gripper) {
  return state.gripper_set[gripper] ? state.gripper[gripper]
                                    : std::numeric_limits<double>::quiet_NaN();
}

inline labvla_msgs::msg::ControllerState to_message(const Snapshot& snapshot,
                                                    const Counters& counters,
                                                    const Config& config) {
  const State& state = snapshot.state;
  labvla_msgs::msg::ControllerState message;
  message.stamp = to_stamp(snapshot.stamp_ns);
  message.mode = static_cast<std::uint8_t>(state.mode);
  if (state.stop_reason != StopReason::kNone) message.stop_reason = name(state.stop_reason);
  for (std::size_t i = 0; i < config.joints.size(); ++i) {
    message.joint_names.push_back(config.joints[i].name);
    message.reference_positions.push_back(state.reference[i].p);
    message.reference_velocities.push_back(state.reference[i].v);
    message.reference_accelerations.push_back(state.reference[i].a);
    message.measured_positions.push_back(state.measured_position[i]);
    message.measured_velocities.push_back(state.measured_velocity[i]);
    message.commands.push_back(state.command[i]);
  }
  for (std::size_t g = 0; g < config.grippers.size(); ++g) {
    message.gripper_names.push_back(config.grippers[g].name);
    message.gripper_targets.push_back(gripper_target(state, g));
  }
  message.session = state.session;
  message.sequence = state.sequence;
  message.chunk_age = state.chunk_age;
  message.plan_remaining = state.plan_remaining;
  message.blend = state.blend;
  message.deviation = state.deviation;
  message.speed_scaling = state.speed_scaling;
  message.chunks_accepted = counters.accepted;
  message.chunks_refused = counters.refused_total();
  message.rows_skipped = counters.rows_skipped;
  message.splices = state.splices;
  message.samples_limited = state.samples_limited;
  for (const std::uint64_t stops : state.stops) message.stops += stops;
  return message;
}

inline labvla_msgs::msg::GripperSetpoints to_gripper_message(const Snapshot& snapshot,
                                                             const Config& config) {
  labvla_msgs::msg::GripperSetpoints message;
  message.stamp = to_stamp(snapshot.stamp_ns);
  for (std::size_t g = 0; g < config.grippers.size(); ++g) {
    if (!snapshot.state.gripper_set[g]) continue;
    message.gripper_names.push_back(config.grippers[g].name);
    message.targets.push_back(snapshot.state.gripper[g]);
  }
  message.holding = snapshot.state.mode != Mode::kTracking;
  return message;
}

}  // namespace labvla::control
