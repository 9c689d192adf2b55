// From ROS parameters to the core's configuration: names and units only, the core judges it.
#pragma once

#include "labvla_control/compliant_trajectory_controller_parameters.hpp"
#include "labvla_control/core/config.hpp"

namespace labvla::control {

using Parameters = ::compliant_trajectory_controller::Params;

Config make_config(const Parameters& parameters, double period);

}  // namespace labvla::control
