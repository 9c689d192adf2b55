// The configuration checks: each message names the parameter, what was expected and what came.
#pragma once

#include <set>
#include <sstream>

#include "labvla_control/core/config.hpp"

namespace labvla::control {

class ConfigCheck {
 public:
  explicit ConfigCheck(const Config& config) : config_(config) {
    counts();
    times();
    for (const JointConfig& joint : config.joints) this->joint(joint);
    for (const GripperConfig& gripper : config.grippers) {
      expect(gripper.lower < gripper.upper, gripper.name + ": gripper range is empty");
    }
    compliance();
  }

  std::vector<std::string> take() { return std::move(found_); }

 private:
  template <typename... Parts>
  void expect(bool good, const Parts&... parts) {
    if (good) return;
    std::ostringstream text;
    (text << ... << parts);
    found_.push_back(text.str());
  }

  static bool positive(double x) { return std::isfinite(x) && x > 0.0; }

  void counts() {
    expect(!config_.joints.empty() && config_.joints.size() <= kMaxJoints, "joints: expected 1 to ",
           kMaxJoints, ", got ", config_.joints.size());
    expect(config_.grippers.size() <= kMaxGrippers, "grippers: expected at most ", kMaxGrippers,
           ", got ", config_.grippers.size());
    std::set<std::string> seen;
    for (const auto& j : config_.joints)
      expect(seen.insert(j.name).second, j.name, ": name is used twice");
    for (const auto& g : config_.grippers)
      expect(seen.insert(g.name).second, g.name, ": name is used twice");
  }

  void times() {
    const Config& c = config_;
    expect(positive(c.period) && c.period <= 0.02, "period: expected (0, 0.02] s, got ", c.period);
    expect(positive(c.blind_limit) && c.blind_limit <= c.standstill_limit,
           "blind_limit: expected (0, standstill_limit], got ", c.blind_limit);
    expect(c.longest_overrun >= 0.0 && c.longest_overrun <= c.blind_limit,
           "longest_overrun: expected 0 to blind_limit ", c.blind_limit, " s, got ",
           c.longest_overrun);
    expect(positive(c.shortest_blend) && c.shortest_blend < c.longest_blend,
           "shortest_blend: expected (0, longest_blend), got ", c.shortest_blend);
    expect(c.shortest_blend >= 4.0 * c.period, "shortest_blend: expected at least 4 periods, got ",
           c.shortest_blend);
    expect(c.plan_share > 0.0 && c.plan_share <= 1.0, "plan_share: expected (0, 1], got ",
           c.plan_share);
    expect(c.longest_lead >= 0.0 && c.longest_age > 0.0 && c.clock_tolerance >= 0.0,
           "longest_lead, longest_age, clock_tolerance: expected values of at least 0 s");
    expect(positive(c.standstill_speed), "standstill_speed: expected > 0 rad/s, got ",
           c.standstill_speed);
    expect(positive(c.stiffness_scale_rate), "stiffness_scale_rate: expected > 0 1/s, got ",
           c.stiffness_scale_rate);
  }

  void joint(const JointConfig& j) {
    const OperatingLimits& o = j.operating;
    const HardwareLimits& h = j.hardware;
    expect(positive(o.velocity) && o.velocity <= h.velocity, j.name,
           ".operating.velocity: expected (0, ", h.velocity, "] rad/s (the hardware limit), got ",
           o.velocity);
    expect(positive(o.acceleration), j.name, ".operating.acceleration: expected > 0 rad/s^2, got ",
           o.acceleration);
    expect(positive(o.jerk), j.name, ".operating.jerk: expected > 0 rad/s^3, got ", o.jerk);
    expect(o.position_margin >= 0.0, j.name, ".operating.position_margin: expected >= 0 rad, got ",
           o.position_margin);
    expect(o.lower < o.upper, j.name, ".operating: expected lower < upper, got ", o.lower, " and ",
           o.upper, " rad");
    expect(!h.velocity_law || (positive(h.velocity_law->slope) && h.velocity_law->offset <= 0.0),
           j.name, ".hardware.velocity_law: expected slope > 0 and offset <= 0");
    expect(positive(j.start_tolerance), j.name, ".start_tolerance: expected > 0 rad, got ",
           j.start_tolerance);
    if (!positive(o.velocity) || !positive(o.acceleration) || !positive(o.jerk)) return;
    const AxisLimits axis = operating_axis(j);
    expect(axis.lower < axis.upper, j.name, ": no position is left between ", axis.lower, " and ",
           axis.upper, " after the operating range, position_margin and the hardware velocity law");
    // Full speed to rest takes V/A plus one jerk phase; later than that no watchdog can keep its
    // promise.
    const double stop = o.velocity / o.acceleration + o.acceleration / o.jerk;
    expect(stop < config_.standstill_limit, j.name, ": stopping from ", o.velocity, " rad/s takes ",
           stop, " s, longer than standstill_limit ", config_.standstill_limit,
           " s; lower the velocity or allow more acceleration");
  }

