// Loop with activations, receiver, requests and readers at once; made for the thread sanitizer,
// useful without.
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "robot.hpp"

using namespace labvla;

namespace {

// A receiver that never rests is nearly always within a chunk when the loop activates: what it then
// sends is in the update time of the activation before.
void check_that_outdated_plans_are_dropped() {
  const control::Config config = test::robot(7);
  auto controller = std::make_unique<control::Controller>(config);
  CHECK(controller->activate({}));
  std::atomic<bool> running{true};
  std::thread receiver([&] {
    test::Rows rows(config, 50);
    plant::Noise noise(3);
    rows.fill(0.0, 1.0 / 30.0, 0.0, noise);
    for (std::uint64_t sequence = 1; running.load(); ++sequence)
      controller->submit(rows.view(1.0 / 30.0, 0.0, 0.0, sequence));
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool seen = false;
  while (!seen && std::chrono::steady_clock::now() < deadline) {
    for (int cycle = 0; cycle < 20; ++cycle) controller->update({});
    CHECK(controller->activate({}));
    seen = controller->update({}).dropped > 0;
  }
  running.store(false);
  receiver.join();
  CHECK(seen);
}

}  // namespace

int main() {
  check_that_outdated_plans_are_dropped();
  const control::Config config = test::robot(7);
  auto controller = std::make_unique<control::Controller>(config);
  CHECK(controller->activate({}));
  std::atomic<bool> running{true};

  std::thread receiver([&] {
    test::Rows rows(config, 50);
    plant::Noise noise(3);
    std::uint64_t sequence = 0;
    while (running.load()) {
      const double now = controller->state().time;
      rows.fill(now, 1.0 / 30.0, 0.01, noise);
      controller->submit(rows.view(1.0 / 30.0, now, now + 0.02, ++sequence));
      std::this_thread::yield();
    }
  });
  std::thread requests([&] {
    for (int k = 0; running.load(); ++k) {
      if (k % 50 == 10) controller->stop();
      if (k % 50 == 30) controller->reset_stop();
      if (k % 70 == 20) controller->pause();
      if (k % 70 == 40) controller->resume();
      controller->set_stiffness_scale(k % 2 == 0 ? 0.5 : 1.0);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  std::thread reader([&] {
    std::pair<std::uint64_t, double> last{0, 0.0};
    while (running.load()) {
      const control::State state = controller->state();
      const std::pair<std::uint64_t, double> now{state.activation, state.time};
      CHECK(now >= last);
      last = now;
      // A torn copy would mix two cycles: reference and command of a held joint no longer agree.
      for (const auto& motion : state.reference) CHECK(std::isfinite(motion.p));
      CHECK(controller->counters().accepted < 1'000'000);
    }
  });

  test::LimitWatch watch(config);
  control::Inputs inputs;
  for (int cycle = 0; cycle < 20000; ++cycle) {
    const control::State& state = controller->update(inputs);
    watch.see(state);
    for (std::size_t i = 0; i < config.joints.size(); ++i) {
      inputs.position[i] = state.reference[i].p;
      inputs.velocity[i] = state.reference[i].v;
    }
    if (cycle % 20 == 0) std::this_thread::yield();
    if (cycle % 1000 == 999) CHECK(controller->activate(inputs.position, inputs.velocity));
  }
  running.store(false);
  receiver.join();
  requests.join();
  reader.join();
  CHECK(controller->counters().accepted > 0);
}
