// Chunks, verdicts, states and the controller itself, one cycle at a time.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <optional>
#include <sstream>

#include "bound_state.hpp"
#include "convert.hpp"
#include "opaque.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace labvla::control;
using namespace labvla::python;

namespace {

Chunk make_chunk(std::vector<std::string> joint_names, const Matrix& targets, double dt,
                 std::int64_t plan_start_ns, std::uint64_t sequence,
                 std::optional<std::int64_t> observation_ns, std::uint64_t session,
                 std::vector<std::string> gripper_names, std::optional<Matrix> gripper_targets) {
  Chunk chunk;
  chunk.joint_names = std::move(joint_names);
  chunk.targets.assign(targets.data(), targets.data() + targets.size());
  chunk.target_columns = targets.shape(1);
  chunk.rows = targets.shape(0);
  chunk.gripper_names = std::move(gripper_names);
  if (gripper_targets) {
    chunk.gripper_targets.assign(gripper_targets->data(),
                                 gripper_targets->data() + gripper_targets->size());
  }
  chunk.dt = dt;
  chunk.plan_start_ns = plan_start_ns;
  chunk.observation_ns = observation_ns.value_or(plan_start_ns);
  chunk.session = session;
  chunk.sequence = sequence;
  return chunk;
}

std::string describe(const Verdict& v, const Config& config) {
  if (v.accepted()) return "accepted";
  std::ostringstream text;
  text << name(v.refusal);
  if (v.joint >= 0)
    text << " at joint '" << config.joints[static_cast<std::size_t>(v.joint)].name << "'";
  text << ": got " << v.value << ", bound " << v.expected;
  return text.str();
}

WristInput wrist_input(const Vector& wrench, const std::optional<Matrix>& rotation,
                       const Matrix& jacobian, std::size_t joints) {
  if (wrench.shape(0) != 6 || jacobian.shape(0) != 6 || jacobian.shape(1) != joints) {
    throw std::invalid_argument("wrist: expected a wrench of 6 and a jacobian of 6 x joints");
  }
  if (rotation && (rotation->shape(0) != 3 || rotation->shape(1) != 3)) {
    throw std::invalid_argument("wrist: expected a 3 x 3 rotation");
  }
  WristInput wrist;
  wrist.valid = true;
  std::copy_n(wrench.data(), 6, wrist.wrench.begin());
  if (rotation) std::copy_n(rotation->data(), 9, wrist.rotation.begin());
  for (std::size_t r = 0; r < 6; ++r)
    std::copy_n(jacobian.data() + r * joints, joints, wrist.jacobian[r].begin());
  return wrist;
}

void bind_enums(nb::module_& m) {
  nb::enum_<Mode>(m, "Mode")
      .value("HOLD", Mode::kHold)
      .value("TRACKING", Mode::kTracking)
      .value("STOPPING", Mode::kStopping)
      .value("STOPPED", Mode::kStopped)
      .value("PAUSED", Mode::kPaused)
      .value("FAULT", Mode::kFault);
  auto reasons = nb::enum_<StopReason>(m, "StopReason");
  for (const auto& [text, value] : upper_names<StopReason>(kStopReasons))
    reasons.value(text, value);
  auto refusals = nb::enum_<Refusal>(m, "Refusal");
  for (const auto& [text, value] : upper_names<Refusal>(kRefusals)) refusals.value(text, value);
}

void bind_values(nb::module_& m) {
  nb::class_<Chunk>(
      m, "Chunk",
      "A short plan: row k is the target at plan_start_ns + k * dt. Stamps are of one clock.")
      .def(nb::new_(&make_chunk), "joint_names"_a, "targets"_a, "dt"_a, nb::kw_only(),
           "plan_start_ns"_a, "sequence"_a, "observation_ns"_a = nb::none(), "session"_a = 0,
           "gripper_names"_a = std::vector<std::string>{}, "gripper_targets"_a = nb::none())
      .def_ro("rows", &Chunk::rows)
      .def_ro("dt", &Chunk::dt)
      .def_ro("plan_start_ns", &Chunk::plan_start_ns)
      .def_ro("observation_ns", &Chunk::observation_ns)
      .def_ro("session", &Chunk::session)
      .def_ro("sequence", &Chunk::sequence);

  nb::class_<BoundVerdict>(m, "Verdict", "What the controller thinks of a chunk.")
      .def_prop_ro("accepted", [](const BoundVerdict& v) { return v.verdict.accepted(); })
      .def_prop_ro("refusal", [](const BoundVerdict& v) { return v.verdict.refusal; })
      .def_prop_ro(
          "joint", [](const BoundVerdict& v) { return v.verdict.joint; },
          "Index of the joint to blame, or -1.")
      .def_prop_ro("value", [](const BoundVerdict& v) { return v.verdict.value; })
      .def_prop_ro("expected", [](const BoundVerdict& v) { return v.verdict.expected; })
      .def_prop_ro("late_rows", [](const BoundVerdict& v) { return v.verdict.late_rows; })
      .def_prop_ro("row_change", [](const BoundVerdict& v) { return v.verdict.row_change; })
      .def("__str__", [](const BoundVerdict& v) { return v.text; });

  using S = BoundState;
  const auto motion = [](double Motion::* part) {
    return [part](const S& s) {
      std::vector<double> out(s.joints);
      for (std::size_t i = 0; i < s.joints; ++i) out[i] = s.state.reference[i].*part;
      return to_numpy(std::move(out), 0);
    };
  };
  nb::class_<S>(m, "State", "After a control cycle. Arrays in the order of the configuration.")
      .def_prop_ro("time", [](const S& s) { return s.state.time; })
      .def_prop_ro("stamp_ns", [](const S& s) { return s.state.stamp_ns; })
      .def_prop_ro("activation", [](const S& s) { return s.state.activation; })
      .def_prop_ro("mode", [](const S& s) { return s.state.mode; })
      .def_prop_ro("stop_reason", [](const S& s) { return s.state.stop_reason; })
      .def_prop_ro(
          "closed", [](const S& s) { return s.state.closed; },
          "Why chunks are refused at present; NONE: welcome.")
      .def_prop_ro("limited", [](const S& s) { return s.state.limited; })
      .def_prop_ro("position", motion(&Motion::p))
      .def_prop_ro("velocity", motion(&Motion::v))
      .def_prop_ro("acceleration", motion(&Motion::a))
      .def_prop_ro("offset", [](const S& s) { return head(s.state.offset, s.joints); })
      .def_prop_ro("command", [](const S& s) { return head(s.state.command, s.joints); })
      .def_prop_ro("measured_position",
                   [](const S& s) { return head(s.state.measured_position, s.joints); })
      .def_prop_ro("measured_velocity",
                   [](const S& s) { return head(s.state.measured_velocity, s.joints); })
      .def_prop_ro(
          "gripper",
          [](const S& s) {
            PerGripper g = s.state.gripper;
            for (std::size_t i = 0; i < g.size(); ++i) {
              if (!s.state.gripper_set[i]) g[i] = std::numeric_limits<double>::quiet_NaN();
            }
            return head(g, s.grippers);
          },
          "Set-points; NaN before the first.")
      .def_prop_ro("session", [](const S& s) { return s.state.session; })
      .def_prop_ro("sequence", [](const S& s) { return s.state.sequence; })
      .def_prop_ro("chunk_age", [](const S& s) { return s.state.chunk_age; })
      .def_prop_ro("plan_remaining", [](const S& s) { return s.state.plan_remaining; })
      .def_prop_ro("plan_rate", [](const S& s) { return s.state.plan_rate; })
      .def_prop_ro("blend", [](const S& s) { return s.state.blend; })
      .def_prop_ro("deviation", [](const S& s) { return s.state.deviation; })
      .def_prop_ro("largest_deviation", [](const S& s) { return s.state.largest_deviation; })
      .def_prop_ro("speed_scaling", [](const S& s) { return s.state.speed_scaling; })
      .def_prop_ro("stiffness_scale", [](const S& s) { return s.state.stiffness_scale; })
      .def_prop_ro("anchors", [](const S& s) { return s.state.anchors; })
      .def_prop_ro("splices", [](const S& s) { return s.state.splices; })
      .def_prop_ro("samples_limited", [](const S& s) { return s.state.samples_limited; })
      .def_prop_ro("dropped", [](const S& s) { return s.state.dropped; })
      .def_prop_ro("stops", [](const S& s) {
        std::map<std::string, std::uint64_t> out;
        for (std::size_t i = 1; i < kStopReasons; ++i)
          out[name(static_cast<StopReason>(i))] = s.state.stops[i];
        return out;
      });
}

}  // namespace

