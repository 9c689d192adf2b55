"""Faults of the motion: jumps, and time in which nothing happens."""

from __future__ import annotations

import numpy as np

from labvla_data.checks.findings import Detector, Look, ScanSettings
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.reader import Dataset, Episode, as_matrix
from labvla_policy.runtime.types import Array


def motion_of(episode: Episode, dataset: Dataset) -> tuple[Array, Array] | None:
    """Return states and actions, frames x columns; None if there are none of equal width."""
    names = dataset.name_of("observation.state"), dataset.name_of("action")
    if names[0] is None or names[1] is None:
        return None
    try:
        columns = episode.columns([names[0], names[1]])
    except DatasetError:
        return None  # another detector says so
    states, actions = (as_matrix(columns[name]) for name in names if name)
    return (states, actions) if states.shape == actions.shape and len(states) else None


def joint_columns(dataset: Dataset, width: int) -> list[int]:
    """Return the columns that hold joints: all but the grippers, as far as they are known."""
    return [column for column in range(width) if column not in gripper_columns(dataset)]


def gripper_columns(dataset: Dataset) -> tuple[int, ...]:
    """Return the columns that hold grippers: the schema's, or those named so."""
    if dataset.schema is not None:
        return dataset.schema.gripper_action_dims
    name = dataset.name_of("action")
    names = dataset.columns[name].names if name else ()
    words = ("gripper", "finger", "hand")
    return tuple(i for i, text in enumerate(names) if any(word in text.lower() for word in words))


def _turned(values: Array) -> Array:
    """Return differences of angles; a step over half a turn is one the other way."""
    return np.asarray((values + np.pi) % (2 * np.pi) - np.pi)


class ActionJumps(Detector):
    """Actions that no arm could follow."""

    name = "action_jumps"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Compare actions with those before them, and with the state."""
        look = Look()
        motion = motion_of(episode, dataset)
        if motion is None:
            return look
        states, actions = motion
        joints = joint_columns(dataset, actions.shape[1])
        for name, values in (("action", actions), ("state", states)):
            speed = np.abs(_turned(np.diff(values[:, joints], axis=0))) * dataset.fps
            if speed.size and speed.max() > settings.fastest:
                frame, joint = np.unravel_index(int(speed.argmax()), speed.shape)
                look.find(
                    f"{name}_jump",
                    column=joints[int(joint)],
                    frame=int(frame) + 1,
                    speed=round(float(speed.max()), 3),
                )
        distance = np.abs(_turned(actions[:, joints] - states[:, joints]))
        if distance.size and distance.max() > settings.farthest:
            frame, joint = np.unravel_index(int(distance.argmax()), distance.shape)
            look.find(
                "action_far_from_state",
                column=joints[int(joint)],
                frame=int(frame),
                distance=round(float(distance.max()), 3),
            )
        return look


class IdleEnds(Detector):
    """Time before the first and after the last motion: it teaches a policy to wait."""

    name = "idle_ends"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Find the first and the last frame in which anything moves."""
        look = Look()
        motion = motion_of(episode, dataset)
        if motion is None:
            return look
        states = motion[0]
        grippers = [column for column in gripper_columns(dataset) if column < states.shape[1]]
        joints = joint_columns(dataset, states.shape[1])
        head, tail = (_still(part, joints, grippers, settings) for part in (states, states[::-1]))
        if head == len(states):
            look.find("never_moves", seconds=round(len(states) / dataset.fps, 2))
            return look
        for kind, frames in (("idle_head", head), ("idle_tail", tail)):
            if frames > settings.idle_time * dataset.fps:
                look.find(kind, warning=True, frames=frames, seconds=round(frames / dataset.fps, 2))
        return look


def _still(states: Array, joints: list[int], grippers: list[int], settings: ScanSettings) -> int:
    """Return how many frames it takes until something has moved."""
    moved = np.abs(_turned(states[:, joints] - states[0, joints])).max(axis=1, initial=0.0)
    moving = moved > settings.idle_motion
    for gripper in grippers:
        span = np.ptp(states[:, gripper])
        change = np.abs(states[:, gripper] - states[0, gripper])
        # in whatever unit it is: a twentieth of all that it does in this episode
        moving |= (change > span / 20) & (span > settings.idle_motion)
    return int(moving.argmax()) if moving.any() else len(states)
