// What the controller reads of two robots at once: one time for one plan, a wrench for each wrist.
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "../cpp/check.hpp"
#include "labvla_control/ros/ports.hpp"

using namespace labvla::control;

namespace {

class TwoRobots {
 public:
  TwoRobots() : ports_(names()) {
    for (const std::string& name : ports_.names().states()) {
      handles_.push_back(handle<hardware_interface::StateInterface>(name));
      states_.emplace_back(handles_.back());
    }
    command_ = handle<hardware_interface::CommandInterface>("joint/position");
    commands_.emplace_back(command_);
    CHECK(ports_.bind(commands_, states_) == nullptr);
  }

  void set(const std::string& name, double value) {
    for (const auto& handle : handles_) {
      if (handle->get_name() == name) CHECK(handle->set_value(value));
    }
  }

  Inputs read() const {
    Inputs inputs;
    ports_.read(inputs);
    return inputs;
  }

 private:
  static PortNames names() {
    PortNames names;
    names.command = {"joint/position"};
    names.position = {"joint/position"};
    names.velocity = {"joint/velocity"};
    names.ready = {"left_gpio/program_running", "right_gpio/program_running"};
    names.speed_scaling = {"left_speed/factor", "right_speed/factor"};
    for (const char* side : {"left", "right"}) {
      for (const char* axis : {"force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z"})
        names.wrench.push_back(std::string(side) + "_sensor/" + axis);
    }
    return names;
  }

  template <typename Interface>
  static std::shared_ptr<Interface> handle(const std::string& full_name) {
    const std::size_t slash = full_name.rfind('/');
    hardware_interface::InterfaceInfo info;
    info.name = full_name.substr(slash + 1);
    info.data_type = "double";
    auto made = std::make_shared<Interface>(
        hardware_interface::InterfaceDescription(full_name.substr(0, slash), info));
    CHECK(made->set_value(1.0));
    return made;
  }

  Ports ports_;
  std::vector<std::shared_ptr<hardware_interface::StateInterface>> handles_;
  std::shared_ptr<hardware_interface::CommandInterface> command_;
  std::vector<hardware_interface::LoanedStateInterface> states_;
  std::vector<hardware_interface::LoanedCommandInterface> commands_;
};

void the_slowest_robot_sets_the_pace() {
  TwoRobots robots;
  CHECK(robots.read().speed_scaling == 1.0);
  robots.set("right_speed/factor", 0.4);
  CHECK(robots.read().speed_scaling == 0.4);
  robots.set("left_speed/factor", 0.0);
  CHECK(robots.read().speed_scaling == 0.0);
  robots.set("left_speed/factor", std::numeric_limits<double>::quiet_NaN());
  CHECK(std::isnan(robots.read().speed_scaling));
}

void one_that_is_not_ready_is_enough() {
  TwoRobots robots;
  CHECK(robots.read().ready);
  robots.set("right_gpio/program_running", 0.0);
  CHECK(!robots.read().ready);
}

void each_wrist_has_its_own_wrench() {
  TwoRobots robots;
  robots.set("left_sensor/force.z", -7.0);
  robots.set("right_sensor/torque.x", 0.3);
  const Inputs inputs = robots.read();
  CHECK(inputs.wrists[0].valid && inputs.wrists[1].valid);
  CHECK(inputs.wrists[0].wrench[2] == -7.0 && inputs.wrists[1].wrench[2] == 1.0);
  CHECK(inputs.wrists[0].wrench[3] == 1.0 && inputs.wrists[1].wrench[3] == 0.3);
}

}  // namespace

int main() {
  the_slowest_robot_sets_the_pace();
  one_that_is_not_ready_is_enough();
  each_wrist_has_its_own_wrench();
}
