// Capacities, small value types and the named enumerations that cross the border of the core.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace labvla::control {

// Fixed so that nothing in the loop ever asks the heap: two 8-joint arms, four seconds of 30 Hz
// rows.
inline constexpr int kMaxJoints = 16;
inline constexpr int kMaxRows = 128;
inline constexpr int kMaxGrippers = 4;

template <typename T = double>
using PerJoint = std::array<T, kMaxJoints>;
using PerGripper = std::array<double, kMaxGrippers>;

// Position, velocity and acceleration of one joint.
struct Motion {
  double p = 0.0;
  double v = 0.0;
  double a = 0.0;
};

// Where a joint is after `t` seconds of constant jerk.
constexpr Motion advance(const Motion& m, double jerk, double t) {
  return {m.p + t * (m.v + t * (m.a / 2.0 + t * jerk / 6.0)), m.v + t * (m.a + t * jerk / 2.0),
          m.a + t * jerk};
}

constexpr Motion mix(const Motion& from, const Motion& to, double share) {
  const double rest = 1.0 - share;
  return {rest * from.p + share * to.p, rest * from.v + share * to.v, rest * from.a + share * to.a};
}

// The values are those of labvla_msgs/ControllerState.
enum class Mode : std::uint8_t { kHold, kTracking, kStopping, kStopped, kPaused, kFault };

enum class StopReason : std::uint8_t {
  kNone,
  kEndOfData,
  kBlindLimit,
  kRequested,
  kPaused,
  kNotReady,
  kStateInvalid,
  kTrackingError,
  kSpeedZero,
};
inline constexpr std::size_t kStopReasons = 9;

enum class Refusal : std::uint8_t {
  kNone,
  kNotActive,
  kStopped,
  kPaused,
  kFault,
  kSpeedZero,
  kBadShape,
  kBadRowPeriod,
  kUnknownName,
  kRepeatedName,
  kMissingJoint,
  kNonFinite,
  kOldSequence,
  kObservationAhead,
  kStartsTooFarAhead,
  kTooOld,
  kEndsInPast,
  kFirstRowFar,
  kLoopNotRunning,
};
inline constexpr std::size_t kRefusals = 19;

constexpr const char* name(Mode mode) {
  constexpr std::array<const char*, 6> names{"hold",    "tracking", "stopping",
                                             "stopped", "paused",   "fault"};
  return names[static_cast<std::size_t>(mode)];
}

constexpr const char* name(StopReason reason) {
  constexpr std::array<const char*, kStopReasons> names{
      "none",      "end_of_data",   "blind_limit",    "requested", "paused",
      "not_ready", "state_invalid", "tracking_error", "speed_zero"};
  return names[static_cast<std::size_t>(reason)];
}

constexpr const char* name(Refusal refusal) {
  constexpr std::array<const char*, kRefusals> names{"none",
                                                     "not_active",
                                                     "stopped",
                                                     "paused",
                                                     "fault",
                                                     "speed_zero",
                                                     "bad_shape",
                                                     "bad_row_period",
                                                     "unknown_name",
                                                     "repeated_name",
                                                     "missing_joint",
                                                     "non_finite",
                                                     "old_sequence",
                                                     "observation_ahead",
                                                     "starts_too_far_ahead",
                                                     "too_old",
                                                     "ends_in_past",
                                                     "first_row_far",
                                                     "loop_not_running"};
  return names[static_cast<std::size_t>(refusal)];
}

}  // namespace labvla::control
