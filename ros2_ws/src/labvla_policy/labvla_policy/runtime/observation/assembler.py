"""assemble(t): the observation of a moment, or the named reason why there is none.

The same code serves the live node, the reader of recordings and the simulator. It has no clock:
whatever it decides follows from `t` and from what the rings hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from labvla_policy.runtime import grippers
from labvla_policy.runtime.cell import Arm, Camera, Cell
from labvla_policy.runtime.columns import policy_columns
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.observation.selection import least_skew, nearest, stamp_of
from labvla_policy.runtime.refusal import Refusal, Refused, about
from labvla_policy.runtime.streams.ring import Ring, Sample
from labvla_policy.runtime.types import NANOSECONDS, Array, CameraStamp, Observation, Pixels

_MS = NANOSECONDS // 1000

JointRing = Ring[Any, Any]  # its values have `name` and `position`, as sensor_msgs/JointState
CameraRing = Ring[Any, Pixels]


@dataclass(frozen=True)
class AssemblySettings:
    """When an observation is good enough to act on."""

    max_skew: int = 40 * _MS  # three free-running 30 Hz cameras are at most 22 ms apart
    max_age: int = 150 * _MS  # of the earliest sample; older pictures show another scene
    max_gripper_age: int = 300 * _MS  # grippers report slowly and travel slowly
    skew_slack: int = 5 * _MS  # a newer set may be this much worse than the best one
    max_frozen: int = 500 * _MS  # same pixels for so long while the arm moved: a frozen camera
    frozen_motion: float = 0.03  # rad; less may change no pixel of a small noise-free picture
    frozen_reference: float = 0.05  # rad that the arm was commanded by while its joints stayed
    darkest: int = 10  # of 255: a picture with nothing brighter is black
    optional_cameras: frozenset[str] = frozenset()  # masked where missing, instead of refused


@dataclass(frozen=True)
class _Frame:
    camera: Camera
    sample: Sample[Any, Pixels]
    pixels: Pixels


@dataclass
class _Watch:
    """Since when a camera has shown the same pixels, and where the arm was then."""

    pixels: Pixels
    since: int
    positions: Array


@dataclass
class _Posture:
    """Since when the joints have been measured at the very same place, and what they followed."""

    positions: Array
    since: int
    reference: Array


@dataclass
class Assembler:
    """Makes observations of one cell; for one thread at a time.

    `states` are rings by joint-state topic, `cameras` rings by camera name. Rings are expected to
    have subtracted the camera's declared latency already (Ring's `latency`).
    """

    cell: Cell
    states: Mapping[str, JointRing]
    cameras: Mapping[str, CameraRing]
    settings: AssemblySettings = field(default_factory=AssemblySettings)

    def __post_init__(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self._posture: _Posture | None = None

    def assemble(
        self, t: int, instruction: str, reference: Callable[[int], Array | None] | None = None
    ) -> Observation:
        """Return the observation of the moment t (ns), or raise why it is refused.

        `reference` returns the controller's joint positions at a time, for policies that are
        anchored to them; it is asked for the time of the joint state.
        """
        chosen = self._frames(t)
        seen = [frame for frame in chosen if frame is not None]
        state = self._joint_state(t, [frame.sample.stamp for frame in seen])
        stamps = [state.stamp, *(frame.sample.stamp for frame in seen)]
        earliest, skew = min(stamps), max(stamps) - min(stamps)
        self._check_times(t - earliest, skew)
        positions = self._positions(state)
        commanded = reference(state.stamp) if reference else None
        if commanded is not None:
            self._check_joints(state.stamp, positions, commanded)
        for frame in seen:
            self._check_picture(frame, positions)
        openings = np.array([self._opening(arm, t, state.stamp) for arm in self.cell.arms])
        columns = policy_columns(self.cell, positions, openings)
        return Observation(
            stamp=state.stamp,
            joint_names=self.cell.joints,
            positions=positions,
            instruction=instruction,
            grippers=openings,
            state=columns,
            images=tuple(frame.pixels if frame else None for frame in chosen),
            camera_stamps=tuple(CameraStamp(f.camera.name, f.sample.stamp) for f in seen),
            skew=skew,
            age=t - earliest,
            reference=commanded,
        )

    def uses_newest(self, t: int) -> bool:
        """Whether an observation of the moment t would contain the newest picture that is there.

        If not, that picture belongs to a set whose other pictures are still on their way.
        """
        usable = {c.name: self._usable(c, t) for c in self.cell.policy_cameras}
        usable = {name: samples for name, samples in usable.items() if samples}
        if not usable:
            return True
        newest = max(samples[-1].stamp for samples in usable.values())
        return any(sample.stamp == newest for sample in self._pick(usable).values())

    def _frames(self, t: int) -> list[_Frame | None]:
        """Return one frame for each slot of the policy; None where an optional camera has none."""
        usable: dict[str, list[Sample[Any, Pixels]]] = {}
        for camera in self.cell.policy_cameras:
            samples = self._fresh(camera, t)
            if samples or camera.name not in self.settings.optional_cameras:
                usable[camera.name] = samples
        while True:
            picked = self._pick(usable)
            frames = {name: self._decoded(name, sample) for name, sample in picked.items()}
            broken = {name: f for name, f in frames.items() if isinstance(f, Refused)}
            if not broken:
                return [
                    frame if isinstance(frame := frames.get(camera.name), _Frame) else None
                    for camera in self.cell.policy_cameras
                ]
            # A single bad frame costs its age, not a stop: look for the next best set without it.
            for name, refused in broken.items():
                usable[name].remove(picked[name])
                if usable[name]:
                    continue
                if name not in self.settings.optional_cameras:
                    raise refused
                del usable[name]

    def _usable(self, camera: Camera, t: int) -> list[Sample[Any, Pixels]]:
        oldest = t - self.settings.max_age
        return [s for s in self.cameras[camera.name].samples if oldest <= s.stamp <= t]

    def _fresh(self, camera: Camera, t: int) -> list[Sample[Any, Pixels]]:
        fresh = self._usable(camera, t)
        if fresh or camera.name in self.settings.optional_cameras:
            return fresh
        past = [s for s in self.cameras[camera.name].samples if s.stamp <= t]
        if not past:
            raise _refused(
                "camera_missing",
                f"no frame yet: is its driver running, and does it publish {camera.topic}?",
                camera.name,
            )
        age = t - past[-1].stamp
        raise _refused(
            "camera_stale",
            f"the newest frame is {age / _MS:.0f} ms old, expected at most "
            f"{self.settings.max_age / _MS:.0f} ms: check the driver, the network and the clocks",
            camera.name,
            age / NANOSECONDS,
            self.settings.max_age / NANOSECONDS,
        )

    def _pick(
        self, usable: Mapping[str, list[Sample[Any, Pixels]]]
    ) -> dict[str, Sample[Any, Pixels]]:
        """Return the set of least skew; an optional camera never makes it worse than allowed."""
        chosen = _least_skewed(usable, self.settings.skew_slack)
        stamps = [sample.stamp for sample in chosen.values()]
        if stamps and max(stamps) - min(stamps) > self.settings.max_skew:
            needed = {n: s for n, s in usable.items() if n not in self.settings.optional_cameras}
            chosen = _least_skewed(needed, self.settings.skew_slack)
        return chosen

    def _decoded(self, name: str, sample: Sample[Any, Pixels]) -> _Frame | Refused:
        camera = next(c for c in self.cell.policy_cameras if c.name == name)
        try:
            with about(name):
                pixels = self.cameras[name].value(sample)
                if int(pixels[::4, ::4].max()) <= self.settings.darkest:
                    raise _refused(
                        "image_black",
                        "the picture is black: lens cap, exposure, or a driver that sends zeros",
                        name,
                    )
        except Refused as refused:
            return refused
        return _Frame(camera, sample, pixels)

    def _joint_state(self, t: int, frame_stamps: list[int]) -> Sample[Any, Any]:
        """Return the sample nearest to the middle of the frames.

        A measured sample is taken as it is: at the 100 Hz and more that a cell must have, the
        nearest one is at most 5 ms away (0.5 ms on a Franka), and an interpolated one could neither
        be named by one stamp nor be found again in a recording.
        """
        topic = self.cell.joint_states.topic
        past = self._past(topic, t)
        moment = (min(frame_stamps) + max(frame_stamps)) // 2 if frame_stamps else t
        if not past:
            raise _refused(
                "joint_state_missing",
                f"no joint state yet: is the driver running, and does it publish {topic}?",
            )
        age = t - past[-1].stamp
        if age > self.settings.max_age:
            raise _refused(
                "joint_state_stale",
                f"the newest joint state is {age / _MS:.0f} ms old, expected at most "
                f"{self.settings.max_age / _MS:.0f} ms: check the driver and the clocks",
                value=age / NANOSECONDS,
                limit=self.settings.max_age / NANOSECONDS,
            )
        return past[nearest(past, moment)]

    def _past(self, topic: str, t: int) -> tuple[Sample[Any, Any], ...]:
        samples = self.states[topic].samples
        return samples[: bisect_right(samples, t, key=stamp_of)]

    def _positions(self, sample: Sample[Any, Any]) -> Array:
        message = self.states[self.cell.joint_states.topic].value(sample)
        return select_positions(message.name, message.position, self.cell.joints)

    def _opening(self, arm: Arm, t: int, moment: int) -> float:
        """Return how far the arm's gripper was open (m) at about that moment."""
        gripper, topic = arm.gripper, arm.gripper.state_topic
        past = self._past(topic, t)
        if not past:
            raise _refused(
                "gripper_state_missing",
                f"no state yet: does the gripper's driver publish {gripper.joint} on {topic}?",
                arm.gripper_name,
            )
        age, limit = t - past[-1].stamp, self.settings.max_gripper_age
        if age > limit:
            raise _refused(
                "gripper_state_stale",
                f"its newest state is {age / _MS:.0f} ms old, expected at most {limit / _MS:.0f}",
                arm.gripper_name,
                age / NANOSECONDS,
                limit / NANOSECONDS,
            )
        message = self.states[topic].value(past[nearest(past, moment)])
        joint = select_positions(message.name, message.position, (gripper.joint,))[0]
        return grippers.opening_of_joint(gripper, float(joint), arm.gripper_name)

    def _check_times(self, age: int, skew: int) -> None:
        settings = self.settings
        if skew > settings.max_skew:
            raise _refused(
                "skew",
                f"pictures and joint state are {skew / _MS:.1f} ms apart, expected at most "
                f"{settings.max_skew / _MS:.1f}: check rates, latencies and clocks",
                value=skew / NANOSECONDS,
                limit=settings.max_skew / NANOSECONDS,
            )
        if age > settings.max_age:
            raise _refused(
                "observation_stale",
                f"the best set begins {age / _MS:.0f} ms ago, expected at most "
                f"{settings.max_age / _MS:.0f}",
                value=age / NANOSECONDS,
                limit=settings.max_age / NANOSECONDS,
            )

    def _check_joints(self, stamp: int, positions: Array, commanded: Array) -> None:
        """Refuse joints that stay the same, bit for bit, although they were told to move."""
        known = self._posture
        if known is None or stamp < known.since or not np.array_equal(known.positions, positions):
            self._posture = _Posture(positions, stamp, commanded)
            return
        moved = float(np.max(np.abs(commanded - known.reference)))
        frozen = stamp - known.since
        if frozen > self.settings.max_frozen and moved > self.settings.frozen_reference:
            raise _refused(
                "joint_state_frozen",
                f"exactly the same joints for {frozen / NANOSECONDS:.2f} s while the arm was told "
                f"to move by {moved:.3f} rad: restart the driver",
                value=frozen / NANOSECONDS,
                limit=self.settings.max_frozen / NANOSECONDS,
            )

    def _seen_by(self, camera: Camera) -> slice:
        """Return the joints whose motion must change the camera's picture.

        A camera on the bench sees the arms; one on a wrist only has to notice its own arm.
        """
        first = 0
        for arm in self.cell.arms:
            if camera.mount.frame == arm.flange_frame:
                return slice(first, first + len(arm.joints))
            first += len(arm.joints)
        return slice(None)

    def _check_picture(self, frame: _Frame, positions: Array) -> None:
        """Refuse a camera whose pixels stay the same although the arm has moved."""
        name, stamp = frame.camera.name, frame.sample.stamp
        watch = self._watches.get(name)
        if watch is None or stamp < watch.since or not _same(watch.pixels, frame.pixels):
            self._watches[name] = _Watch(frame.pixels, stamp, positions)
            return
        moved = float(np.max(np.abs(positions - watch.positions)[self._seen_by(frame.camera)]))
        frozen = stamp - watch.since
        if frozen > self.settings.max_frozen and moved > self.settings.frozen_motion:
            raise _refused(
                "camera_frozen",
                f"exactly the same picture for {frozen / NANOSECONDS:.2f} s while the arm moved by "
                f"{moved:.3f} rad: restart the camera",
                name,
                frozen / NANOSECONDS,
                self.settings.max_frozen / NANOSECONDS,
            )


def _same(one: Pixels, other: Pixels) -> bool:
    """Whether two pictures are equal; where they are not, a few rows show it."""
    some = slice(None, None, 32)
    return np.array_equal(one[some], other[some]) and np.array_equal(one, other)


def _least_skewed(
    usable: Mapping[str, list[Sample[Any, Pixels]]], slack: int
) -> dict[str, Sample[Any, Pixels]]:
    picked = least_skew([[sample.stamp for sample in usable[name]] for name in usable], slack)
    return {name: usable[name][i] for name, i in zip(usable, picked, strict=True)}


def _refused(
    reason: str,
    detail: str,
    subject: str = "",
    value: float = float("nan"),
    limit: float = float("nan"),
) -> Refused:
    return Refused(Refusal(reason, detail, subject, value, limit))
