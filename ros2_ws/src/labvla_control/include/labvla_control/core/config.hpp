// What a cell tells the controller, and the checks that turn it into numbers the loop can trust.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "labvla_control/core/types.hpp"
#include "labvla_control/core/viability.hpp"

namespace labvla::control {

// Hardware speed limit that shrinks towards the position limits (Franka):
// v_max(q) = min(velocity, max(0, offset + sqrt(max(0, slope * (upper - q))))), mirrored at
// `lower`.
struct VelocityLaw {
  double offset = 0.0;
  double slope = 0.0;
  double lower = 0.0;
  double upper = 0.0;
};

struct HardwareLimits {
  double lower = 0.0;
  double upper = 0.0;
  double velocity = 0.0;
  std::optional<VelocityLaw> velocity_law;

  double speed_up_at(double q) const {
    return bounded_by_law(velocity_law ? velocity_law->upper - q : 0.0);
  }
  double speed_down_at(double q) const {
    return bounded_by_law(velocity_law ? q - velocity_law->lower : 0.0);
  }

 private:
  double bounded_by_law(double distance) const {
    if (!velocity_law) return velocity;
    const double root = std::sqrt(std::max(0.0, velocity_law->slope * distance));
    return std::min(velocity, std::max(0.0, velocity_law->offset + root));
  }
};

struct OperatingLimits {
  double velocity = 0.0;
  double acceleration = 2.5;
  double jerk = 100.0;
  double position_margin = 0.02;  // kept free before each hardware position limit
  // A cell may want less than the joint can: a lift that shall not go below the table. What reaches
  // beyond the hardware range less its margin has no effect.
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
};

// Joint impedance on an effort interface.
struct ImpedanceGains {
  double stiffness = 0.0;            // [N m / rad]
  double damping_ratio = 1.0;        // of stiffness against `inertia`
  double inertia = 0.1;              // [kg m^2] effective, the smallest over the workspace
  double error_clip = 0.2;           // [rad] largest position error that pulls
  double torque = 0.0;               // [N m] saturation
  double torque_rate = 1000.0;       // [N m / s] saturation
  double repulsion_stiffness = 0.0;  // [N m / rad] inside `repulsion_zone` of a hardware limit
  double repulsion_zone = 0.1;       // [rad]
};

struct JointConfig {
  std::string name;
  HardwareLimits hardware;
  OperatingLimits operating;
  ImpedanceGains impedance;
  double start_tolerance = 0.25;    // [rad] of the first executed row from the commanded position
  double tracking_tolerance = 0.0;  // [rad] of measured from reference; 0: not watched
};

struct GripperConfig {
  std::string name;
  double lower = 0.0;
  double upper = 0.0;
};

enum class CommandInterface : std::uint8_t { kPosition, kEffort };
enum class EffortUnit : std::uint8_t { kNewtonMetre, kAmpere };
enum class Compliance : std::uint8_t { kNone, kImpedance, kAdmittance };

// Cartesian admittance on a position interface: mass x'' + damping x' + stiffness x = external
// wrench.
struct AdmittanceConfig {
  // Light and heavily damped: behind a servo with 30 ms of lag this stays stable against walls of
  // 20 kN/m, which a mass of 10 kg with twice critical damping does not.
  std::array<double, 6> mass{4.0, 4.0, 4.0, 0.2, 0.2, 0.2};
  std::array<double, 6> stiffness{800.0, 800.0, 800.0, 20.0, 20.0, 20.0};
  std::array<double, 6> damping_ratio{9.0, 9.0, 9.0, 6.0, 6.0, 6.0};
  double force_dead_band = 2.0;    // [N]
  double torque_dead_band = 0.2;   // [N m]
  double max_translation = 0.05;   // [m]
  double max_rotation = 0.2;       // [rad]
  double max_joint_offset = 0.15;  // [rad] reserved at both ends of every joint's range
  double share = 0.3;  // of each operating limit that belongs to the offset, not to the plan
  double inverse_damping = 0.05;                      // of the pseudo-inverse near singularities
  double payload_mass = 0.0;                          // [kg] beyond the sensor
  std::array<double, 3> payload_centre{};             // [m] in the sensor frame
  std::array<double, 3> gravity{0.0, 0.0, -9.80665};  // [m/s^2] in the base frame
};

inline constexpr std::size_t kMaxWrists = 2;

struct Config {
  std::vector<JointConfig> joints;
  std::vector<GripperConfig> grippers;
  double period = 0.001;  // [s] of the control cycle

  CommandInterface command = CommandInterface::kPosition;
  Compliance compliance = Compliance::kNone;
  EffortUnit effort_unit = EffortUnit::kNewtonMetre;
  bool wrist_wrench = false;
  std::vector<AdmittanceConfig> wrists{AdmittanceConfig{}};  // of each arm that yields at its wrist
  double stiffness_scale_rate =
      0.5;  // [1/s] a step of stiffness under load would be a step of force

  double blind_limit = 0.5;       // [s] of a plan after the last accepted chunk
  double standstill_limit = 0.8;  // [s] after the last accepted chunk at the latest
  double longest_overrun =
      0.25;  // [s] the motion may go on after the last row while a newer chunk is due
  double shortest_blend = 0.06;  // [s]
  double longest_blend = 1.5;    // [s]
  double plan_share = 0.85;  // of acceleration and jerk a plan may use; the rest belongs to splices
  double longest_lead = 0.25;      // [s] a chunk may start in the future
  double longest_age = 5.0;        // [s] since a chunk's observation
  double clock_tolerance = 0.005;  // [s] an observation may seem to lie ahead
  double standstill_speed = 0.01;  // [rad/s] measured, below which the reference may be re-anchored
  double anchor_tolerance =
      0.01;  // [rad] of measured from reference that is left alone when a fault has passed
  int state_grace = 5;  // cycles that an unusable measurement is bridged with the last good one
};

// Distance to keep from a shrinking speed limit so that braking never meets it. At the distance d
// before the soft limit the operating limits allow at most v = sqrt(2 A d), up to V; the hardware
// allows offset + sqrt(slope (d + margin)). The margin needed at speed v is g(v) = (v - offset)^2 /
// slope - v^2 / (2 A): its maximum over [0, V] in closed form.
inline double velocity_law_margin(const VelocityLaw& law, double velocity, double acceleration) {
  const auto needed = [&](double v) {
    return (v - law.offset) * (v - law.offset) / law.slope - v * v / (2.0 * acceleration);
  };
  double margin = std::max({0.0, needed(0.0), needed(velocity)});
  const double curvature = 1.0 / law.slope - 1.0 / (2.0 * acceleration);
  const double extreme = law.offset / (law.slope * curvature);
  if (curvature < 0.0 && extreme > 0.0 && extreme < velocity)
    margin = std::max(margin, needed(extreme));
  return margin;
}

// The limits that every reference sample keeps.
inline AxisLimits operating_axis(const JointConfig& joint) {
  const OperatingLimits& o = joint.operating;
  AxisLimits axis{std::max(o.lower, joint.hardware.lower + o.position_margin),
                  std::min(o.upper, joint.hardware.upper - o.position_margin), o.velocity,
                  o.acceleration, o.jerk};
  if (const auto& law = joint.hardware.velocity_law) {
    const double margin = velocity_law_margin(*law, o.velocity, o.acceleration);
    axis.lower = std::max(axis.lower, law->lower + margin);
    axis.upper = std::min(axis.upper, law->upper - margin);
  }
  return axis;
}

}  // namespace labvla::control
