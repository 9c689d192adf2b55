// From a message to a plan: checks on entry, names to columns, stamps to update time, rows to a
// feasible curve.
//
// Runs outside the control loop. It uses no heap either, but takes as long as a chunk needs (well
// below a millisecond).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "labvla_control/core/cadence.hpp"
#include "labvla_control/core/config.hpp"
#include "labvla_control/core/joint_stop.hpp"
#include "labvla_control/core/path.hpp"
#include "labvla_control/core/plan.hpp"
#include "labvla_control/core/spline.hpp"
#include "labvla_control/core/types.hpp"

namespace labvla::control {

// A named table, row-major, owned by the caller.
struct TableView {
  const std::string_view* names = nullptr;
  std::size_t columns = 0;
  const double* values = nullptr;
  std::size_t size = 0;
};

// A labvla_msgs/ActionChunk without its ROS types. All stamps are of one clock, the sender's,
// `received_ns` included: only differences are used, so integers keep them exact whatever the
// epoch.
struct ChunkView {
  TableView joints;
  TableView grippers;
  std::size_t rows = 0;
  double dt = 0.0;
  std::int64_t plan_start_ns = 0;
  std::int64_t observation_ns = 0;
  std::int64_t received_ns = 0;
  std::uint64_t session = 0;
  std::uint64_t sequence = 0;
};

struct Verdict {
  Refusal refusal = Refusal::kNone;
  int joint = -1;           // index in the configuration; -1 when none is to blame
  double value = 0.0;       // what came
  double expected = 0.0;    // the bound it broke
  int late_rows = 0;        // already past, skipped
  double row_change = 0.0;  // [rad] largest change of a row that the operating limits asked for

  bool accepted() const { return refusal == Refusal::kNone; }
};

// The state of the loop that a chunk is judged against.
struct Commanded {
  double time = 0.0;  // [s] update time
  std::uint64_t activation = 0;
  PerJoint<> position{};
};

class Timeline {
 public:
  explicit Timeline(const Config& config) : config_(config) {
    stop_limits_ = reference_limits(config);
    for (std::size_t i = 0; i < config.joints.size(); ++i)
      limits_[i] = plan_limits(stop_limits_[i], config.plan_share);
  }

  // What the reference may use: all of the operating limits, or what an admittance offset leaves of
  // them.
  static PerJoint<AxisLimits> reference_limits(const Config& config) {
    PerJoint<AxisLimits> limits{};
    double reserved = 0.0;
    if (config.compliance == Compliance::kAdmittance) {
      for (const AdmittanceConfig& wrist : config.wrists)
        reserved = std::max(reserved, wrist.max_joint_offset);
    }
    for (std::size_t i = 0; i < config.joints.size(); ++i) {
      AxisLimits& l = limits[i] = operating_axis(config.joints[i]);
      l.lower += reserved;
      l.upper -= reserved;
      l.velocity *= share(config);
      l.acceleration *= share(config);
      l.jerk *= share(config);
    }
    return limits;
  }

  // Fills `plan` when the verdict accepts.
  Verdict admit(const ChunkView& chunk, const Commanded& commanded, Plan& plan) {
    Verdict verdict = check_shape(chunk);
    if (verdict.accepted()) verdict = map_names(chunk);
    if (verdict.accepted()) verdict = check_values(chunk);
    if (verdict.accepted()) verdict = check_sequence(chunk);
    if (verdict.accepted()) verdict = check_times(chunk);
    if (verdict.accepted()) verdict = check_first_row(chunk, commanded);
    if (!verdict.accepted()) return verdict;
    verdict.late_rows = first_due(chunk);
    build(chunk, commanded, plan);
    verdict.row_change = plan.row_change;
    remember(chunk);
    return verdict;
  }

 private:
  static double share(const Config& config) {
    double taken = 0.0;
    if (config.compliance == Compliance::kAdmittance) {
      for (const AdmittanceConfig& wrist : config.wrists) taken = std::max(taken, wrist.share);
    }
    return 1.0 - taken;
  }

  static AxisLimits plan_limits(AxisLimits l, double share) {
    // A splice needs room beside the plan, most of all in acceleration.
    constexpr double kSpeedShare = 0.95;
    l.velocity *= kSpeedShare;
    l.acceleration *= share;
    l.jerk *= share;
    return l;
  }

