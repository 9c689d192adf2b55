// How long it takes this sender to send again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace labvla::control {

// The longest of the recent intervals between accepted chunks: it grows at once, so that one lost
// chunk in a while is allowed for, and shrinks slowly.
class Cadence {
 public:
  void accept(std::uint64_t activation, std::uint64_t session, double time) {
    const double interval = time - last_;
    const bool continued = activation == activation_ && session == session_ && last_ != kUnknown;
    longest_ = !continued || longest_ == kUnknown ? (continued ? interval : kUnknown)
                                                  : std::max(interval, kMemory * longest_);
    activation_ = activation;
    session_ = session;
    last_ = time;
  }

  // When to expect the next chunk, with room for jitter; infinite before the second.
  double longest() const { return kJitter * longest_; }

 private:
  static constexpr double kUnknown = std::numeric_limits<double>::infinity();
  static constexpr double kMemory = 0.9;
  static constexpr double kJitter = 1.25;

  std::uint64_t activation_ = 0;
  std::uint64_t session_ = 0;
  double last_ = kUnknown;
  double longest_ = kUnknown;
};

}  // namespace labvla::control
