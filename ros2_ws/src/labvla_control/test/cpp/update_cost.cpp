// How long a cycle takes while ten noisy, disagreeing chunks arrive per second. Prints one JSON
// line per robot.
#include <algorithm>
#include <chrono>
#include <memory>

#include "robot.hpp"

using namespace labvla;

namespace {

double quantile(std::vector<double>& values, double share) {
  const std::size_t k = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(k), values.end());
  return values[k];
}

void measure(int joints, int cycles) {
  using Clock = std::chrono::steady_clock;
  const auto microseconds = [](Clock::duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
  };
  const control::Config config = test::robot(joints);
  auto controller = std::make_unique<control::Controller>(config);
  CHECK(controller->activate({}));
  test::Rows rows(config, 50);
  plant::Noise noise(5);
  control::Inputs inputs;
  std::vector<double> update;
  std::vector<double> splice;
  std::vector<double> submit;
  for (int cycle = 0; cycle < cycles; ++cycle) {
    const double now = cycle * config.period;
    const bool chunk_due = cycle % 100 == 0;
    if (chunk_due) {
      rows.fill(now - 0.1, 1.0 / 30.0, 0.01, noise);
      const auto chunk =
          rows.view(1.0 / 30.0, now - 0.1, now, static_cast<std::uint64_t>(cycle) + 1);
      const auto begin = Clock::now();
      controller->submit(chunk);
      submit.push_back(microseconds(Clock::now() - begin));
    }
    const auto begin = Clock::now();
    const control::State& state = controller->update(inputs);
    const double cost = microseconds(Clock::now() - begin);
    update.push_back(cost);
    if (chunk_due) splice.push_back(cost);
    for (std::size_t i = 0; i < config.joints.size(); ++i) {
      inputs.position[i] = state.reference[i].p;
      inputs.velocity[i] = state.reference[i].v;
    }
  }
  CHECK(controller->state().splices > static_cast<std::uint64_t>(cycles / 200));
  std::printf(
      "{\"joints\": %d, \"cycles\": %d, \"update_us\": {\"p50\": %.2f, \"p99\": %.2f, \"p99.9\": "
      "%.2f, \"max\": %.2f}, "
      "\"splice_us\": {\"p50\": %.2f, \"p99\": %.2f}, \"submit_us\": {\"p50\": %.1f, \"p99\": "
      "%.1f}}\n",
      joints, cycles, quantile(update, 0.5), quantile(update, 0.99), quantile(update, 0.999),
      quantile(update, 1.0), quantile(splice, 0.5), quantile(splice, 0.99), quantile(submit, 0.5),
      quantile(submit, 0.99));
}

}  // namespace

int main(int argc, char** argv) {
  const int cycles = argc > 1 ? std::atoi(argv[1]) : 200000;
  for (const int joints : {7, 14}) measure(joints, cycles);
}
