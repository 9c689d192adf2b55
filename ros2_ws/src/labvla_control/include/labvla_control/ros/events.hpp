// What the rest of the stack is told about refusals and stops: one event per cause, repetitions
// counted.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "labvla_control/core/config.hpp"
#include "labvla_control/core/state.hpp"
#include "labvla_control/core/timeline.hpp"
#include "labvla_msgs/msg/safety_event.hpp"

namespace labvla::control {

using SafetyEvent = labvla_msgs::msg::SafetyEvent;

// What was expected, what came, what to do.
std::string explain(const Verdict& verdict, const Config& config);
std::string explain(StopReason reason);

// Refusals by reason: the first of a burst at once, the rest counted into the next event.
class RefusalEvents {
 public:
  // `seconds` is any monotonic time.
  std::optional<SafetyEvent> tell(const Verdict& verdict, std::uint64_t sequence, double seconds,
                                  const Config& config);

 private:
  struct Burst {
    double told = -1e9;
    std::uint32_t count = 0;
  };
  std::array<Burst, kRefusals> bursts_{};
};

// Stops, found by comparing cycles that may lie some time apart.
class StopEvents {
 public:
  // An event when there were stops since the state before; the last one's reason.
  std::optional<SafetyEvent> tell(const State& state);

 private:
  std::array<std::uint64_t, kStopReasons> seen_{};
};

}  // namespace labvla::control
