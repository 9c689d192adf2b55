// The controller: modes, watchdogs and requests around the reference, the compliance behind it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <string>

#include "labvla_control/core/admittance.hpp"
#include "labvla_control/core/config.hpp"
#include "labvla_control/core/config_check.hpp"
#include "labvla_control/core/impedance.hpp"
#include "labvla_control/core/intake.hpp"
#include "labvla_control/core/mailbox.hpp"
#include "labvla_control/core/reference.hpp"
#include "labvla_control/core/state.hpp"
#include "labvla_control/core/timeline.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

// Threads: `update`, `activate` and `deactivate` belong to the loop, `submit` to one receiving
// thread, at any time; the requests and `state` may come from anywhere. Only the constructor
// allocates or throws.
class Controller {
 public:
  explicit Controller(const Config& config)
      : config_(checked(config)),
        timeline_(config_),
        reference_(Timeline::reference_limits(config_), joints(), timing(config_)),
        impedance_(config_),
        wrists_(config_) {
    latest_.write(state_);
  }

  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Takes the measured positions as the reference, and a robot in motion to a stop. False when a
  // value is not finite or a position outside its hardware limits.
  bool activate(const PerJoint<>& position, const PerJoint<>& velocity = {}) {
    for (std::size_t i = 0; i < count(); ++i) {
      const HardwareLimits& h = config_.joints[i].hardware;
      if (!(position[i] >= h.lower && position[i] <= h.upper)) return false;
      if (!std::isfinite(velocity[i])) return false;
    }
    drop_plans();
    const std::uint64_t activation = state_.activation + 1;
    state_ = State{};
    state_.activation = activation;
    cycle_ = 0;
    age_ = kNever;
    bad_cycles_ = 0;
    latched_ = paused_ = false;
    fault_ = StopReason::kNone;
    for (auto* request :
         {&stop_request_, &reset_request_, &pause_request_, &resume_request_, &tare_request_}) {
      request->store(false, std::memory_order_relaxed);
    }
    state_.measured_position = position;
    state_.measured_velocity = velocity;
    if (at_rest()) {
      reference_.anchor(position);
    } else {
      reference_.take_over(position, velocity);
    }
    impedance_.reset();
    wrists_.reset();
    state_.closed = Refusal::kNone;
    publish();
    return true;
  }

  void deactivate() {
    state_.closed = Refusal::kNotActive;
    latest_.write(state_);
  }

  // Judges a chunk and, when it is good, hands its plan to the loop. Where the loop is given
  // stamps, that of its last cycle counts as the time of receipt: stamp and update time are then of
  // one instant, whatever cycle runs meanwhile.
  Verdict submit(ChunkView chunk) {
    const State now = latest_.read();
    if (now.stamp_ns != 0) chunk.received_ns = now.stamp_ns;
    Verdict verdict;
    verdict.refusal =
        stop_request_.load(std::memory_order_acquire) ? Refusal::kStopped : now.closed;
    if (verdict.accepted()) {
      Plan* plan = intake_.blank();
      if (plan == nullptr) {
        verdict.refusal = Refusal::kLoopNotRunning;
      } else {
        Commanded commanded{now.time, now.activation, {}};
        for (std::size_t i = 0; i < count(); ++i) commanded.position[i] = now.reference[i].p;
        verdict = timeline_.admit(chunk, commanded, *plan);
        if (verdict.accepted()) intake_.send();
      }
    }
    if (verdict.accepted()) {
      ++counters_.accepted;
      counters_.rows_skipped += static_cast<std::uint64_t>(verdict.late_rows);
    } else {
      ++counters_.refused[static_cast<std::size_t>(verdict.refusal)];
    }
    counters_shared_.write(counters_);
    return verdict;
  }

