#include "labvla_control/ros/events.hpp"

#include <limits>
#include <sstream>

namespace labvla::control {

namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr double kBurst = 1.0;  // [s] in which refusals of one reason are one event

SafetyEvent blank(std::uint8_t severity, const char* reason) {
  SafetyEvent event;
  event.severity = severity;
  event.source = "controller";
  event.reason = reason;
  event.value = kNothing;
  event.limit = kNothing;
  event.count = 1;
  return event;
}

std::string joint_name(const Verdict& verdict, const Config& config) {
  const auto index = static_cast<std::size_t>(verdict.joint);
  return verdict.joint >= 0 && index < config.joints.size() ? config.joints[index].name : "";
}

}  // namespace

std::string explain(const Verdict& v, const Config& config) {
  std::ostringstream text;
  const std::string joint = joint_name(v, config);
  switch (v.refusal) {
    case Refusal::kNone:
      break;
    case Refusal::kNotActive:
      text << "the controller is not active; activate it";
      break;
    case Refusal::kStopped:
      text << "a stop is latched; call reset_stop at standstill";
      break;
    case Refusal::kPaused:
      text << "paused; call resume at standstill";
      break;
    case Refusal::kFault:
      text << "a precondition is lost; the last stop's reason says which";
      break;
    case Refusal::kSpeedZero:
      text << "the robot's own speed scaling is zero; release the robot";
      break;
    case Refusal::kBadShape:
      text << "expected 2 to " << kMaxRows << " rows of " << config.joints.size()
           << " joints and at most " << kMaxGrippers << " grippers, row-major; got a table of "
           << v.value << " where " << v.expected << " was expected";
      break;
    case Refusal::kBadRowPeriod:
      text << "expected dt from 0.001 to " << v.expected << " s, got " << v.value;
      break;
    case Refusal::kUnknownName:
      text << "column " << v.value << " has a name that this controller does not know";
      break;
    case Refusal::kRepeatedName:
      text << "column " << v.value << " repeats a name";
      break;
    case Refusal::kMissingJoint:
      text << joint << " is missing; a chunk has every joint of the controller";
      break;
    case Refusal::kNonFinite:
      text << (joint.empty() ? "a gripper" : joint) << " is not finite in row " << v.value;
      break;
    case Refusal::kOldSequence:
      text << "sequence " << v.value << " is not newer than " << v.expected
           << " of this session; a sender that restarts takes a new session";
      break;
    case Refusal::kObservationAhead:
      text << "the observation lies " << v.value << " s in the future, allowed are " << v.expected
           << "; compare the computers' clocks";
      break;
    case Refusal::kStartsTooFarAhead:
      text << "row 0 lies " << v.value << " s in the future, allowed are " << v.expected;
      break;
    case Refusal::kTooOld:
      text << "the observation is " << v.value << " s old, allowed are " << v.expected;
      break;
    case Refusal::kEndsInPast:
      text << "the last row was due " << -v.value << " s ago; the sender is too slow for its chunk";
      break;
    case Refusal::kFirstRowFar:
      text << joint << " would begin " << v.value << " rad from where it is commanded, allowed are "
           << v.expected << "; plan from the newest state";
      break;
    case Refusal::kLoopNotRunning:
      text << "the control loop takes no chunks; look at the controller manager";
      break;
  }
  return text.str();
}

std::string explain(StopReason reason) {
  switch (reason) {
    case StopReason::kNone:
      return "";
    case StopReason::kEndOfData:
      return "the plan came to its end and nothing newer was accepted";
    case StopReason::kBlindLimit:
      return "no chunk was accepted for as long as a plan may be executed blindly";
    case StopReason::kRequested:
      return "a stop was requested; it is latched until reset_stop";
    case StopReason::kPaused:
      return "paused on request";
    case StopReason::kNotReady:
      return "a ready interface is down, or the speed scaling is unreadable; make the robot ready";
    case StopReason::kStateInvalid:
      return "measured positions or velocities stayed unreadable or not finite";
    case StopReason::kTrackingError:
      return "a joint did not follow its command; latched until reset_stop";
    case StopReason::kSpeedZero:
      return "the robot's own speed scaling went to zero";
  }
  return "";
}

std::optional<SafetyEvent> RefusalEvents::tell(const Verdict& verdict, std::uint64_t sequence,
                                               double seconds, const Config& config) {
  Burst& burst = bursts_[static_cast<std::size_t>(verdict.refusal)];
  ++burst.count;
  if (seconds - burst.told < kBurst) return std::nullopt;
  SafetyEvent event = blank(SafetyEvent::REFUSED, name(verdict.refusal));
  event.detail = explain(verdict, config);
  event.joint = joint_name(verdict, config);
  event.value = verdict.value;
  event.limit = verdict.expected;
  event.sequence = sequence;
  event.count = burst.count;
  burst = {seconds, 0};
  return event;
}

std::optional<SafetyEvent> StopEvents::tell(const State& state) {
  std::uint64_t fresh = 0;
  // Counters start over at activation.
  for (std::size_t i = 0; i < kStopReasons; ++i)
    fresh += state.stops[i] > seen_[i] ? state.stops[i] - seen_[i] : 0;
  seen_ = state.stops;
  if (fresh == 0) return std::nullopt;
  SafetyEvent event = blank(SafetyEvent::STOPPED, name(state.stop_reason));
  event.detail = explain(state.stop_reason);
  event.sequence = state.sequence;
  event.count = static_cast<std::uint32_t>(fresh);
  return event;
}

}  // namespace labvla::control