  static Verdict refuse(Refusal refusal, double value = 0.0, double expected = 0.0,
                        int joint = -1) {
    Verdict verdict;
    verdict.refusal = refusal;
    verdict.value = value;
    verdict.expected = expected;
    verdict.joint = joint;
    return verdict;
  }

  std::size_t joints() const { return config_.joints.size(); }

  Verdict check_shape(const ChunkView& c) const {
    if (c.rows < 2 || c.rows > kMaxRows)
      return refuse(Refusal::kBadShape, static_cast<double>(c.rows), kMaxRows);
    if (c.joints.columns > kMaxJoints || c.joints.size != c.rows * c.joints.columns) {
      return refuse(Refusal::kBadShape, static_cast<double>(c.joints.size),
                    static_cast<double>(c.rows * joints()));
    }
    if (c.grippers.columns > kMaxGrippers || c.grippers.size != c.rows * c.grippers.columns) {
      return refuse(Refusal::kBadShape, static_cast<double>(c.grippers.size),
                    static_cast<double>(c.rows * config_.grippers.size()));
    }
    constexpr double kShortestRow = 0.001;
    constexpr double kLongestRow = 1.0;
    if (!(c.dt >= kShortestRow && c.dt <= kLongestRow))
      return refuse(Refusal::kBadRowPeriod, c.dt, kLongestRow);
    return {};
  }

  template <typename Named, std::size_t kSize>
  static Verdict map_columns(const TableView& table, const std::vector<Named>& known,
                             std::array<int, kSize>& column) {
    column.fill(-1);
    for (std::size_t c = 0; c < table.columns; ++c) {
      const auto found = std::find_if(known.begin(), known.end(),
                                      [&](const Named& n) { return n.name == table.names[c]; });
      if (found == known.end()) return refuse(Refusal::kUnknownName, static_cast<double>(c));
      int& slot = column[static_cast<std::size_t>(found - known.begin())];
      if (slot >= 0) return refuse(Refusal::kRepeatedName, static_cast<double>(c));
      slot = static_cast<int>(c);
    }
    return {};
  }

  Verdict map_names(const ChunkView& c) {
    Verdict verdict = map_columns(c.joints, config_.joints, joint_column_);
    if (verdict.accepted()) verdict = map_columns(c.grippers, config_.grippers, gripper_column_);
    if (!verdict.accepted()) return verdict;
    for (std::size_t i = 0; i < joints(); ++i) {
      if (joint_column_[i] < 0)
        return refuse(Refusal::kMissingJoint, 0.0, 0.0, static_cast<int>(i));
    }
    return {};
  }

  double target(const ChunkView& c, std::size_t row, std::size_t joint) const {
    return c.joints.values[row * c.joints.columns + static_cast<std::size_t>(joint_column_[joint])];
  }

  Verdict check_values(const ChunkView& c) const {
    for (std::size_t row = 0; row < c.rows; ++row) {
      for (std::size_t i = 0; i < joints(); ++i) {
        if (!std::isfinite(target(c, row, i))) {
          return refuse(Refusal::kNonFinite, static_cast<double>(row), 0.0, static_cast<int>(i));
        }
      }
    }
    for (std::size_t k = 0; k < c.grippers.size; ++k) {
      if (!std::isfinite(c.grippers.values[k])) {
        return refuse(Refusal::kNonFinite, static_cast<double>(k / c.grippers.columns));
      }
    }
    return {};
  }

  // A restarted producer counts from the start again, under a new session; what an old session
  // still sends is stale.
  Verdict check_sequence(const ChunkView& c) const {
    if (!any_) return {};
    if (c.session == session_) {
      if (c.sequence > sequence_) return {};
      return refuse(Refusal::kOldSequence, static_cast<double>(c.sequence),
                    static_cast<double>(sequence_));
    }
    if (std::find(retired_.begin(), retired_.begin() + static_cast<std::ptrdiff_t>(retired_count_),
                  c.session) != retired_.begin() + static_cast<std::ptrdiff_t>(retired_count_)) {
      return refuse(Refusal::kOldSequence, static_cast<double>(c.sequence));
    }
    return {};
  }

  // In unsigned arithmetic, since a hostile stamp may not overflow.
  static double seconds_between(std::int64_t from_ns, std::int64_t to_ns) {
    return static_cast<double>(static_cast<std::int64_t>(static_cast<std::uint64_t>(to_ns) -
                                                         static_cast<std::uint64_t>(from_ns))) *
           1e-9;
  }