  // Requests, honoured by the next cycle. A stop is latched; `reset_stop` and `resume` count only
  // at standstill.
  void stop() { stop_request_.store(true, std::memory_order_release); }
  void reset_stop() { reset_request_.store(true, std::memory_order_release); }
  void pause() { pause_request_.store(true, std::memory_order_release); }
  void resume() { resume_request_.store(true, std::memory_order_release); }
  void tare() { tare_request_.store(true, std::memory_order_release); }
  // 0: limp, 1: as configured. False when outside.
  bool set_stiffness_scale(double scale) {
    if (!(scale >= 0.0 && scale <= 1.0)) return false;
    stiffness_scale_.store(scale, std::memory_order_relaxed);
    return true;
  }

  // One control cycle.
  const State& update(const Inputs& inputs) noexcept {
    ++cycle_;
    state_.time = static_cast<double>(cycle_) * config_.period;
    state_.stamp_ns = inputs.stamp_ns;
    measure(inputs);
    obey(inputs);
    const StopReason fault = find_fault(inputs);
    receive(inputs.elapsed > 0.0 ? inputs.elapsed : config_.period);
    supervise(fault, inputs);
    reference_.step();
    comply(inputs);
    publish();
    return state_;
  }

  State state() const { return latest_.read(); }
  Counters counters() const { return counters_shared_.read(); }
  const Config& config() const { return config_; }
  const PerJoint<AxisLimits>& limits() const { return reference_.limits(); }

 private:
  static constexpr double kNever = 1e9;
  static constexpr double kSlowestSpeed = 0.05;  // scaling below this is a hold
  static constexpr double kStopReserve = 10.0;   // cycles of spare time in every promised stop
  static constexpr double kSpeedChange =
      0.02;  // scaling changes below this are not worth a new ramp
  static constexpr double kLateAgreement = 1.5;  // of start_tolerance, when a plan is taken up

  static const Config& checked(const Config& config) {
    std::string text;
    for (const std::string& problem : problems(config))
      text += (text.empty() ? "" : "\n") + problem;
    if (!text.empty()) throw std::invalid_argument(text);
    return config;
  }

  static ReferenceTiming timing(const Config& config) {
    return {config.period, config.shortest_blend, config.longest_blend};
  }

  int joints() const { return static_cast<int>(config_.joints.size()); }
  std::size_t count() const { return config_.joints.size(); }

  void measure(const Inputs& in) {
    bool good = true;
    for (std::size_t i = 0; i < count(); ++i)
      good = good && std::isfinite(in.position[i]) && std::isfinite(in.velocity[i]);
    bad_cycles_ = good ? 0 : bad_cycles_ + 1;
    if (!good) return;
    state_.measured_position = in.position;
    state_.measured_velocity = in.velocity;
  }

  void obey(const Inputs& in) {
    const bool standing = reference_.standing();
    if (reset_request_.exchange(false, std::memory_order_acq_rel) && latched_ && standing) {
      latched_ = false;
      if (state_.stop_reason == StopReason::kTrackingError) anchor_if_apart();
    }
    if (resume_request_.exchange(false, std::memory_order_acq_rel) && standing) paused_ = false;
    if (pause_request_.exchange(false, std::memory_order_acq_rel)) paused_ = true;
    if (stop_request_.exchange(false, std::memory_order_acq_rel)) latched_ = true;
    if (tare_request_.exchange(false, std::memory_order_acq_rel) && standing)
      wrists_.tare(in.wrists);
  }

  StopReason find_fault(const Inputs& in) const {
    if (!in.ready || !std::isfinite(in.speed_scaling)) return StopReason::kNotReady;
    if (bad_cycles_ > config_.state_grace) return StopReason::kStateInvalid;
    if (in.speed_scaling < kSlowestSpeed) return StopReason::kSpeedZero;
    return StopReason::kNone;
  }

  bool tracking_lost() const {
    for (std::size_t i = 0; i < count(); ++i) {
      const double tolerance = config_.joints[i].tracking_tolerance;
      const double wanted = reference_.motion()[i].p + wrists_.offset()[i].p;
      if (tolerance > 0.0 && std::abs(wanted - state_.measured_position[i]) > tolerance)
        return true;
    }
    return false;
  }

