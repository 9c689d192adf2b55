// Lists of configuration entries are bound by reference: `config.joints[0].name = ...` must reach
// the configuration.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "labvla_control/core/config.hpp"

NB_MAKE_OPAQUE(std::vector<labvla::control::JointConfig>)
NB_MAKE_OPAQUE(std::vector<labvla::control::GripperConfig>)
