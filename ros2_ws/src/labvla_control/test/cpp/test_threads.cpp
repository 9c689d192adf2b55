// Loop, receiver, requests and readers at once; made for the thread sanitizer, useful without.
#include <atomic>
#include <memory>
#include <thread>

#include "robot.hpp"

using namespace labvla;

int main() {
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
    double last = 0.0;
    while (running.load()) {
      const control::State state = controller->state();
      CHECK(state.time >= last);
      last = state.time;
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
    for (std::size_t i = 0; i < config.joints.size(); ++i)
      inputs.position[i] = state.reference[i].p;
    if (cycle % 20 == 0) std::this_thread::yield();
  }
  running.store(false);
  receiver.join();
  requests.join();
  reader.join();
  CHECK(controller->counters().accepted > 0);
}
