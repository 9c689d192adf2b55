// The core's values together with how many of their slots are in use, and enumerations under their
// Python names.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "labvla_control/core/controller.hpp"

namespace labvla::python {

struct BoundVerdict {
  control::Verdict verdict;
  std::string text;
};

struct BoundState {
  control::State state;
  std::size_t joints = 0;
  std::size_t grippers = 0;
};

struct BoundController {
  explicit BoundController(const control::Config& config)
      : core(std::make_unique<control::Controller>(config)) {}

  std::size_t joints() const { return core->config().joints.size(); }
  BoundState bound(const control::State& state) const {
    return {state, joints(), core->config().grippers.size()};
  }

  std::unique_ptr<control::Controller> core;
};

// Python spells its constants in capitals; nanobind keeps the pointers, so the texts live as long
// as the module.
template <typename Enum>
const std::map<const char*, Enum>& upper_names(std::size_t count) {
  static std::vector<std::string> texts;
  static std::map<const char*, Enum> names;
  if (names.empty()) {
    texts.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::string text = control::name(static_cast<Enum>(i));
      std::transform(text.begin(), text.end(), text.begin(),
                     [](unsigned char c) { return std::toupper(c); });
      texts.push_back(text);
      names[texts.back().c_str()] = static_cast<Enum>(i);
    }
  }
  return names;
}

}  // namespace labvla::python
