"""Which target counts: one that lasts, and only while the controller moves or holds by plan."""

from __future__ import annotations

from dataclasses import dataclass

from labvla_policy.runtime.types import NANOSECONDS


@dataclass(frozen=True)
class DemandSettings:
    """When a target is meant."""

    deadband: float = 0.005  # m; policies' gripper columns are as noisy as their joints
    debounce: float = 0.1  # s that a target has to last: a blip would cost a whole stroke
    silence: float = 0.5  # s without set-points, after which nothing new is asked of the gripper


class Demand:
    """Debounces one gripper's targets. Times are ns on a clock that is never set."""

    def __init__(self, settings: DemandSettings) -> None:
        self._settings = settings
        self._target: float | None = None
        self._since = 0
        self._heard = 0

    def hear(self, target: float, holding: bool, t: int) -> None:
        """Note a set-point. While the controller is stopped nothing counts: grasps are kept."""
        self._heard = t
        if holding:
            self._target = None
        elif self._target is None or abs(target - self._target) > self._settings.deadband:
            self._target, self._since = target, t

    def settled(self, t: int) -> float | None:
        """Return the target that counts (m); None while there is none."""
        lasted = self._heard - self._since >= self._settings.debounce * NANOSECONDS
        fresh = t - self._heard <= self._settings.silence * NANOSECONDS
        return self._target if lasted and fresh else None
