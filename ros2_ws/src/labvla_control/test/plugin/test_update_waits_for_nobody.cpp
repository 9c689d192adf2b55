// The whole `update` of the controller, interfaces and reports included, neither allocates nor
// takes a lock that could make it wait, in any mode. Run with the parameter file of the position
// arm.
#include <dlfcn.h>
#include <pthread.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../cpp/check.hpp"
#include "controller_interface/controller_interface_params.hpp"
#include "labvla_control/ros/compliant_trajectory_controller.hpp"
#include "rclcpp/executors/single_threaded_executor.hpp"

extern "C" void* __libc_malloc(std::size_t);

namespace {

thread_local bool watched = false;
thread_local long allocations = 0;
thread_local long locks = 0;

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// `new` ends up here too. The other doors to the heap are watched in the test of the core.
extern "C" void* malloc(std::size_t size) {
  if (watched) ++allocations;
  return __libc_malloc(size);
}
extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static auto* const real = next<int(pthread_mutex_t*)>("pthread_mutex_lock");
  if (watched) ++locks;
  return real(mutex);
}
extern "C" int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  static auto* const real = next<int(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  if (watched) ++locks;
  return real(lock);
}
extern "C" int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  static auto* const real = next<int(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
  if (watched) ++locks;
  return real(lock);
}

namespace {

using labvla::control::CompliantTrajectoryController;
using namespace std::chrono_literals;

class Watch {
 public:
  Watch() { watched = true; }
  ~Watch() { watched = false; }
};

const std::vector<std::string> kJoints{"shoulder_pan_joint", "shoulder_lift_joint",
                                       "elbow_joint",        "wrist_1_joint",
                                       "wrist_2_joint",      "wrist_3_joint"};
const std::vector<double> kHome{0.0, -1.57, 1.57, -1.57, -1.57, 0.0};

std::string description() {
  std::string urdf = "<robot name='arm'><link name='base_link'/>";
  std::string parent = "base_link";
  for (const std::string& joint : kJoints) {
    const std::string link = joint == kJoints.back() ? "tool0" : joint + "_link";
    urdf += "<link name='" + link + "'/><joint name='" + joint +
            "' type='revolute'><parent link='" + parent + "'/><child link='" + link +
            "'/><origin xyz='0.1 0 0.2' rpy='1.57 0 0'/><axis xyz='0 0 1'/>"
            "<limit lower='-7' upper='7' velocity='3' effort='100'/></joint>";
    parent = link;
  }
  return urdf + "</robot>";
}

template <typename Interface>
std::shared_ptr<Interface> handle(const std::string& full_name, double value) {
  const std::size_t slash = full_name.rfind('/');
  hardware_interface::InterfaceInfo info;
  info.name = full_name.substr(slash + 1);
  info.data_type = "double";
  auto made = std::make_shared<Interface>(
      hardware_interface::InterfaceDescription(full_name.substr(0, slash), info));
  CHECK(made->set_value(value));
  return made;
}

class Rig {
 public:
  explicit Rig(const std::string& parameter_file) {
    controller_interface::ControllerInterfaceParams params;
    params.controller_name = "labvla_controller";
    params.robot_description = description();
    params.update_rate = params.controller_manager_update_rate = 500;
    params.node_options = controller_.define_custom_node_options();
    params.node_options.arguments({"--ros-args", "--params-file", parameter_file});
    CHECK(controller_.init(params) == controller_interface::return_type::OK);
    const auto node = controller_.get_node();
    executor_.add_node(node->get_node_base_interface());
    CHECK(controller_.configure().label() == "inactive");
    lend();
    publisher_ = rclcpp::create_publisher<labvla_msgs::msg::ActionChunk>(
        node, "labvla/action_chunk", rclcpp::QoS(10).reliable());
    CHECK(node->activate().label() == "active");
  }

  ~Rig() {
    executor_.cancel();
    controller_.get_node()->deactivate();
    controller_.release_interfaces();
    controller_.get_node()->cleanup();
  }

  void send() {
    labvla_msgs::msg::ActionChunk chunk;
    chunk.observation_stamp = chunk.plan_start = now_;
    chunk.dt = 1.0 / 30.0;
    chunk.rows = 15;
    chunk.sequence = ++sequence_;
    chunk.joint_names = kJoints;
    for (std::uint32_t row = 0; row < chunk.rows; ++row) {
      for (std::size_t i = 0; i < kJoints.size(); ++i)
        chunk.joint_targets.push_back(kHome[i] + 0.01 * static_cast<double>(sequence_) +
                                      0.002 * row);
    }
    publisher_->publish(chunk);
  }

  void stop() {
    auto client = controller_.get_node()->create_client<std_srvs::srv::Trigger>("~/stop");
    CHECK(client->wait_for_service(10s));
    auto answer = client->async_send_request(std::make_shared<std_srvs::srv::Trigger::Request>());
    CHECK(executor_.spin_until_future_complete(answer, 10s) == rclcpp::FutureReturnCode::SUCCESS);
  }

  void serve() { executor_.spin_some(5ms); }

  void cycle() {
    now_ = now_ + rclcpp::Duration(2ms);
    const Watch watch;
    controller_.update(now_, rclcpp::Duration(2ms));
  }

  double commanded() const { return commands_.front()->get_optional<double>().value(); }

 private:
  void lend() {
    std::vector<hardware_interface::LoanedCommandInterface> commands;
    std::vector<hardware_interface::LoanedStateInterface> states;
    for (const std::string& name : controller_.command_interface_configuration().names) {
      commands_.push_back(handle<hardware_interface::CommandInterface>(name, NAN));
      commands.emplace_back(commands_.back(), nullptr);
    }
    for (const std::string& name : controller_.state_interface_configuration().names) {
      double value = name.find("force") != std::string::npos ? 12.0 : 0.0;
      if (name.find("gpio/") == 0 || name.find("speed_scaling/") == 0) value = 1.0;
      for (std::size_t i = 0; i < kJoints.size(); ++i) {
        if (name == kJoints[i] + "/position") value = kHome[i];
      }
      states_.push_back(handle<hardware_interface::StateInterface>(name, value));
      states.emplace_back(states_.back(), nullptr);
    }
    controller_.assign_interfaces(std::move(commands), std::move(states));
  }

  CompliantTrajectoryController controller_;
  rclcpp::executors::SingleThreadedExecutor executor_;
  rclcpp::Publisher<labvla_msgs::msg::ActionChunk>::SharedPtr publisher_;
  std::vector<hardware_interface::CommandInterface::SharedPtr> commands_;
  std::vector<hardware_interface::StateInterface::SharedPtr> states_;
  rclcpp::Time now_{rclcpp::Clock(RCL_ROS_TIME).now()};
  std::uint64_t sequence_ = 0;
};

void the_watch_sees() {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  {
    const Watch watch;
    const std::vector<double> heap(100);
    CHECK(heap.size() == 100);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  CHECK(allocations > 0 && locks > 0);
  allocations = locks = 0;
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  rclcpp::init(0, nullptr);
  {
    Rig rig(argv[1]);
    the_watch_sees();
    for (int k = 0; k < 100; ++k) rig.cycle();
    const double home = rig.commanded();
    for (int chunk = 0; chunk < 10; ++chunk) {
      rig.send();
      for (int k = 0; k < 50; ++k) {
        rig.serve();
        rig.cycle();
      }
    }
    CHECK(rig.commanded() != home);  // it moved, so the cycles above were not idle
    rig.stop();
    for (int k = 0; k < 500; ++k) rig.cycle();
    CHECK(allocations == 0);
    CHECK(locks == 0);
  }
  rclcpp::shutdown();
}
