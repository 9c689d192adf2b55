// The way of a plan from the thread that receives chunks to the loop that executes them.
#pragma once

#include <array>
#include <cstdint>

#include "labvla_control/core/mailbox.hpp"
#include "labvla_control/core/plan.hpp"

namespace labvla::control {

// A pool of plans whose indices travel through two queues. Sized so that the receiver finds a free
// plan as long as the loop takes what it is given: one in execution, two waiting for their start,
// two on the way, one being written.
class Intake {
 public:
  Intake() {
    for (std::uint8_t i = 0; i < kPlans; ++i) free_.push(i);
  }

  // Receiver: a plan to fill, or nullptr when the loop has taken none for too long. Stays reserved
  // until sent.
  Plan* blank() {
    if (reserved_ == kNone && !free_.pop(reserved_)) return nullptr;
    return &plans_[reserved_];
  }

  // Receiver: hands over the plan that `blank` gave.
  void send() {
    ready_.push(reserved_);
    reserved_ = kNone;
  }

  // Loop: the next plan, or nullptr.
  Plan* take() {
    std::uint8_t index = kNone;
    return ready_.pop(index) ? &plans_[index] : nullptr;
  }

  // Loop: gives a plan back; nullptr is fine.
  void release(const Plan* plan) {
    if (plan != nullptr) free_.push(static_cast<std::uint8_t>(plan - plans_.data()));
  }

 private:
  static constexpr std::uint8_t kPlans = 6;
  static constexpr std::uint8_t kNone = 0xff;

  std::array<Plan, kPlans> plans_{};
  SpscQueue<std::uint8_t, 8> ready_;
  SpscQueue<std::uint8_t, 8> free_;
  std::uint8_t reserved_ = kNone;
};

// Plans that begin in the future, kept by the loop: the earliest and the newest. A steady stream of
// early chunks thus neither cuts the present plan short nor pushes its own start away for ever.
class Waiting {
 public:
  explicit Waiting(Intake& intake) : intake_(intake) {}

  void add(Plan* plan) {
    intake_.release(newest_);
    newest_ = nullptr;
    if (first_ == nullptr || plan->start <= first_->start) {
      intake_.release(first_);
      first_ = plan;
    } else {
      newest_ = plan;
    }
  }

  // The newest plan whose time has come, or nullptr.
  Plan* due(double time) {
    Plan* plan = nullptr;
    while (first_ != nullptr && first_->start <= time) {
      intake_.release(plan);
      plan = first_;
      first_ = newest_;
      newest_ = nullptr;
    }
    return plan;
  }

  void clear() {
    intake_.release(first_);
    intake_.release(newest_);
    first_ = nullptr;
    newest_ = nullptr;
  }

 private:
  Intake& intake_;
  Plan* first_ = nullptr;
  Plan* newest_ = nullptr;
};

}  // namespace labvla::control