  void compliance() {
    if (config_.compliance == Compliance::kImpedance) {
      expect(config_.command == CommandInterface::kEffort,
             "compliance: joint impedance needs an effort interface");
      expect(config_.effort_unit == EffortUnit::kNewtonMetre,
             "compliance: joint impedance needs effort in N m, the cell says ampere");
      for (const JointConfig& j : config_.joints) {
        const ImpedanceGains& g = j.impedance;
        expect(positive(g.stiffness) && positive(g.damping_ratio) && positive(g.inertia) &&
                   positive(g.torque) && positive(g.torque_rate) && positive(g.error_clip) &&
                   positive(g.repulsion_zone) && g.repulsion_stiffness >= 0.0,
               j.name,
               ".impedance: expected positive stiffness, damping_ratio, inertia, error_clip, "
               "torque and torque_rate");
      }
    }
    if (config_.command == CommandInterface::kEffort) {
      expect(config_.compliance == Compliance::kImpedance,
             "command: an effort interface needs compliance 'impedance'");
    }
    if (config_.compliance == Compliance::kAdmittance) admittance();
  }

  void admittance() {
    expect(!config_.wrists.empty() && config_.wrists.size() <= kMaxWrists, "wrists: expected 1 to ",
           kMaxWrists, ", got ", config_.wrists.size());
    expect(config_.command == CommandInterface::kPosition,
           "compliance: admittance needs a position interface");
    // Motor current is not a contact force: gear friction alone hides several newtons.
    expect(
        config_.wrist_wrench, "compliance: admittance needs a wrist wrench",
        config_.effort_unit == EffortUnit::kAmpere ? "; effort in ampere cannot replace it" : "");
    for (const AdmittanceConfig& wrist : config_.wrists) admittance(wrist);
  }

  void admittance(const AdmittanceConfig& a) {
    for (std::size_t i = 0; i < 6; ++i) {
      expect(positive(a.mass[i]) && positive(a.stiffness[i]) && positive(a.damping_ratio[i]),
             "admittance: expected positive mass, stiffness and damping_ratio on axis ", i);
    }
    expect(a.share > 0.0 && a.share < 1.0, "admittance.share: expected (0, 1), got ", a.share);
    expect(positive(a.max_translation) && positive(a.max_rotation) &&
               positive(a.max_joint_offset) && positive(a.inverse_damping) &&
               a.payload_mass >= 0.0 && a.force_dead_band >= 0.0 && a.torque_dead_band >= 0.0,
           "admittance: expected positive bounds and inverse_damping, payload and dead bands of at "
           "least 0");
    for (const JointConfig& j : config_.joints) {
      const AxisLimits axis = operating_axis(j);
      expect(axis.upper - axis.lower > 2.0 * a.max_joint_offset, j.name, ": max_joint_offset ",
             a.max_joint_offset, " leaves no range for the plan");
    }
  }

  const Config& config_;
  std::vector<std::string> found_;
};

// Everything wrong with a configuration, in words. Empty when it can be used.
inline std::vector<std::string> problems(const Config& config) {
  return ConfigCheck(config).take();
}

}  // namespace labvla::control