  static double lead(const ChunkView& c) { return seconds_between(c.received_ns, c.plan_start_ns); }

  Verdict check_times(const ChunkView& c) const {
    const double observed = seconds_between(c.observation_ns, c.received_ns);
    if (observed < -config_.clock_tolerance) {
      return refuse(Refusal::kObservationAhead, -observed, config_.clock_tolerance);
    }
    if (observed > config_.longest_age)
      return refuse(Refusal::kTooOld, observed, config_.longest_age);
    if (lead(c) > config_.longest_lead)
      return refuse(Refusal::kStartsTooFarAhead, lead(c), config_.longest_lead);
    const double left = lead(c) + c.dt * static_cast<double>(c.rows - 1);
    if (left <= 0.0) return refuse(Refusal::kEndsInPast, left, 0.0);
    return {};
  }

  Verdict check_first_row(const ChunkView& c, const Commanded& commanded) const {
    const double position = std::max(0.0, -lead(c) / c.dt);
    const std::size_t k = std::min(static_cast<std::size_t>(position), c.rows - 2);
    const double u = position - static_cast<double>(k);
    for (std::size_t i = 0; i < joints(); ++i) {
      const double first = (1.0 - u) * target(c, k, i) + u * target(c, k + 1, i);
      const double distance = std::abs(first - commanded.position[i]);
      const double allowed = config_.joints[i].start_tolerance +
                             std::max(0.0, lead(c)) * config_.joints[i].operating.velocity;
      if (distance > allowed)
        return refuse(Refusal::kFirstRowFar, distance, allowed, static_cast<int>(i));
    }
    return {};
  }

  static int first_due(const ChunkView& c) {
    return std::clamp(static_cast<int>(std::ceil(-lead(c) / c.dt)), 0,
                      static_cast<int>(c.rows) - 1);
  }

  void build(const ChunkView& c, const Commanded& commanded, Plan& plan) {
    // Two rows of the past are kept: they tell the curve how fast it already is.
    const std::size_t current = static_cast<std::size_t>(std::max(0, first_due(c) - 1));
    const std::size_t dropped = current > 2 ? current - 2 : 0;
    const std::size_t first = current - dropped;
    plan.rows = static_cast<int>(c.rows - dropped);
    plan.joints = static_cast<int>(joints());
    plan.row_period = c.dt;
    plan.start = commanded.time + lead(c) + c.dt * static_cast<double>(dropped);
    plan.accepted = commanded.time;
    plan.activation = commanded.activation;
    plan.session = c.session;
    plan.sequence = c.sequence;
    plan.row_change = 0.0;
    cadence_.accept(commanded.activation, c.session, commanded.time);
    fitter_.begin(plan.rows, static_cast<int>(first), c.dt);
    for (std::size_t i = 0; i < joints(); ++i) {
      for (std::size_t k = dropped; k < c.rows; ++k) column_[k - dropped] = target(c, k, i);
      const double change = fitter_.fit(column_, curvature_, limits_[i]);
      plan.row_change = std::max(plan.row_change, change);
      for (std::size_t k = 0; k < static_cast<std::size_t>(plan.rows); ++k) {
        plan.value[k][i] = column_[k];
        plan.curvature[k][i] = curvature_[k];
      }
    }
    plan.grippers = c.grippers.columns == 0 ? 0 : static_cast<int>(config_.grippers.size());
    for (std::size_t g = 0; g < static_cast<std::size_t>(plan.grippers); ++g) {
      const GripperConfig& gripper = config_.grippers[g];
      plan.gripper_known[g] = gripper_column_[g] >= 0;
      if (!plan.gripper_known[g]) continue;
      for (std::size_t k = dropped; k < c.rows; ++k) {
        const double value =
            c.grippers
                .values[k * c.grippers.columns + static_cast<std::size_t>(gripper_column_[g])];
        plan.gripper[k - dropped][g] = std::clamp(value, gripper.lower, gripper.upper);
      }
    }
    run_out(plan);
    schedule_stop(plan);
  }