  void receive(double elapsed) {
    age_ = std::min(age_ + elapsed, kNever);
    while (Plan* plan = intake_.take()) {
      // A chunk may have been judged while the controller was activated anew.
      const bool outdated = plan->activation != state_.activation;
      if (outdated || state_.closed != Refusal::kNone || latched_ || paused_) {
        drop(plan);
        continue;
      }
      age_ = 0.0;
      if (plan->start <= state_.time) {
        waiting_.clear();
        take_up(plan);
      } else {
        waiting_.add(plan);
      }
    }
    if (Plan* plan = waiting_.due(state_.time)) take_up(plan);
  }

  void take_up(Plan* plan) {
    CurveSample planned;
    plan->sample(state_.time, planned);
    for (std::size_t i = 0; i < count(); ++i) {
      const double distance = std::abs(planned.p[i] - reference_.motion()[i].p);
      if (distance > kLateAgreement * config_.joints[i].start_tolerance) return drop(plan);
    }
    reference_.follow(*plan, state_.time, std::max(kSlowestSpeed, state_.speed_scaling));
    intake_.release(plan_);
    plan_ = plan;
  }

  void drop(Plan* plan) {
    ++state_.dropped;
    intake_.release(plan);
  }

  void supervise(StopReason fault, const Inputs& in) {
    if (fault != StopReason::kNone) {
      fault_ = fault;
    } else if (fault_ != StopReason::kNone && reference_.standing() && at_rest()) {
      // The robot may have been moved, or have stayed where it was while the reference ran on.
      anchor_if_apart();
      fault_ = StopReason::kNone;
    }
    if (std::isfinite(in.speed_scaling))
      state_.speed_scaling = std::clamp(in.speed_scaling, 0.0, 1.0);
    if (tracking_lost() && !latched_) {
      latched_ = true;
      end_motion(StopReason::kTrackingError);
    }
    if (latched_) {
      end_motion(StopReason::kRequested);
    } else if (fault_ != StopReason::kNone) {
      end_motion(fault_);
    } else if (paused_) {
      end_motion(StopReason::kPaused);
    } else if (tracking()) {
      if (reference_.path().time() >= plan_->stop_begin) {
        end_motion(StopReason::kEndOfData);
      } else if (age_ >= plan_->blind_begin || too_late_to_wait()) {
        end_motion(StopReason::kBlindLimit);
      } else if (std::abs(state_.speed_scaling - reference_.path().rate_target()) > kSpeedChange) {
        reference_.scale(state_.speed_scaling);
      }
    }
    if (!latched_ && fault_ == StopReason::kNone && !paused_) {
      state_.closed = Refusal::kNone;
    } else {
      state_.closed = latched_                           ? Refusal::kStopped
                      : fault_ == StopReason::kSpeedZero ? Refusal::kSpeedZero
                      : fault_ != StopReason::kNone      ? Refusal::kFault
                                                         : Refusal::kPaused;
      waiting_.clear();
    }
  }

  // Whether the promised standstill after the last accepted chunk would be missed by going on.
  bool too_late_to_wait() const {
    const double left = config_.standstill_limit - 2.0 * kStopReserve * config_.period - age_;
    return left < 0.0 || reference_.quickest_stop() >= left;
  }

  bool tracking() const { return reference_.on_path() && reference_.path().travelling(); }

  bool at_rest() const {
    for (std::size_t i = 0; i < count(); ++i) {
      if (!(std::abs(state_.measured_velocity[i]) <= config_.standstill_speed)) return false;
    }
    return bad_cycles_ == 0;
  }

  void end_motion(StopReason reason) {
    if (!tracking()) return;
    const double left = config_.standstill_limit - kStopReserve * config_.period - age_;
    reference_.stop(reason == StopReason::kEndOfData, left);
    state_.stop_reason = reason;
    ++state_.stops[static_cast<std::size_t>(reason)];
  }

