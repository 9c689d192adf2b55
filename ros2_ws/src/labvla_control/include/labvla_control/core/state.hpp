// What goes into a control cycle and what comes out of it: plain values, copied across threads as
// they are.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "labvla_control/core/admittance.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

struct Inputs {
  PerJoint<> position{};     // [rad] measured
  PerJoint<> velocity{};     // [rad/s] measured
  PerJoint<> feedforward{};  // [N m] model torque added to the impedance; effort interfaces only
  bool ready =
      true;  // every precondition outside the core: drive mode, safety mode, program running
  double speed_scaling = 1.0;  // the robot's own, 0 holds
  double elapsed = 0.0;        // [s] since the previous cycle as measured; 0: exactly one period
  std::int64_t stamp_ns = 0;   // now on the clock that stamps the chunks; 0: not known
  std::array<WristInput, kMaxWrists> wrists;  // as in the configuration
};

// After a cycle. Arrays in the order of the configuration.
struct State {
  double time = 0.0;             // [s] update time: cycles since activation times the period
  std::int64_t stamp_ns = 0;     // of that cycle, as the inputs had it
  std::uint64_t activation = 0;  // how many there have been; update time counts from the last
  Mode mode = Mode::kHold;
  StopReason stop_reason = StopReason::kNone;  // of the last stop
  Refusal closed =
      Refusal::kNotActive;  // why chunks are refused at present; kNone: they are welcome
  bool limited = false;     // a limit shaped this sample

  PerJoint<Motion> reference{};
  PerJoint<> offset{};   // [rad] added by the admittance
  PerJoint<> command{};  // [N m] on effort, [rad] on position interfaces
  PerJoint<> measured_position{};
  PerJoint<> measured_velocity{};
  PerGripper gripper{};
  std::array<bool, kMaxGrippers> gripper_set{};

  std::uint64_t session = 0;  // of the plan in execution
  std::uint64_t sequence = 0;
  double chunk_age = std::numeric_limits<double>::quiet_NaN();  // [s] since the last accepted chunk
  double plan_remaining = 0.0;                                  // [s] of plan left
  double plan_rate = 0.0;                                       // plan seconds per second
  double blend = 1.0;              // 0: a splice has just begun, 1: exactly on the plan
  double deviation = 0.0;          // [rad] largest joint distance from the plan
  double largest_deviation = 0.0;  // [rad] since activation
  double speed_scaling = 1.0;
  double stiffness_scale = 1.0;

  std::uint64_t anchors = 0;          // times the reference was set to the measured position
  std::uint64_t splices = 0;          // plans taken up
  std::uint64_t samples_limited = 0;  // cycles in which a limit shaped the reference
  std::uint64_t dropped = 0;          // accepted chunks that could not be taken up any more
  std::array<std::uint64_t, kStopReasons> stops{};
};

struct Counters {
  std::uint64_t accepted = 0;
  std::uint64_t rows_skipped = 0;
  std::array<std::uint64_t, kRefusals> refused{};

  std::uint64_t refused_total() const {
    std::uint64_t total = 0;
    for (const std::uint64_t n : refused) total += n;
    return total;
  }
};

}  // namespace labvla::control
