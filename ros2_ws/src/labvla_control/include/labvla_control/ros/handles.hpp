// Reading and writing hardware handles, whichever ros2_control is installed: the older Jazzy
// releases have `get_value` and a `set_value` without an answer, the newer ones and Kilted
// `get_optional` and a `set_value` that says whether it worked. Both only try a lock.
#pragma once

#include <limits>
#include <type_traits>
#include <utility>

namespace labvla::control {

namespace detail {

template <typename Handle, typename = void>
struct HasOptional : std::false_type {};
template <typename Handle>
struct HasOptional<
    Handle, std::void_t<decltype(std::declval<const Handle&>().template get_optional<double>())>>
    : std::true_type {};

}  // namespace detail

// NaN when there is no value: the core bridges it for some cycles, then stops.
template <typename Handle>
double read_handle(const Handle& handle) {
  if constexpr (detail::HasOptional<Handle>::value) {
    return handle.template get_optional<double>().value_or(
        std::numeric_limits<double>::quiet_NaN());
  } else {
    return handle.get_value();
  }
}

// False when the handle was busy: the hardware then keeps the command of the cycle before.
template <typename Handle>
bool write_handle(Handle& handle, double value) {
  if constexpr (std::is_same_v<decltype(handle.set_value(value)), bool>) {
    return handle.set_value(value);
  } else {
    handle.set_value(value);
    return true;
  }
}

}  // namespace labvla::control