  // When the loop must begin to slow down if nothing better comes: late enough to use the rows,
  // early enough to end on the last one where that is possible, and in time for the standstill that
  // a silent sender is promised.
  void schedule_stop(Plan& plan) const {
    Path path(stop_limits_, plan.joints);
    plan.stop_begin = end_of_data(plan) - 2.0 * config_.period;

    constexpr double kStep = 0.025;
    const double reserve = 10.0 * config_.period;
    plan.blind_begin = config_.blind_limit;
    for (; plan.blind_begin > kStep; plan.blind_begin -= kStep) {
      const double time = plan.accepted + plan.blind_begin;
      if (time >= plan.stop_begin) break;
      if (plan.blind_begin + stop_duration(path, plan, time) + reserve <= config_.standstill_limit)
        break;
    }
  }

  // A stop that ends on the last row begins `rest` before it. Where fewer rows are left, or where
  // the next chunk of this sender is due before the arm would stand, the stop overruns the last
  // row instead: to slow down at every chunk of a steady stream with short horizons would be to
  // fall behind for ever.
  double end_of_data(const Plan& plan) const {
    Path path(stop_limits_, plan.joints);
    const double left = std::min(plan.last_row() - std::max(plan.start, plan.accepted),
                                 config_.standstill_limit / 2.0);
    const auto ends_on_last_row = [&](double rest) {
      path.take(plan, plan.last_row() - rest, 1.0);
      return path.stop(kShortestStop, 2.0 * rest + kTimeRounding, true);
    };
    const double rest = smallest_time(kShortestStop / 2.0, left, ends_on_last_row);
    const double begin = plan.last_row() - (rest < left ? rest : 0.0);
    const double due = plan.accepted + cadence_.longest();
    return due < plan.end() + rest ? std::max(begin, std::min(due, plan.end())) : begin;
  }

  // The motion of the last row goes on for as long as every joint could still stop inside its
  // range.
  void run_out(Plan& plan) const {
    CurveSample last;
    plan.sample(plan.last_row(), last);
    PerJoint<Motion> motion{};
    for (std::size_t i = 0; i < joints(); ++i) motion[i] = {last.p[i], last.v[i], last.a[i]};
    plan.run_out = Settling(motion, limits_, plan.joints, 1.0);
    plan.overrun = config_.longest_overrun;
    for (std::size_t i = 0; i < joints(); ++i) {
      const AxisLimits& l = limits_[i];
      const Motion& m = plan.run_out.settled(i);
      const double speed = std::abs(m.v);
      const double room = m.v > 0.0 ? l.upper - m.p : m.p - l.lower;
      const double braking = speed / 2.0 * (speed / l.acceleration + l.acceleration / l.jerk);
      const double reach = plan.run_out.duration() + (room - braking) / std::max(speed, 1e-6);
      plan.overrun = speed <= l.velocity ? std::clamp(reach, 0.0, plan.overrun) : 0.0;
    }
  }

  double stop_duration(Path& path, const Plan& plan, double time) const {
    path.take(plan, time, 1.0);
    CurveSample sample;
    path.sample(0.0, sample);
    PerJoint<Motion> motion{};
    for (std::size_t i = 0; i < joints(); ++i) motion[i] = {sample.p[i], sample.v[i], sample.a[i]};
    JointStop joint_stop;
    joint_stop.start(motion, stop_limits_, plan.joints);
    const bool along_path = path.stop(kShortestStop, joint_stop.longest_path_stop(), false);
    return along_path ? path.stop_duration() : joint_stop.duration();
  }

  void remember(const ChunkView& c) {
    if (any_ && c.session != session_) {
      retired_[retired_next_] = session_;
      retired_next_ = (retired_next_ + 1) % retired_.size();
      retired_count_ = std::min(retired_count_ + 1, retired_.size());
    }
    any_ = true;
    session_ = c.session;
    sequence_ = c.sequence;
  }

  static constexpr double kShortestStop = 0.04;
  static constexpr double kTimeRounding = 1e-9;

  const Config& config_;
  PerJoint<AxisLimits> limits_{};
  PerJoint<AxisLimits> stop_limits_{};
  std::array<int, kMaxJoints> joint_column_{};
  std::array<int, kMaxGrippers> gripper_column_{};
  RowFitter fitter_;
  Cadence cadence_;
  Column column_{};
  Column curvature_{};
  bool any_ = false;
  std::uint64_t session_ = 0;
  std::uint64_t sequence_ = 0;
  std::array<std::uint64_t, 8> retired_{};
  std::size_t retired_next_ = 0;
  std::size_t retired_count_ = 0;
};

}  // namespace labvla::control
