// The filter alone, against random and adversarial jerk: nothing asked of it may break a limit,
// ever.
#include "check.hpp"
#include "labvla_control/core/viability.hpp"
#include "labvla_control/plant/noise.hpp"

using namespace labvla::control;

namespace {

void stop_profile_reaches_rest_and_is_optimal_along_itself() {
  labvla::plant::Noise noise(1);
  for (int k = 0; k < 20000; ++k) {
    const double acceleration = 0.1 + 10.0 * noise.uniform();
    const double jerk = 1.0 + 500.0 * noise.uniform();
    const double v = 3.0 * (noise.uniform() - 0.5);
    const double a = 2.0 * acceleration * (noise.uniform() - 0.5);
    const StopProfile stop(v, a, acceleration, jerk);
    const Motion end = stop.at(stop.duration() - 1e-12);
    CHECK(std::abs(end.v) < 1e-6 && std::abs(end.a) < 1e-5 * jerk);
    const double t = noise.uniform() * stop.duration();
    const Motion middle = stop.at(t);
    CHECK(std::abs(middle.a) <= acceleration + 1e-9);
    const StopProfile rest(middle.v, middle.a, acceleration, jerk);
    CHECK(std::abs(rest.duration() - (stop.duration() - t)) < 1e-6);
    CHECK(std::abs(middle.p + rest.displacement() - stop.displacement()) < 1e-6);
  }
}

void no_request_breaks_a_limit() {
  labvla::plant::Noise noise(2);
  for (int run = 0; run < 300; ++run) {
    AxisLimits limits;
    limits.lower = -0.2 - noise.uniform();
    limits.upper = 0.2 + noise.uniform();
    limits.velocity = 0.1 + 2.0 * noise.uniform();
    limits.acceleration = 0.5 + 10.0 * noise.uniform();
    limits.jerk = 10.0 + 1000.0 * noise.uniform();
    const double dt = noise.uniform() < 0.5 ? 0.001 : 0.004;
    Motion m;
    double wish = 0.0;
    for (int cycle = 0; cycle < 3000; ++cycle) {
      if (noise.uniform() < 0.02) wish = 4.0 * limits.jerk * (noise.uniform() - 0.5);
      if (noise.uniform() < 0.001) wish = std::nan("");
      const Motion next = viable_step(m, wish, limits, dt).next;
      CHECK(viable(next, limits) ||
            viable(next, {limits.lower - 1e-9, limits.upper + 1e-9, limits.velocity + 1e-9,
                          limits.acceleration + 1e-9, limits.jerk}));
      CHECK(std::abs(next.a - m.a) <= limits.jerk * dt * (1.0 + 1e-9));
      m = next;
    }
  }
}

void an_admissible_request_passes_unchanged() {
  const AxisLimits limits{-1.0, 1.0, 1.0, 2.0, 50.0};
  const FilteredStep step = viable_step({0.0, 0.1, 0.2}, 10.0, limits, 0.001);
  const Motion wanted = advance({0.0, 0.1, 0.2}, 10.0, 0.001);
  CHECK(!step.limited && step.next.p == wanted.p && step.next.v == wanted.v &&
        step.next.a == wanted.a);
}

}  // namespace

int main() {
  stop_profile_reaches_rest_and_is_optimal_along_itself();
  no_request_breaks_a_limit();
  an_admissible_request_passes_unchanged();
}
