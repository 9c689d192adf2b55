// Between numpy and the fixed arrays of the core.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "labvla_control/core/controller.hpp"

namespace labvla::python {

namespace nb = nanobind;
using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

inline control::PerJoint<> per_joint(const Vector& values, std::size_t count, const char* what) {
  if (values.shape(0) != count) {
    throw std::invalid_argument(std::string(what) + ": expected " + std::to_string(count) +
                                " values, got " + std::to_string(values.shape(0)));
  }
  control::PerJoint<> out{};
  for (std::size_t i = 0; i < count; ++i) out[i] = values.data()[i];
  return out;
}

// A new numpy array that owns its memory.
template <typename T>
nb::object to_numpy(std::vector<T> values, std::size_t columns) {
  auto* owned = new std::vector<T>(std::move(values));
  nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  if (columns == 0)
    return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(owned->data(), {owned->size()}, owner));
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<2>>(
      owned->data(), {owned->size() / columns, columns}, owner));
}

template <typename Array>
nb::object head(const Array& values, std::size_t count) {
  return to_numpy(
      std::vector<double>(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count)), 0);
}

// A chunk that owns its rows; `view` borrows from it.
struct Chunk {
  std::vector<std::string> joint_names;
  std::vector<double> targets;
  std::size_t target_columns = 0;
  std::vector<std::string> gripper_names;
  std::vector<double> gripper_targets;
  std::size_t rows = 0;
  double dt = 0.0;
  std::int64_t plan_start_ns = 0;
  std::int64_t observation_ns = 0;
  std::uint64_t session = 0;
  std::uint64_t sequence = 0;
};

class ChunkBorrow {
 public:
  ChunkBorrow(const Chunk& chunk, std::int64_t received_ns)
      : joints_(chunk.joint_names.begin(), chunk.joint_names.end()),
        grippers_(chunk.gripper_names.begin(), chunk.gripper_names.end()) {
    view_.joints = {joints_.data(), joints_.size(), chunk.targets.data(), chunk.targets.size()};
    view_.grippers = {grippers_.data(), grippers_.size(), chunk.gripper_targets.data(),
                      chunk.gripper_targets.size()};
    view_.rows = chunk.rows;
    view_.dt = chunk.dt;
    view_.plan_start_ns = chunk.plan_start_ns;
    view_.observation_ns = chunk.observation_ns;
    view_.received_ns = received_ns;
    view_.session = chunk.session;
    view_.sequence = chunk.sequence;
  }

  const control::ChunkView& view() const { return view_; }

 private:
  std::vector<std::string_view> joints_;
  std::vector<std::string_view> grippers_;
  control::ChunkView view_;
};

}  // namespace labvla::python
