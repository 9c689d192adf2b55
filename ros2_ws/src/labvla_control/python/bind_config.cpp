// Configuration types.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/bind_vector.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "labvla_control/core/config_check.hpp"
#include "opaque.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace labvla::control;

void bind_config(nb::module_& m) {
  nb::enum_<CommandInterface>(m, "CommandInterface")
      .value("POSITION", CommandInterface::kPosition)
      .value("EFFORT", CommandInterface::kEffort);
  nb::enum_<EffortUnit>(m, "EffortUnit")
      .value("NEWTON_METRE", EffortUnit::kNewtonMetre)
      .value("AMPERE", EffortUnit::kAmpere);
  nb::enum_<Compliance>(m, "Compliance")
      .value("NONE", Compliance::kNone)
      .value("IMPEDANCE", Compliance::kImpedance)
      .value("ADMITTANCE", Compliance::kAdmittance);

  nb::class_<VelocityLaw>(m, "VelocityLaw", "Speed limit that shrinks towards the position limits.")
      .def(nb::init<>())
      .def_rw("offset", &VelocityLaw::offset)
      .def_rw("slope", &VelocityLaw::slope)
      .def_rw("lower", &VelocityLaw::lower)
      .def_rw("upper", &VelocityLaw::upper);
  nb::class_<HardwareLimits>(m, "HardwareLimits", "Limits at which the drive itself gives up.")
      .def(nb::init<>())
      .def_rw("lower", &HardwareLimits::lower)
      .def_rw("upper", &HardwareLimits::upper)
      .def_rw("velocity", &HardwareLimits::velocity)
      .def_rw("velocity_law", &HardwareLimits::velocity_law, nb::arg().none())
      .def("speed_up_at", &HardwareLimits::speed_up_at, "q"_a,
           "Largest positive velocity at q [rad/s].")
      .def("speed_down_at", &HardwareLimits::speed_down_at, "q"_a,
           "Largest negative speed at q [rad/s].");
  nb::class_<OperatingLimits>(m, "OperatingLimits",
                              "Limits that every sample of the reference keeps.")
      .def(nb::init<>())
      .def_rw("velocity", &OperatingLimits::velocity)
      .def_rw("acceleration", &OperatingLimits::acceleration)
      .def_rw("jerk", &OperatingLimits::jerk)
      .def_rw("position_margin", &OperatingLimits::position_margin)
      .def_rw("lower", &OperatingLimits::lower)
      .def_rw("upper", &OperatingLimits::upper);
  nb::class_<ImpedanceGains>(m, "ImpedanceGains", "Joint impedance on an effort interface.")
      .def(nb::init<>())
      .def_rw("stiffness", &ImpedanceGains::stiffness)
      .def_rw("damping_ratio", &ImpedanceGains::damping_ratio)
      .def_rw("inertia", &ImpedanceGains::inertia)
      .def_rw("error_clip", &ImpedanceGains::error_clip)
      .def_rw("torque", &ImpedanceGains::torque)
      .def_rw("torque_rate", &ImpedanceGains::torque_rate)
      .def_rw("repulsion_stiffness", &ImpedanceGains::repulsion_stiffness)
      .def_rw("repulsion_zone", &ImpedanceGains::repulsion_zone);
  nb::class_<JointConfig>(m, "JointConfig", "One joint: name, limits, compliance, tolerances.")
      .def(nb::init<>())
      .def_rw("name", &JointConfig::name)
      .def_rw("hardware", &JointConfig::hardware)
      .def_rw("operating", &JointConfig::operating)
      .def_rw("impedance", &JointConfig::impedance)
      .def_rw("start_tolerance", &JointConfig::start_tolerance)
      .def_rw("tracking_tolerance", &JointConfig::tracking_tolerance)
      .def(
          "soft_limits",
          [](const JointConfig& joint) {
            const AxisLimits axis = operating_axis(joint);
            return std::array<double, 2>{axis.lower, axis.upper};
          },
          "Position range of the reference, after margins and the hardware velocity law.");
  nb::class_<GripperConfig>(m, "GripperConfig", "One gripper and the range of its set-points.")
      .def(nb::init<>())
      .def_rw("name", &GripperConfig::name)
      .def_rw("lower", &GripperConfig::lower)
      .def_rw("upper", &GripperConfig::upper);
  nb::class_<AdmittanceConfig>(m, "AdmittanceConfig", "Cartesian admittance from a wrist wrench.")
      .def(nb::init<>())
      .def_rw("mass", &AdmittanceConfig::mass)
      .def_rw("stiffness", &AdmittanceConfig::stiffness)
      .def_rw("damping_ratio", &AdmittanceConfig::damping_ratio)
      .def_rw("force_dead_band", &AdmittanceConfig::force_dead_band)
      .def_rw("torque_dead_band", &AdmittanceConfig::torque_dead_band)
      .def_rw("max_translation", &AdmittanceConfig::max_translation)
      .def_rw("max_rotation", &AdmittanceConfig::max_rotation)
      .def_rw("max_joint_offset", &AdmittanceConfig::max_joint_offset)
      .def_rw("share", &AdmittanceConfig::share)
      .def_rw("inverse_damping", &AdmittanceConfig::inverse_damping)
      .def_rw("payload_mass", &AdmittanceConfig::payload_mass)
      .def_rw("payload_centre", &AdmittanceConfig::payload_centre)
      .def_rw("gravity", &AdmittanceConfig::gravity);

  nb::bind_vector<std::vector<JointConfig>, nb::rv_policy::reference_internal>(m, "JointConfigs");
  nb::bind_vector<std::vector<GripperConfig>, nb::rv_policy::reference_internal>(m,
                                                                                 "GripperConfigs");
  nb::class_<Config>(m, "Config", "Everything the controller knows of a cell.")
      .def(nb::init<>())
      .def_rw("joints", &Config::joints)
      .def_rw("grippers", &Config::grippers)
      .def_rw("period", &Config::period)
      .def_rw("command", &Config::command)
      .def_rw("compliance", &Config::compliance)
      .def_rw("effort_unit", &Config::effort_unit)
      .def_rw("wrist_wrench", &Config::wrist_wrench)
      // Simulated cells yield at one wrist at most.
      .def_prop_rw(
          "admittance", [](Config& c) -> AdmittanceConfig& { return c.wrists.front(); },
          [](Config& c, const AdmittanceConfig& wrist) { c.wrists.assign(1, wrist); },
          nb::rv_policy::reference_internal)
      .def_rw("stiffness_scale_rate", &Config::stiffness_scale_rate)
      .def_rw("blind_limit", &Config::blind_limit)
      .def_rw("standstill_limit", &Config::standstill_limit)
      .def_rw("longest_overrun", &Config::longest_overrun)
      .def_rw("shortest_blend", &Config::shortest_blend)
      .def_rw("longest_blend", &Config::longest_blend)
      .def_rw("plan_share", &Config::plan_share)
      .def_rw("longest_lead", &Config::longest_lead)
      .def_rw("longest_age", &Config::longest_age)
      .def_rw("clock_tolerance", &Config::clock_tolerance)
      .def_rw("standstill_speed", &Config::standstill_speed)
      .def_rw("anchor_tolerance", &Config::anchor_tolerance)
      .def_rw("state_grace", &Config::state_grace)
      .def(
          "problems", [](const Config& c) { return problems(c); },
          "Everything wrong with it, in words.");
}
