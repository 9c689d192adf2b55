// Takes values out of the control loop to a thread that may publish, allocate and wait.
//
// Why not a realtime publisher: that one wakes its thread from the loop (a system call), skips
// values while it is busy, and copies a message full of strings in the loop. Here the loop copies
// plain numbers into a ring and goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "labvla_control/core/mailbox.hpp"

namespace labvla::control {

template <typename T, std::size_t kCapacity>
class Outlet {
 public:
  using Consumer = std::function<void(const T&)>;

  // Looks every `interval` whether something has come.
  Outlet(Consumer consumer, std::chrono::microseconds interval)
      : consumer_(std::move(consumer)), thread_([this, interval] { run(interval); }) {}

  ~Outlet() {
    running_.store(false, std::memory_order_release);
    thread_.join();
  }

  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  // From the loop. A value that finds the ring full is left out: the consumer has been away for
  // kCapacity values.
  void push(const T& value) {
    if (!ring_.push(value)) lost_.fetch_add(1, std::memory_order_relaxed);
  }

  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  void run(std::chrono::microseconds interval) {
    T value;
    while (running_.load(std::memory_order_acquire)) {
      while (ring_.pop(value)) consumer_(value);
      std::this_thread::sleep_for(interval);
    }
  }

  Consumer consumer_;
  SpscQueue<T, kCapacity> ring_;
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<bool> running_{true};
  std::thread thread_;  // last: it uses everything above
};

}  // namespace labvla::control