void bind_controller(nb::module_& m) {
  bind_enums(m);
  bind_values(m);
  using C = BoundController;
  nb::class_<C>(m, "Controller", "The trajectory controller: submit chunks, update every period.")
      .def(nb::init<const Config&>(), "config"_a)
      .def(
          "activate",
          [](C& c, const Vector& position, const std::optional<Vector>& velocity) {
            const PerJoint<> speed =
                velocity ? per_joint(*velocity, c.joints(), "velocity") : PerJoint<>{};
            if (!c.core->activate(per_joint(position, c.joints(), "position"), speed)) {
              throw std::invalid_argument(
                  "activate: a value is not finite or a position outside its hardware limits");
            }
          },
          "position"_a, "velocity"_a = nb::none(),
          "Takes over from where the robot is; in motion it stops first.")
      .def("deactivate", [](C& c) { c.core->deactivate(); })
      .def(
          "submit",
          [](C& c, const Chunk& chunk, std::optional<std::int64_t> received_ns) {
            const std::int64_t now = static_cast<std::int64_t>(c.core->state().time * 1e9 + 0.5);
            const ChunkBorrow borrow(chunk, received_ns.value_or(now));
            const Verdict verdict = c.core->submit(borrow.view());
            return BoundVerdict{verdict, describe(verdict, c.core->config())};
          },
          "chunk"_a, "received_ns"_a = nb::none(),
          "Judges a chunk. `received_ns` is now on the clock of its stamps, unless `update` is "
          "given stamps; by default stamps count update time.")
      .def(
          "update",
          [](C& c, const Vector& position, const Vector& velocity, bool ready, double speed_scaling,
             double elapsed, std::int64_t stamp_ns, std::optional<Vector> feedforward,
             std::optional<Vector> wrench, std::optional<Matrix> rotation,
             std::optional<Matrix> jacobian) {
            Inputs in;
            in.position = per_joint(position, c.joints(), "position");
            in.velocity = per_joint(velocity, c.joints(), "velocity");
            in.ready = ready;
            in.speed_scaling = speed_scaling;
            in.elapsed = elapsed;
            in.stamp_ns = stamp_ns;
            if (feedforward) in.feedforward = per_joint(*feedforward, c.joints(), "feedforward");
            if (wrench && jacobian)
              in.wrists[0] = wrist_input(*wrench, rotation, *jacobian, c.joints());
            return c.bound(c.core->update(in));
          },
          "position"_a, "velocity"_a, nb::kw_only(), "ready"_a = true, "speed_scaling"_a = 1.0,
          "elapsed"_a = 0.0, "stamp_ns"_a = 0, "feedforward"_a = nb::none(),
          "wrench"_a = nb::none(), "rotation"_a = nb::none(), "jacobian"_a = nb::none(),
          "One control cycle with what was measured.")
      .def(
          "stop", [](C& c) { c.core->stop(); }, "Latched until reset_stop.")
      .def("reset_stop", [](C& c) { c.core->reset_stop(); })
      .def("pause", [](C& c) { c.core->pause(); })
      .def("resume", [](C& c) { c.core->resume(); })
      .def(
          "tare", [](C& c) { c.core->tare(); },
          "Takes the present wrist wrench, beyond the payload, as zero.")
      .def(
          "set_stiffness_scale",
          [](C& c, double scale) {
            if (!c.core->set_stiffness_scale(scale))
              throw std::invalid_argument("scale: expected 0 to 1");
          },
          "scale"_a)
      .def("state", [](const C& c) { return c.bound(c.core->state()); })
      .def("counters",
           [](const C& c) {
             const Counters counters = c.core->counters();
             std::map<std::string, std::uint64_t> out{{"accepted", counters.accepted},
                                                      {"rows_skipped", counters.rows_skipped}};
             for (std::size_t i = 1; i < kRefusals; ++i) {
               out[std::string("refused_") + name(static_cast<Refusal>(i))] = counters.refused[i];
             }
             return out;
           })
      .def_prop_ro(
          "limits",
          [](const C& c) {
            std::vector<double> out;
            for (std::size_t i = 0; i < c.joints(); ++i) {
              const AxisLimits& l = c.core->limits()[i];
              out.insert(out.end(), {l.lower, l.upper, l.velocity, l.acceleration, l.jerk});
            }
            return to_numpy(std::move(out), 5);
          },
          "Per joint: lower, upper, velocity, acceleration, jerk of the reference.");
}
