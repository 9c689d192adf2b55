// A whole stream of chunks against the controller, cycle by cycle, as fast as the processor goes.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "labvla_control/core/controller.hpp"
#include "labvla_control/plant/torque_plant.hpp"

namespace labvla::plant {

// What may happen to a running controller besides chunks.
enum class EventKind : std::uint8_t {
  kStop,
  kResetStop,
  kPause,
  kResume,
  kReady,           // value 0 or 1
  kSpeedScaling,    // value
  kMeasuredValid,   // value 0: the measurement is NaN from here on
  kStiffnessScale,  // value
  kDisplace,  // value [rad]: the robot is moved by hand; joints follow the reference otherwise
};

struct Event {
  double time = 0.0;
  EventKind kind = EventKind::kStop;
  double value = 0.0;
};

struct Delivery {
  double time = 0.0;  // [s, update time] of arrival
  control::ChunkView chunk;
};

struct Options {
  double duration = 1.0;
  std::vector<Event> events;     // by time
  TorquePlant* plant = nullptr;  // nullptr: the robot is where the reference was one cycle ago
};

// Feeds `controller`, already active, and calls `record(state)` after each cycle and
// `judged(verdict)` per delivery. Deliveries and events are sorted by time; a chunk's stamps count
// from activation.
template <typename Record, typename Judged>
void simulate(control::Controller& controller, const control::PerJoint<>& start,
              std::vector<Delivery>& deliveries, const Options& options, Record&& record,
              Judged&& judged) {
  const double period = controller.config().period;
  const auto cycles = static_cast<std::int64_t>(options.duration / period + 0.5);
  control::Inputs inputs;
  inputs.position = start;
  bool measured_valid = true;
  double displacement = 0.0;
  std::size_t next_delivery = 0;
  std::size_t next_event = 0;
  const std::size_t count = controller.config().joints.size();
  for (std::int64_t cycle = 0; cycle < cycles; ++cycle) {
    const double now = static_cast<double>(cycle) * period;
    for (; next_delivery < deliveries.size() && deliveries[next_delivery].time <= now;
         ++next_delivery) {
      control::ChunkView& chunk = deliveries[next_delivery].chunk;
      chunk.received_ns = static_cast<std::int64_t>(now * 1e9);
      judged(next_delivery, controller.submit(chunk));
    }
    for (; next_event < options.events.size() && options.events[next_event].time <= now;
         ++next_event) {
      const Event& event = options.events[next_event];
      switch (event.kind) {
        case EventKind::kStop:
          controller.stop();
          break;
        case EventKind::kResetStop:
          controller.reset_stop();
          break;
        case EventKind::kPause:
          controller.pause();
          break;
        case EventKind::kResume:
          controller.resume();
          break;
        case EventKind::kReady:
          inputs.ready = event.value != 0.0;
          break;
        case EventKind::kSpeedScaling:
          inputs.speed_scaling = event.value;
          break;
        case EventKind::kMeasuredValid:
          measured_valid = event.value != 0.0;
          break;
        case EventKind::kStiffnessScale:
          controller.set_stiffness_scale(event.value);
          break;
        case EventKind::kDisplace:
          displacement = event.value;
          break;
      }
    }
    control::Inputs seen = inputs;
    if (!measured_valid) seen.position.fill(std::numeric_limits<double>::quiet_NaN());
    const control::State& state = controller.update(seen);
    if (options.plant != nullptr) {
      options.plant->step(state.command);
      inputs.position = options.plant->measured_position();
      inputs.velocity = options.plant->measured_velocity();
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        inputs.position[i] = state.command[i] + displacement;
        inputs.velocity[i] = state.reference[i].v;
      }
    }
    record(state);
  }
}

}  // namespace labvla::plant
