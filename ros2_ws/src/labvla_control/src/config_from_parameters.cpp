#include "labvla_control/ros/config_from_parameters.hpp"

#include <algorithm>

namespace labvla::control {

namespace {

template <std::size_t kSize>
std::array<double, kSize> fixed(const std::vector<double>& values) {
  std::array<double, kSize> out{};
  std::copy_n(values.begin(), std::min(values.size(), kSize), out.begin());
  return out;
}

JointConfig make_joint(const Parameters& p, const std::string& name) {
  const auto& hardware = p.hardware_limits.joints_map.at(name);
  const auto& operating = p.operating_limits.joints_map.at(name);
  const auto& impedance = p.impedance.joints_map.at(name);
  JointConfig joint;
  joint.name = name;
  joint.hardware.lower = hardware.position_lower;
  joint.hardware.upper = hardware.position_upper;
  joint.hardware.velocity = hardware.velocity;
  if (const auto& law = hardware.velocity_law; law.k > 0.0)
    joint.hardware.velocity_law = VelocityLaw{law.c, law.k, law.lower, law.upper};
  joint.operating.velocity = operating.velocity;
  joint.operating.acceleration = operating.acceleration;
  joint.operating.jerk = operating.jerk;
  joint.operating.lower = operating.position_lower;
  joint.operating.upper = operating.position_upper;
  joint.operating.position_margin = 0.0;  // the operating range has it
  joint.impedance = {impedance.stiffness,           impedance.damping_ratio, impedance.inertia,
                     impedance.error_clip,          impedance.torque,        impedance.torque_rate,
                     impedance.repulsion_stiffness, impedance.repulsion_zone};
  joint.start_tolerance = p.tolerance.joints_map.at(name).start;
  joint.tracking_tolerance = p.tolerance.joints_map.at(name).tracking;
  return joint;
}

AdmittanceConfig make_admittance(const Parameters& p, const std::string& arm) {
  const auto& told = p.admittance.wrists_map.at(arm);
  AdmittanceConfig a;
  a.mass = fixed<6>(told.mass);
  a.stiffness = fixed<6>(told.stiffness);
  a.damping_ratio = fixed<6>(told.damping_ratio);
  a.force_dead_band = told.force_dead_band;
  a.torque_dead_band = told.torque_dead_band;
  a.max_translation = told.max_translation;
  a.max_rotation = told.max_rotation;
  a.max_joint_offset = told.max_joint_offset;
  a.share = told.share;
  a.payload_mass = told.payload_mass;
  a.payload_centre = fixed<3>(told.payload_centre);
  a.gravity = fixed<3>(told.gravity);
  return a;
}

}  // namespace

Config make_config(const Parameters& p, double period) {
  Config config;
  config.period = period;
  for (const std::string& name : p.joints) config.joints.push_back(make_joint(p, name));
  for (const std::string& name : p.grippers) {
    const auto& range = p.gripper_range.grippers_map.at(name);
    config.grippers.push_back({name, range.lower, range.upper});
  }
  config.command =
      p.command_interface == "effort" ? CommandInterface::kEffort : CommandInterface::kPosition;
  config.compliance = p.compliance == "impedance"    ? Compliance::kImpedance
                      : p.compliance == "admittance" ? Compliance::kAdmittance
                                                     : Compliance::kNone;
  config.effort_unit = p.effort_unit == "ampere" ? EffortUnit::kAmpere : EffortUnit::kNewtonMetre;
  config.wrists.clear();
  for (const std::string& arm : p.wrists) config.wrists.push_back(make_admittance(p, arm));
  config.wrist_wrench = !p.wrists.empty();
  config.stiffness_scale_rate = p.stiffness_scale_rate;
  config.blind_limit = p.blind_limit;
  config.standstill_limit = p.standstill_limit;
  config.longest_overrun = p.longest_overrun;
  config.shortest_blend = p.shortest_blend;
  config.longest_blend = p.longest_blend;
  config.longest_lead = p.longest_lead;
  config.longest_age = p.longest_age;
  config.clock_tolerance = p.clock_tolerance;
  return config;
}

}  // namespace labvla::control
