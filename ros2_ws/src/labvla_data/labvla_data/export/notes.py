"""What the small messages of an episode say: read once, before the pictures."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from labvla_data.bag.decode import DecodeError, Message, decoder
from labvla_data.bag.reader import BagMessage, BagReader
from labvla_data.export.commands import (
    ActionSource,
    Commands,
    Plan,
    Plans,
    Track,
    ordered_row,
    plan_of,
    stamp_of,
)
from labvla_data.export.reasons import Refused
from labvla_data.export.source import Source, reading
from labvla_data.recording.course import PEOPLE
from labvla_data.recording.streams import CHUNKS, PROTOCOL, SCENE, STATUS, USED
from labvla_data.scene import Scene
from labvla_policy.runtime import grippers
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refused as SampleRefused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.types import NANOSECONDS, Array

Value = TypeVar("Value")
_RUNNING = 1  # ProtocolStatus.RUNNING
_SCENE_PERIOD = NANOSECONDS // 20  # the bench is told of thirty times a second
# No arm is that fast: the simulated one was set elsewhere.
_SET_ELSEWHERE = 8.0  # rad/s
_NOTICEABLE = 0.05  # rad


class Timeline(Generic[Value]):
    """A value that holds until the next one."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._values: list[Value] = []

    def add(self, stamp: int, value: Value) -> None:
        """Note a value; a stamp from before the last one is of no use.

        Of two with one stamp the later one counts: in lock-step much is said while time stands.
        """
        if self._stamps and stamp < self._stamps[-1]:
            return
        if self._stamps and stamp == self._stamps[-1]:
            self._values[-1] = value
            return
        self._stamps.append(stamp)
        self._values.append(value)

    def at(self, t: int, otherwise: Value) -> Value:
        """Return the value in force."""
        index = bisect_right(self._stamps, t) - 1
        return self._values[index] if index >= 0 else otherwise


@dataclass(frozen=True)
class UsedObservation:
    """What the policy node says about one observation."""

    stamp: int  # ns, of the joint state
    cameras: dict[str, int]  # stamp by camera
    age: int  # ns
    instruction: str
    hash: bytes
    sequence: int

    @property
    def stamps(self) -> list[int]:
        """All stamps."""
        return [self.stamp, *self.cameras.values()]


@dataclass
class Notes:
    """Everything that is known before the first row."""

    cameras: dict[str, list[int]]  # stamps by name
    states: dict[str, list[int]]  # stamps by topic
    commands: Commands
    reference: Track | None
    used: list[UsedObservation]
    owners: Timeline[str]
    instructions: Timeline[str]
    steps: Timeline[str]
    scenes: Timeline[Scene | None]
    put_up: int = 0  # ns, when the simulated bench was last put up anew; 0: before the recording

    def scene_at(self, t: int) -> Scene | None:
        """Return what stood on the simulated bench; None where nobody tells."""
        return self.scenes.at(t + _SCENE_PERIOD, None)

    def intervened(self, t: int) -> bool:
        """Whether a person moved the arms."""
        return self.owners.at(t, "") in PEOPLE


