"""The three dialects of the protocol: what each wants to be sent, and what its rows mean.

The conversion of rows to absolute targets happens once, in `runtime.targets`. A dialect only says
in which space they arrive: the LabVLA servers have already added the state to their deltas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.remote.options import RemoteOptions
from labvla_policy.openpi import names
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cell.contract import ActionSpace
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.targets import rows_of_prefix
from labvla_policy.runtime.types import Observation


class Dialect(Protocol):
    """How one kind of server is spoken to."""

    name: str
    space: ActionSpace  # of the rows that it sends
    restores: bool  # whether it has added its deltas to the measured state itself

    def request(self, question: Question, number: int, timeout: float) -> dict[str, Any]:
        """Return what to send."""
        ...

    def is_answer_to(self, reply: Any, number: int) -> bool:
        """Whether a reply belongs to the request of this number, as far as it says."""
        ...


class LabVla:
    """The original LabVLA server: fixed camera names, no extensions, absolute rows."""

    name = "labvla"
    space: ActionSpace = "absolute"
    restores = True

    def request(self, question: Question, number: int, timeout: float) -> dict[str, Any]:
        """Return what to send; a masked camera is one that is not there."""
        observation = question.observation
        seen = zip(names.CAMERAS, observation.images, strict=False)
        return {
            **{name: image for name, image in seen if image is not None},
            names.STATE: observation.state.astype(np.float32),
            # The server reads the first and falls back to the second; its own client sends both.
            names.PROMPT: observation.instruction,
            names.OTHER_PROMPT: observation.instruction,
        }

    def is_answer_to(self, reply: Any, number: int) -> bool:
        """Answers have no numbers."""
        return True


class LabVlaRos:
    """This stack's own server: masks are said, requests are numbered and have deadlines."""

    name = "labvla-ros"
    space: ActionSpace = "absolute"
    restores = True

    # So much of the deadline is the server's, that its own "too late" arrives before ours.
    _SHARE = 0.9

    def __init__(self, metadata: Metadata, cell: Cell) -> None:
        self._cell = cell
        self._cameras = metadata.cameras or names.CAMERAS
        self._prefix_rows = (metadata.prefix_rows or 0) if _has(metadata, names.PREFIX) else 0

    def request(self, question: Question, number: int, timeout: float) -> dict[str, Any]:
        """Return what to send."""
        observation = question.observation
        return {
            **dict(zip(self._cameras, observation.images, strict=True)),
            names.STATE: observation.state,
            names.PROMPT: observation.instruction,
            names.REQUEST_ID: number,
            names.DEADLINE_MS: max(1.0, timeout * self._SHARE * 1000),
            **self._prefix(question),
        }

    def is_answer_to(self, reply: Any, number: int) -> bool:
        """An error may be without a number; rows have to have the right one."""
        if not isinstance(reply, Mapping):
            return True  # what else is wrong with it will be said elsewhere
        return reply.get(names.REQUEST_ID, None if names.ERROR in reply else -1) in (number, None)

    def _prefix(self, question: Question) -> dict[str, Any]:
        prefix = question.prefix
        if prefix is None or not self._prefix_rows:
            return {}
        rows = rows_of_prefix(prefix, question.observation, self._cell, self.space)
        rows = rows[: self._prefix_rows]
        return {names.PREFIX: rows, names.PREFIX_FROZEN: min(prefix.frozen, len(rows))}


class OpenPi:
    """A server of openpi's: every policy has keys and spaces of its own, which it does not say."""

    name = "openpi"
    restores = False

    def __init__(self, options: RemoteOptions, cell: Cell) -> None:
        options.check_openpi()
        assert options.action_space is not None
        self.space: ActionSpace = options.action_space
        self._options = options
        cameras = [camera.name for camera in cell.policy_cameras]
        if len(options.images) != len(cameras):
            raise EngineError(
                f"remote: images: expected {len(cameras)} keys, for the cameras "
                f"{', '.join(cameras)}; got {', '.join(options.images)}"
            )
        width = cell.policy.columns.width
        counts = [width if key.columns is None else key.columns for key in options.state]
        if sum(counts) != width:
            raise EngineError(
                f"remote: state: expected keys for {width} columns ({cell.policy.layout}), got "
                f"{sum(counts)}"
            )
        self._splits = np.cumsum(counts)[:-1]
        self._cameras = cameras

    def request(self, question: Question, number: int, timeout: float) -> dict[str, Any]:
        """Return what to send."""
        observation = question.observation
        self._insist_on_pictures(observation)
        parts = np.split(observation.state.astype(np.float32), self._splits)
        return {
            **dict(zip(self._options.images, observation.images, strict=True)),
            **{key.name: part for key, part in zip(self._options.state, parts, strict=True)},
            self._options.prompt: observation.instruction,
        }

    def is_answer_to(self, reply: Any, number: int) -> bool:
        """Answers have no numbers."""
        return True

    def _insist_on_pictures(self, observation: Observation) -> None:
        for camera, image in zip(self._cameras, observation.images, strict=True):
            if image is None:
                detail = "the protocol of openpi has no way to leave a camera out"
                raise Refused(Refusal("camera_missing", detail, camera))


def recognise(
    metadata: Metadata, speaks_extensions: bool, options: RemoteOptions, cell: Cell
) -> Dialect:
    """Return the dialect that was asked for, or the one that the server shows."""
    wanted = options.dialect
    if wanted == "auto":
        if speaks_extensions:
            wanted = LabVlaRos.name
        else:
            wanted = LabVla.name if metadata.policy_type == "labvla" else OpenPi.name
    if wanted == LabVlaRos.name:
        return LabVlaRos(metadata, cell)
    return LabVla() if wanted == LabVla.name else OpenPi(options, cell)


def _has(metadata: Metadata, extension: str) -> bool:
    return extension in (metadata.extensions or ())
