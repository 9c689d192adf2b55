"""Time between ROS messages (seconds and nanoseconds) and the runtime (nanoseconds)."""

from builtin_interfaces.msg import Time

NANOSECONDS = 1_000_000_000


def to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def to_stamp(nanoseconds: int) -> Time:
    """Return nanoseconds as a stamp."""
    return Time(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)