  // Only at standstill, and only when the difference is more than lag and noise: it is a step of
  // the reference.
  void anchor_if_apart() {
    bool apart = false;
    for (std::size_t i = 0; i < count(); ++i) {
      const double there = reference_.motion()[i].p + wrists_.offset()[i].p;
      apart = apart || std::abs(state_.measured_position[i] - there) > config_.anchor_tolerance;
    }
    if (!apart) return;
    reference_.anchor(state_.measured_position);
    wrists_.reset();
    ++state_.anchors;
  }

  void drop_plans() {
    while (Plan* plan = intake_.take()) intake_.release(plan);
    waiting_.clear();
    intake_.release(plan_);
    plan_ = nullptr;
  }

  void comply(const Inputs& in) {
    const PerJoint<Motion>& motion = reference_.motion();
    state_.stiffness_scale = 1.0;
    if (config_.compliance == Compliance::kImpedance) {
      state_.command =
          impedance_.update(motion, state_.measured_position, state_.measured_velocity,
                            in.feedforward, stiffness_scale_.load(std::memory_order_relaxed));
      state_.stiffness_scale = impedance_.scale();
      return;
    }
    if (config_.compliance == Compliance::kAdmittance) wrists_.update(in.wrists);
    for (std::size_t i = 0; i < count(); ++i) {
      state_.offset[i] = wrists_.offset()[i].p;
      state_.command[i] = motion[i].p + state_.offset[i];
    }
  }

  Mode mode() const {
    if (tracking()) return Mode::kTracking;
    if (!reference_.standing()) return Mode::kStopping;
    if (latched_) return Mode::kStopped;
    if (fault_ != StopReason::kNone) return Mode::kFault;
    return paused_ ? Mode::kPaused : Mode::kHold;
  }

  void publish() {
    state_.mode = mode();
    state_.reference = reference_.motion();
    state_.limited = reference_.limited();
    state_.samples_limited += state_.limited ? 1 : 0;
    state_.splices = reference_.splices();
    state_.deviation = reference_.deviation();
    state_.largest_deviation = std::max(state_.largest_deviation, state_.deviation);
    state_.chunk_age = age_ < kNever ? age_ : std::numeric_limits<double>::quiet_NaN();
    if (reference_.on_path()) {
      const Path& path = reference_.path();
      state_.plan_remaining = std::max(0.0, plan_->last_row() - path.time());
      state_.plan_rate = path.rate();
      state_.blend = path.progress();
      state_.session = plan_->session;
      state_.sequence = plan_->sequence;
      for (std::size_t g = 0; g < static_cast<std::size_t>(plan_->grippers); ++g) {
        if (!plan_->gripper_known[g]) continue;
        state_.gripper[g] = plan_->gripper_at(path.time())[g];
        state_.gripper_set[g] = true;
      }
    } else {
      state_.plan_remaining = state_.plan_rate = 0.0;
      state_.blend = 1.0;
    }
    latest_.write(state_);
  }

  Config config_;
  Timeline timeline_;
  Reference reference_;
  Impedance impedance_;
  Wrists wrists_;
  Intake intake_;
  Waiting waiting_{intake_};
  Plan* plan_ = nullptr;

  State state_;
  Latest<State> latest_;
  Counters counters_;
  Latest<Counters> counters_shared_;

  std::uint64_t cycle_ = 0;
  double age_ = kNever;
  int bad_cycles_ = 0;
  bool latched_ = false;
  bool paused_ = false;
  StopReason fault_ = StopReason::kNone;

  std::atomic<bool> stop_request_{false};
  std::atomic<bool> reset_request_{false};
  std::atomic<bool> pause_request_{false};
  std::atomic<bool> resume_request_{false};
  std::atomic<bool> tare_request_{false};
  std::atomic<double> stiffness_scale_{1.0};
};

}  // namespace labvla::control
