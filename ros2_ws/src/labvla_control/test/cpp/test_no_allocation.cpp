// `update` may not touch the heap, whatever mode it is in. Every way to the heap is counted here.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>

#include "robot.hpp"

extern "C" void* __libc_malloc(std::size_t);
extern "C" void* __libc_calloc(std::size_t, std::size_t);
extern "C" void* __libc_realloc(void*, std::size_t);
extern "C" void* __libc_memalign(std::size_t, std::size_t);

namespace {

thread_local bool watched = false;
thread_local long allocations = 0;

void count() {
  if (watched) ++allocations;
}

}  // namespace

extern "C" void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
extern "C" void* calloc(std::size_t n, std::size_t size) {
  count();
  return __libc_calloc(n, size);
}
extern "C" void* realloc(void* p, std::size_t size) {
  count();
  return __libc_realloc(p, size);
}
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
extern "C" int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  count();
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

using namespace labvla;

namespace {

class Watch {
 public:
  Watch() { watched = true; }
  ~Watch() { watched = false; }
};

void the_counter_counts() {
  allocations = 0;
  {
    const Watch watch;
    const std::vector<double> heap(100);
    CHECK(heap.size() == 100);
  }
  CHECK(allocations > 0);
}

void update_and_submit_do_not_allocate(int joints, bool effort) {
  const control::Config config = test::robot(joints, effort);
  auto controller = std::make_unique<control::Controller>(config);
  CHECK(controller->activate({}));
  test::Rows rows(config, 50);
  plant::Noise noise(7);
  control::Inputs inputs;
  std::uint64_t sequence = 0;
  std::array<bool, 6> visited{};
  allocations = 0;
  for (int cycle = 0; cycle < 30000; ++cycle) {
    const double now = cycle * config.period;
    if (cycle % 100 == 0 && cycle % 5000 < 4000) {
      rows.fill(now - 0.05, 1.0 / 30.0, 0.02, noise);
      const control::ChunkView chunk = rows.view(1.0 / 30.0, now - 0.05, now, ++sequence);
      const Watch watch;
      controller->submit(chunk);
    }
    if (cycle % 7000 == 6000) controller->stop();
    if (cycle % 7000 == 6990) controller->reset_stop();
    if (cycle % 9000 == 8000) controller->pause();
    if (cycle % 9000 == 8990) controller->resume();
    inputs.ready = cycle % 11000 < 10500;
    inputs.speed_scaling = cycle % 3000 < 2000 ? 1.0 : 0.4;
    const Watch watch;
    const control::State& state = controller->update(inputs);
    inputs.velocity = {};
    for (std::size_t i = 0; i < config.joints.size(); ++i)
      inputs.position[i] = state.reference[i].p;
    visited[static_cast<std::size_t>(state.mode)] = true;
  }
  CHECK(allocations == 0);
  for (const bool mode : visited) CHECK(mode);
  CHECK(controller->counters().accepted > 50);
}

}  // namespace

int main() {
  the_counter_counts();
  update_and_submit_do_not_allocate(7, true);
  update_and_submit_do_not_allocate(16, false);
}
