// The test plants and the batch simulation.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>

#include "bound_state.hpp"
#include "convert.hpp"
#include "labvla_control/plant/servo_plant.hpp"
#include "labvla_control/plant/simulation.hpp"
#include "opaque.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace labvla;
using namespace labvla::python;

namespace {

// Grows by one row per cycle; becomes numpy arrays at the end.
class Recorder {
 public:
  Recorder(std::size_t joints, std::size_t grippers) : joints_(joints), grippers_(grippers) {}

  void operator()(const control::State& s) {
    time_.push_back(s.time);
    mode_.push_back(static_cast<std::uint8_t>(s.mode));
    reason_.push_back(static_cast<std::uint8_t>(s.stop_reason));
    limited_.push_back(s.limited ? 1 : 0);
    anchors_.push_back(static_cast<std::int64_t>(s.anchors));
    sequence_.push_back(static_cast<std::int64_t>(s.sequence));
    splices_.push_back(static_cast<std::int64_t>(s.splices));
    deviation_.push_back(s.deviation);
    blend_.push_back(s.blend);
    rate_.push_back(s.plan_rate);
    for (std::size_t i = 0; i < joints_; ++i) {
      position_.push_back(s.reference[i].p);
      velocity_.push_back(s.reference[i].v);
      acceleration_.push_back(s.reference[i].a);
      command_.push_back(s.command[i]);
      measured_.push_back(s.measured_position[i]);
    }
    for (std::size_t g = 0; g < grippers_; ++g) {
      gripper_.push_back(s.gripper_set[g] ? s.gripper[g]
                                          : std::numeric_limits<double>::quiet_NaN());
    }
  }

  nb::dict arrays() {
    nb::dict out;
    out["time"] = to_numpy(std::move(time_), 0);
    out["mode"] = to_numpy(std::move(mode_), 0);
    out["stop_reason"] = to_numpy(std::move(reason_), 0);
    out["limited"] = to_numpy(std::move(limited_), 0);
    out["anchors"] = to_numpy(std::move(anchors_), 0);
    out["sequence"] = to_numpy(std::move(sequence_), 0);
    out["splices"] = to_numpy(std::move(splices_), 0);
    out["deviation"] = to_numpy(std::move(deviation_), 0);
    out["blend"] = to_numpy(std::move(blend_), 0);
    out["plan_rate"] = to_numpy(std::move(rate_), 0);
    out["position"] = to_numpy(std::move(position_), joints_);
    out["velocity"] = to_numpy(std::move(velocity_), joints_);
    out["acceleration"] = to_numpy(std::move(acceleration_), joints_);
    out["command"] = to_numpy(std::move(command_), joints_);
    out["measured"] = to_numpy(std::move(measured_), joints_);
    if (grippers_ > 0) out["gripper"] = to_numpy(std::move(gripper_), grippers_);
    return out;
  }

 private:
  std::size_t joints_;
  std::size_t grippers_;
  std::vector<double> time_, deviation_, blend_, rate_, position_, velocity_, acceleration_,
      command_, measured_, gripper_;
  std::vector<std::uint8_t> mode_, reason_, limited_;
  std::vector<std::int64_t> anchors_, sequence_, splices_;
};

using EventTuple = std::tuple<double, plant::EventKind, double>;

nb::dict run_stream(const control::Config& config, const Vector& start,
                    std::vector<std::pair<double, const Chunk*>> chunks, double duration,
                    const std::vector<EventTuple>& events, plant::TorquePlant* plant) {
  BoundController controller(config);
  const control::PerJoint<> from = per_joint(start, controller.joints(), "start");
  if (!controller.core->activate(from)) {
    throw std::invalid_argument("start: a position is not finite or outside its hardware limits");
  }
  std::vector<ChunkBorrow> borrows;
  std::vector<plant::Delivery> deliveries;
  borrows.reserve(chunks.size());
  for (const auto& [time, chunk] : chunks) {
    borrows.emplace_back(*chunk, 0);
    deliveries.push_back({time, borrows.back().view()});
  }
  plant::Options options{duration, {}, plant};
  for (const auto& [time, kind, value] : events) options.events.push_back({time, kind, value});
  Recorder recorder(controller.joints(), config.grippers.size());
  std::vector<std::int64_t> refusal(chunks.size(), -1);
  std::vector<double> change(chunks.size(), 0.0);
  {
    nb::gil_scoped_release release;
    plant::simulate(*controller.core, from, deliveries, options, recorder,
                    [&](std::size_t i, const control::Verdict& v) {
                      refusal[i] = static_cast<std::int64_t>(v.refusal);
                      change[i] = v.row_change;
                    });
  }
  nb::dict out = recorder.arrays();
  out["refusal"] = to_numpy(std::move(refusal), 0);
  out["row_change"] = to_numpy(std::move(change), 0);
  const control::State state = controller.core->state();
  out["dropped"] = state.dropped;
  out["samples_limited"] = state.samples_limited;
  return out;
}

}  // namespace