@dataclass
class _Gathered:
    """Messages as they come."""

    cameras: dict[str, list[int]]
    states: dict[str, list[int]]
    references: list[tuple[int, Array, Array]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    used: list[UsedObservation] = field(default_factory=list)
    owners: Timeline[str] = field(default_factory=Timeline)
    instructions: Timeline[str] = field(default_factory=Timeline)
    steps: Timeline[str] = field(default_factory=Timeline)
    scenes: Timeline[Scene | None] = field(default_factory=Timeline)
    put_up: int = 0  # ns, when another scene was told of
    joints: list[tuple[int, Array]] = field(default_factory=list)
    openings: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def take_notes(source: Source, actions: ActionSource) -> Notes:
    """Read the episode once, decoding only what is small."""
    cell = source.cell
    cameras = {source.topic(c.topic): c for c in cell.policy_cameras}
    joints = source.topic(cell.joint_states.topic)
    states = {joints, *(source.topic(arm.gripper.state_topic) for arm in cell.arms)}
    gathered = _Gathered(
        {camera.name: [] for camera in cell.policy_cameras}, {topic: [] for topic in states}
    )
    readers = {
        source.topic(CHUNKS): _note_chunk,
        source.topic(USED): _note_used,
        source.topic(STATUS): _note_status,
        source.topic(PROTOCOL): _note_protocol,
        source.topic(SCENE): _note_scene,
        source.topic(f"{cell.controller.name}/state"): _note_reference,
    }
    with reading(source.folder) as reader:
        for message in reader.messages({*cameras, *states, *readers}, copy=False):
            if (camera := cameras.get(message.topic)) is not None:
                latency = round(camera.latency * NANOSECONDS)
                gathered.cameras[camera.name].append(_stamp(message) - latency)
            elif message.topic in states:
                gathered.states[message.topic].append(_stamp(message))
                _note_state(message, source, gathered, measured=actions == "executed")
            else:
                content = _decoded(reader, message)
                readers[message.topic](content, source, gathered)
    for name, stamps in (*gathered.cameras.items(), *gathered.states.items()):
        if not stamps:
            raise Refused("topic_missing", f"{name}: no message")
    reference = _reference(gathered)
    return Notes(
        gathered.cameras,
        gathered.states,
        _commands(gathered, reference, source, actions),
        reference,
        gathered.used,
        gathered.owners,
        gathered.instructions,
        gathered.steps,
        gathered.scenes,
        _put_up(gathered, reference),
    )


def _stamp(message: BagMessage) -> int:
    try:
        return cdr.read_stamp(message.data)
    except SampleRefused as refused:
        raise Refused("unreadable", f"{message.topic}: {refused}") from None


def _decoded(reader: BagReader, message: BagMessage) -> Message:
    try:
        return decoder(message.kind, reader.definition(message.kind))(message.data)
    except DecodeError as error:
        raise Refused("unreadable", f"{message.topic}: {error}") from None


def _note_chunk(message: Message, source: Source, gathered: _Gathered) -> None:
    gathered.plans.append(plan_of(message, source.cell.joints, _gripper_names(source)))


def _note_used(message: Message, source: Source, gathered: _Gathered) -> None:
    gathered.used.append(
        UsedObservation(
            stamp=stamp_of(message["state_stamp"]),
            cameras={c["camera"]: stamp_of(c["stamp"]) for c in message["camera_stamps"]},
            age=round(float(message["age"]) * NANOSECONDS),
            instruction=message["instruction"],
            hash=bytes(message["hash"]),
            sequence=int(message["sequence"]),
        )
    )


def _note_status(message: Message, source: Source, gathered: _Gathered) -> None:
    stamp = stamp_of(message["stamp"])
    gathered.owners.add(stamp, message["motion_owner"])
    gathered.instructions.add(stamp, message["instruction"])


def _note_protocol(message: Message, source: Source, gathered: _Gathered) -> None:
    steps, current = message["steps"], int(message["current_step"])
    running = message["state"] == _RUNNING and current < len(steps)
    text = (steps[current]["text"] or steps[current]["instruction"]) if running else ""
    gathered.steps.add(stamp_of(message["stamp"]), text)


def _note_scene(message: Message, source: Source, gathered: _Gathered) -> None:
    scene = Scene(
        task=message["task"],
        seed=int(message["seed"]),
        variation=message["variation"],
        positions=tuple(float(value) for value in message["positions"]),
        heating=bool(message["heating"]),
        temperature=float(message["temperature"]),
    )
    stamp = stamp_of(message["stamp"])
    before = gathered.scenes.at(stamp, None)
    if before is not None and not scene.is_of(before):
        gathered.put_up = stamp
    gathered.scenes.add(stamp, scene)


def _note_reference(message: Message, source: Source, gathered: _Gathered) -> None:
    cell = source.cell
    gathered.references.append(
        (
            stamp_of(message["stamp"]),
            ordered_row(message["reference_positions"], message["joint_names"], cell.joints),
            ordered_row(
                message["gripper_targets"], message["gripper_names"], _gripper_names(source)
            ),
        )
    )


def _note_state(
    message: BagMessage, source: Source, gathered: _Gathered, *, measured: bool
) -> None:
    """Note where the grippers are, and, if actions are made from it, the joints."""
    cell = source.cell
    arms = [a for a in cell.arms if source.topic(a.gripper.state_topic) == message.topic]
    is_arm = message.topic == source.topic(cell.joint_states.topic)
    if not arms and not (is_arm and measured):
        return
    stamp = gathered.states[message.topic][-1]
    try:
        state = cdr.read_joint_state(message.data)
        for arm in arms:
            joint = select_positions(state.name, state.position, (arm.gripper.joint,))[0]
            opening = grippers.opening_of_joint(arm.gripper, float(joint), arm.gripper_name)
            gathered.openings.setdefault(arm.gripper_name, []).append((stamp, opening))
        if is_arm and measured:
            positions = select_positions(state.name, state.position, cell.joints)
            gathered.joints.append((stamp, positions))
    except SampleRefused:
        return  # the assembly meets the same sample, and says what it means for a row


def _gripper_names(source: Source) -> tuple[str, ...]:
    return tuple(arm.gripper_name for arm in source.cell.arms)


def _reference(gathered: _Gathered) -> Track | None:
    known = {stamp: (positions, openings) for stamp, positions, openings in gathered.references}
    if len(known) < 2:
        return None
    stamps = sorted(known)
    return Track(
        "controller_state",
        np.array(stamps, dtype=np.int64),
        np.array([known[stamp][0] for stamp in stamps]),
        np.array([known[stamp][1] for stamp in stamps]),
    )


def _put_up(gathered: _Gathered, reference: Track | None) -> int:
    """Return when a simulated bench was last put up anew; the same scene again sets the arms back.

    A real cell has no scene, and there nothing is ever set anywhere.
    """
    if reference is None or gathered.scenes.at(int(reference.stamps[-1]), None) is None:
        return gathered.put_up
    steps = np.abs(np.diff(reference.positions, axis=0)).max(axis=1)
    seconds = np.diff(reference.stamps) / NANOSECONDS
    jumps = np.flatnonzero((steps > _NOTICEABLE) & (steps > _SET_ELSEWHERE * seconds))
    last = int(reference.stamps[jumps[-1] + 1]) if len(jumps) else 0
    return max(gathered.put_up, last)


def _commands(
    gathered: _Gathered, reference: Track | None, source: Source, actions: ActionSource
) -> Commands:
    if actions == "executed":
        return _executed(gathered, source)
    if reference is not None:
        return _with_openings(reference, gathered, source)
    if gathered.plans:
        return Plans(gathered.plans)
    state, chunk = f"{source.cell.controller.name}/state", CHUNKS
    raise Refused("no_actions", f"neither {state} nor {chunk} was recorded")


def _executed(gathered: _Gathered, source: Source) -> Track:
    known = dict(gathered.joints)
    if len(known) < 2:
        raise Refused("no_actions", "no joint state can be read")
    stamps = np.array(sorted(known), dtype=np.int64)
    positions = np.array([known[stamp] for stamp in stamps.tolist()])
    return Track("joint_states", stamps, positions, _measured(stamps, gathered, source))


def _with_openings(track: Track, gathered: _Gathered, source: Source) -> Track:
    """Return the reference; a gripper that was never told anything stays where it is."""
    measured = _measured(track.stamps, gathered, source)
    openings = np.where(np.isfinite(track.openings), track.openings, measured)
    return Track(track.name, track.stamps, track.positions, openings)


def _measured(stamps: Any, gathered: _Gathered, source: Source) -> Array:
    """Return every gripper's measured opening at some times; NaN where none was measured."""
    columns = []
    for name in _gripper_names(source):
        samples: Sequence[tuple[int, float]] = gathered.openings.get(name, ())
        if not samples:
            columns.append(np.full(len(stamps), np.nan))
            continue
        times = np.array([stamp for stamp, _ in samples]) - stamps[0]
        order = np.argsort(times, kind="stable")
        values = np.array([opening for _, opening in samples])
        columns.append(np.interp(stamps - stamps[0], times[order], values[order]))
    return np.stack(columns, axis=1)
