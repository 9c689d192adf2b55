// Messages to the core's views and back, and the events about refusals and stops.
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "../cpp/check.hpp"
#include "labvla_control/core/controller.hpp"
#include "labvla_control/ros/events.hpp"
#include "labvla_control/ros/handles.hpp"
#include "labvla_control/ros/state_conversion.hpp"

using namespace labvla::control;

namespace {

labvla_msgs::msg::ActionChunk chunk_message() {
  labvla_msgs::msg::ActionChunk message;
  message.observation_stamp.sec = 1'700'000'000;
  message.observation_stamp.nanosec = 999'999'999;
  message.plan_start.sec = 1'700'000'001;
  message.plan_start.nanosec = 1;
  message.dt = 0.05;
  message.rows = 2;
  message.joint_names = {"a", "b", "c"};
  message.joint_targets = {1, 2, 3, 4, 5, 6};
  message.gripper_names = {"g"};
  message.gripper_targets = {0.01, 0.02};
  message.session = 7;
  message.sequence = 9;
  return message;
}

void a_chunk_is_viewed_without_a_copy() {
  const auto message = chunk_message();
  const ChunkOfMessage chunk(message, 42);
  const ChunkView& view = chunk.view();
  CHECK(view.plan_start_ns - view.observation_ns == 2);
  CHECK(view.received_ns == 42);
  CHECK(view.rows == 2 && view.dt == 0.05 && view.session == 7 && view.sequence == 9);
  CHECK(view.joints.columns == 3 && view.joints.size == 6);
  CHECK(view.joints.values == message.joint_targets.data());
  CHECK(view.joints.names[2] == "c" && view.grippers.names[0] == "g");
}

void a_hostile_chunk_is_viewed_safely_and_refused() {
  Config config;
  config.joints.resize(3);
  for (std::size_t i = 0; i < 3; ++i) {
    config.joints[i].name = std::string(1, static_cast<char>('a' + i));
    config.joints[i].hardware = {-3.0, 3.0, 2.0, {}};
    config.joints[i].operating.velocity = 1.0;
  }
  Controller controller(config);
  CHECK(controller.activate({}));
  auto wide = chunk_message();
  wide.joint_names.assign(1000, "x");
  CHECK(controller.submit(ChunkOfMessage(wide, 0).view()).refusal == Refusal::kBadShape);
  auto huge = chunk_message();
  huge.rows = std::numeric_limits<std::uint32_t>::max();
  CHECK(controller.submit(ChunkOfMessage(huge, 0).view()).refusal == Refusal::kBadShape);
  auto nameless = chunk_message();
  nameless.joint_names.clear();
  CHECK(controller.submit(ChunkOfMessage(nameless, 0).view()).refusal == Refusal::kBadShape);
  auto early = chunk_message();
  early.observation_stamp.sec = std::numeric_limits<std::int32_t>::max();
  CHECK(!controller.submit(ChunkOfMessage(early, std::numeric_limits<std::int64_t>::min()).view())
             .accepted());
}

void stamps_survive_both_ways() {
  for (const std::int64_t ns : {0LL, 1LL, 999'999'999LL, 1'700'000'000'123'456'789LL})
    CHECK(nanoseconds(to_stamp(ns)) == ns);
}

Config two_joints() {
  Config config;
  config.joints.resize(2);
  config.joints[0].name = "first";
  config.joints[1].name = "second";
  config.grippers = {{"left", 0.0, 0.08}, {"right", 0.0, 0.08}};
  return config;
}

void a_state_becomes_a_message_by_name() {
  Snapshot snapshot;
  snapshot.stamp_ns = 5'000'000'007;
  State& state = snapshot.state;
  state.mode = Mode::kStopping;
  state.stop_reason = StopReason::kBlindLimit;
  state.reference[1] = {0.1, 0.2, 0.3};
  state.command[1] = 9.0;
  state.gripper[1] = 0.05;
  state.gripper_set[1] = true;
  state.stops[static_cast<std::size_t>(StopReason::kBlindLimit)] = 2;
  state.stops[static_cast<std::size_t>(StopReason::kRequested)] = 1;
  Counters counters;
  counters.accepted = 11;
  counters.refused[3] = 4;
  const auto message = to_message(snapshot, counters, two_joints());
  CHECK(message.stamp.sec == 5 && message.stamp.nanosec == 7);
  CHECK(message.mode == labvla_msgs::msg::ControllerState::STOPPING);
  CHECK(message.stop_reason == "blind_limit");
  CHECK(message.joint_names.size() == 2 && message.joint_names[1] == "second");
  CHECK(message.reference_positions[1] == 0.1 && message.reference_accelerations[1] == 0.3);
  CHECK(message.commands[1] == 9.0 && message.stops == 3);
  CHECK(message.chunks_accepted == 11 && message.chunks_refused == 4);
  CHECK(std::isnan(message.gripper_targets[0]) && message.gripper_targets[1] == 0.05);
  const auto grippers = to_gripper_message(snapshot, two_joints());
  CHECK(grippers.gripper_names.size() == 1 && grippers.gripper_names[0] == "right");
  CHECK(grippers.targets[0] == 0.05 && grippers.holding);
}

void modes_have_the_values_of_the_message() {
  using Message = labvla_msgs::msg::ControllerState;
  static_assert(static_cast<std::uint8_t>(Mode::kHold) == Message::HOLD);
  static_assert(static_cast<std::uint8_t>(Mode::kTracking) == Message::TRACKING);
  static_assert(static_cast<std::uint8_t>(Mode::kStopping) == Message::STOPPING);
  static_assert(static_cast<std::uint8_t>(Mode::kStopped) == Message::STOPPED);
  static_assert(static_cast<std::uint8_t>(Mode::kPaused) == Message::PAUSED);
  static_assert(static_cast<std::uint8_t>(Mode::kFault) == Message::FAULT);
}

// Before get_optional there were plain values, and a write said nothing.
struct OldHandle {
  double value = 1.0;
  double get_value() const { return value; }
  void set_value(double v) { value = v; }
};
struct NewHandle {
  std::optional<double> value;
  bool busy = false;
  template <typename T>
  std::optional<T> get_optional() const {
    return value;
  }
  bool set_value(double v) {
    if (!busy) value = v;
    return !busy;
  }
};

void handles_of_old_and_new_releases_are_read_and_written() {
  OldHandle old;
  CHECK(write_handle(old, 3.0) && read_handle(old) == 3.0);
  NewHandle handle;
  CHECK(std::isnan(read_handle(handle)));
  CHECK(write_handle(handle, 3.0) && read_handle(handle) == 3.0);
  handle.busy = true;
  CHECK(!write_handle(handle, 4.0) && read_handle(handle) == 3.0);
}

void a_burst_of_refusals_is_one_event_with_a_count() {
  const Config config = two_joints();
  RefusalEvents events;
  Verdict verdict;
  verdict.refusal = Refusal::kFirstRowFar;
  verdict.joint = 1;
  verdict.value = 0.4;
  verdict.expected = 0.25;
  const auto first = events.tell(verdict, 3, 10.0, config);
  CHECK(first && first->reason == "first_row_far" && first->joint == "second");
  CHECK(first->value == 0.4 && first->limit == 0.25 && first->sequence == 3 && first->count == 1);
  CHECK(first->severity == SafetyEvent::REFUSED);
  CHECK(!events.tell(verdict, 4, 10.1, config));
  CHECK(!events.tell(verdict, 5, 10.9, config));
  Verdict other;
  other.refusal = Refusal::kStopped;
  CHECK(events.tell(other, 6, 10.9, config));
  const auto next = events.tell(verdict, 7, 11.5, config);
  CHECK(next && next->count == 3 && next->sequence == 7);
}

void every_refusal_and_stop_is_explained() {
  const Config config = two_joints();
  for (std::size_t k = 1; k < kRefusals; ++k) {
    Verdict verdict;
    verdict.refusal = static_cast<Refusal>(k);
    CHECK(!explain(verdict, config).empty());
  }
  for (std::size_t k = 1; k < kStopReasons; ++k)
    CHECK(!explain(static_cast<StopReason>(k)).empty());
}

void a_stop_is_told_once_also_when_cycles_were_not_seen() {
  StopEvents events;
  State state;
  CHECK(!events.tell(state));
  state.stop_reason = StopReason::kRequested;
  state.stops[static_cast<std::size_t>(StopReason::kRequested)] = 1;
  const auto told = events.tell(state);
  CHECK(told && told->reason == "requested" && told->severity == SafetyEvent::STOPPED);
  CHECK(!events.tell(state));
  CHECK(!events.tell(State{}));  // activated anew
  state.stops[static_cast<std::size_t>(StopReason::kRequested)] = 2;
  CHECK(events.tell(state)->count == 2);
}

}  // namespace

int main() {
  a_chunk_is_viewed_without_a_copy();
  a_hostile_chunk_is_viewed_safely_and_refused();
  stamps_survive_both_ways();
  a_state_becomes_a_message_by_name();
  modes_have_the_values_of_the_message();
  handles_of_old_and_new_releases_are_read_and_written();
  a_burst_of_refusals_is_one_event_with_a_count();
  every_refusal_and_stop_is_explained();
  a_stop_is_told_once_also_when_cycles_were_not_seen();
}
