// Two arms under one controller: each yields to the wrench at its own wrist and to no other.
#include "robot.hpp"

using namespace labvla;

namespace {

constexpr std::size_t kPerArm = 3;

control::Config two_arms() {
  control::Config config = test::robot(2 * kPerArm, false);
  config.compliance = control::Compliance::kAdmittance;
  config.wrist_wrench = true;
  config.wrists.assign(2, control::AdmittanceConfig{});
  return config;
}

// Every joint of the arm moves the tool along one axis by 0.5 m/rad.
control::WristInput wrist(std::size_t arm, double force) {
  control::WristInput input;
  input.valid = true;
  for (std::size_t k = 0; k < kPerArm; ++k) input.jacobian[k][kPerArm * arm + k] = 0.5;
  input.wrench[0] = force;
  return input;
}

control::State pushed(const control::Config& config, double left, double right) {
  control::Controller controller(config);
  CHECK(controller.activate({}));
  test::LimitWatch limits(config);
  control::Inputs in;
  in.wrists = {wrist(0, left), wrist(1, right)};
  control::State state;
  for (int cycle = 0; cycle < 4000; ++cycle) {
    state = controller.update(in);
    limits.see(state);
    in.position = state.command;
  }
  return state;
}

bool moved(const control::State& state, std::size_t arm) {
  return std::abs(state.offset[kPerArm * arm]) > 0.01;
}

bool still(const control::State& state, std::size_t arm) {
  for (std::size_t k = 0; k < kPerArm; ++k) {
    if (state.offset[kPerArm * arm + k] != 0.0) return false;
  }
  return true;
}

void each_wrist_moves_its_own_arm() {
  const control::Config config = two_arms();
  const control::State left = pushed(config, 20.0, 0.0);
  CHECK(moved(left, 0) && still(left, 1));
  const control::State right = pushed(config, 0.0, 20.0);
  CHECK(still(right, 0) && moved(right, 1));
  const control::State both = pushed(config, 20.0, -20.0);
  CHECK(std::abs(both.offset[0] - left.offset[0]) < 1e-9);
  CHECK(std::abs(both.offset[kPerArm] + left.offset[0]) < 1e-9);
}

void each_wrist_has_springs_of_its_own() {
  control::Config config = two_arms();
  config.wrists[1].stiffness.fill(2.0 * config.wrists[0].stiffness[0]);
  const control::State state = pushed(config, 20.0, 20.0);
  CHECK(state.offset[0] > 1.8 * state.offset[kPerArm]);
}

void a_wrench_that_is_lost_holds_nobody_else() {
  control::Config config = two_arms();
  control::Controller controller(config);
  CHECK(controller.activate({}));
  control::Inputs in;
  in.wrists = {wrist(0, 20.0), control::WristInput{}};
  control::State state;
  for (int cycle = 0; cycle < 4000; ++cycle) state = controller.update(in);
  CHECK(moved(state, 0) && still(state, 1));
}

void a_third_wrist_is_refused() {
  control::Config config = two_arms();
  config.wrists.resize(3);
  CHECK(!control::problems(config).empty());
  config.wrists.clear();
  CHECK(!control::problems(config).empty());
}

}  // namespace

int main() {
  each_wrist_moves_its_own_arm();
  each_wrist_has_springs_of_its_own();
  a_wrench_that_is_lost_holds_nobody_else();
  a_third_wrist_is_refused();
}