void bind_plant(nb::module_& m) {
  nb::enum_<plant::EventKind>(m, "EventKind")
      .value("STOP", plant::EventKind::kStop)
      .value("RESET_STOP", plant::EventKind::kResetStop)
      .value("PAUSE", plant::EventKind::kPause)
      .value("RESUME", plant::EventKind::kResume)
      .value("READY", plant::EventKind::kReady)
      .value("SPEED_SCALING", plant::EventKind::kSpeedScaling)
      .value("MEASURED_VALID", plant::EventKind::kMeasuredValid)
      .value("STIFFNESS_SCALE", plant::EventKind::kStiffnessScale)
      .value("DISPLACE", plant::EventKind::kDisplace);

  nb::class_<plant::JointPlant>(m, "JointPlant", "One torque-driven joint.")
      .def(nb::init<>())
      .def_rw("inertia", &plant::JointPlant::inertia)
      .def_rw("viscous", &plant::JointPlant::viscous)
      .def_rw("coulomb", &plant::JointPlant::coulomb)
      .def_rw("payload", &plant::JointPlant::payload)
      .def_rw("payload_angle", &plant::JointPlant::payload_angle)
      .def_rw("wall", &plant::JointPlant::wall)
      .def_rw("wall_stiffness", &plant::JointPlant::wall_stiffness)
      .def_rw("wall_damping", &plant::JointPlant::wall_damping);
  nb::class_<plant::TorquePlant>(
      m, "TorquePlant", "Torque-driven joints with gravity compensated and one cycle of delay.")
      .def(
          "__init__",
          [](plant::TorquePlant* self, std::vector<plant::JointPlant> joints,
             std::vector<double> position, double period, double position_noise,
             double velocity_noise, std::uint64_t seed) {
            if (joints.size() != position.size() || joints.size() > control::kMaxJoints) {
              throw std::invalid_argument(
                  "plant: expected as many positions as joints, 16 at most");
            }
            new (self) plant::TorquePlant(std::move(joints), position, period,
                                          {position_noise, velocity_noise}, seed);
          },
          "joints"_a, "position"_a, "period"_a, nb::kw_only(), "position_noise"_a = 0.0,
          "velocity_noise"_a = 0.0, "seed"_a = 1)
      .def(
          "step",
          [](plant::TorquePlant& p, const Vector& torque) {
            p.step(per_joint(torque, p.count(), "torque"));
          },
          "torque"_a)
      .def("contact", &plant::TorquePlant::contact, "joint"_a)
      .def_prop_ro("position",
                   [](const plant::TorquePlant& p) { return head(p.position(), p.count()); })
      .def_prop_ro("velocity",
                   [](const plant::TorquePlant& p) { return head(p.velocity(), p.count()); })
      .def_prop_ro(
          "measured_position",
          [](const plant::TorquePlant& p) { return head(p.measured_position(), p.count()); })
      .def_prop_ro("measured_velocity", [](const plant::TorquePlant& p) {
        return head(p.measured_velocity(), p.count());
      });

  nb::class_<plant::ServoArm>(m, "ServoArm",
                              "A planar position-servoed arm with a wrist sensor and a wall.")
      .def(nb::init<>())
      .def_rw("links", &plant::ServoArm::links)
      .def_rw("lag", &plant::ServoArm::lag)
      .def_rw("wall", &plant::ServoArm::wall)
      .def_rw("wall_stiffness", &plant::ServoArm::wall_stiffness)
      .def_rw("wall_damping", &plant::ServoArm::wall_damping)
      .def_rw("force_noise", &plant::ServoArm::force_noise)
      .def_rw("payload_mass", &plant::ServoArm::payload_mass);
  nb::class_<plant::ServoPlant>(
      m, "ServoPlant", "Follows position commands with a lag and reports the wrist wrench.")
      .def(
          "__init__",
          [](plant::ServoPlant* self, plant::ServoArm arm, std::vector<double> position,
             double period, std::uint64_t seed) {
            if (arm.links.size() != position.size() || position.size() > control::kMaxJoints) {
              throw std::invalid_argument("plant: expected as many positions as links, 16 at most");
            }
            new (self) plant::ServoPlant(std::move(arm), position, period, seed);
          },
          "arm"_a, "position"_a, "period"_a, nb::kw_only(), "seed"_a = 1)
      .def(
          "step",
          [](plant::ServoPlant& p, const Vector& command) {
            p.step(per_joint(command, p.count(), "command"));
          },
          "command"_a)
      .def("push", &plant::ServoPlant::push, "x"_a, "y"_a)
      .def_prop_ro("position",
                   [](const plant::ServoPlant& p) { return head(p.position(), p.count()); })
      .def_prop_ro("velocity",
                   [](const plant::ServoPlant& p) { return head(p.velocity(), p.count()); })
      .def_prop_ro("wrench", [](const plant::ServoPlant& p) { return head(p.wrist().wrench, 6); })
      .def_prop_ro("rotation",
                   [](const plant::ServoPlant& p) {
                     return to_numpy(
                         std::vector<double>(p.wrist().rotation.begin(), p.wrist().rotation.end()),
                         3);
                   })
      .def_prop_ro("jacobian",
                   [](const plant::ServoPlant& p) {
                     std::vector<double> out;
                     for (const auto& row : p.wrist().jacobian)
                       out.insert(out.end(), row.begin(),
                                  row.begin() + static_cast<long>(p.count()));
                     return to_numpy(std::move(out), p.count());
                   })
      .def_prop_ro("tool_x", &plant::ServoPlant::tool_x)
      .def_prop_ro("tool_y", &plant::ServoPlant::tool_y)
      .def_prop_ro("contact", &plant::ServoPlant::contact);

  m.def("run_stream", &run_stream, "config"_a, "start"_a, "chunks"_a, "duration"_a, "events"_a,
        "plant"_a.none());
}
