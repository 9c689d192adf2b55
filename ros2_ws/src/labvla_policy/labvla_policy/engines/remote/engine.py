"""The engine that asks a policy server.

It runs in the engine's own process: a call here may block, and always ends. A connection that has
missed a deadline is thrown away, so that an answer that comes late cannot be taken for the next.
"""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.remote import agreement
from labvla_policy.engines.remote.backoff import Backoff
from labvla_policy.engines.remote.dialects import Dialect, recognise
from labvla_policy.engines.remote.link import Link
from labvla_policy.engines.remote.options import RemoteOptions
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.openpi.codec import encode
from labvla_policy.openpi.metadata import Metadata, MetadataError
from labvla_policy.openpi.names import PREFIX_ROWS
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.columns import policy_columns
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.targets import absolute_targets, rows_of_reply
from labvla_policy.runtime.types import Array, Observation, Prediction

PROBE = "hold still"
# What a network makes of a dark picture says nothing about the server.
_LEARNT = ("gripper_range", "unused_column")


class RemoteEngine:
    """Asks a server, and believes nothing of what it says before it is checked."""

    def __init__(self, spec: EngineSpec) -> None:
        self._cell = load_cell(spec.cell)
        self._options = RemoteOptions.parse(spec.options)
        self._link = Link(self._options)
        self._backoff = Backoff()
        self._numbers = itertools.count(1)
        self._metadata = Metadata()
        self._dialect: Dialect
        self._last: Refusal | None = None
        self._connect(self._options.connect_timeout)
        self._tell_what_is_believed()
        self._probe()

    @property
    def policy(self) -> str:
        """Name the server and what it says it runs."""
        said = self._metadata.checkpoint or self._metadata.policy_type or "unnamed"
        return f"remote:{self._dialect.name}:{said}@{self._options.shown}"

    def begin(self, observation: Observation) -> None:
        """Servers have no memory: every request is complete."""

    def infer(self, question: Question) -> Prediction:
        """Ask the server."""
        end = time.monotonic() + self._options.deadline
        if not self._link.is_open:
            self._reconnect(end)
        return self._ask(question, end - time.monotonic())

    def close(self) -> None:
        """Say good-bye to the server."""
        self._link.close()

    def _reconnect(self, end: float) -> None:
        pause = self._backoff.left(time.monotonic())
        if pause and self._last is not None:
            raise Refused(
                replace(self._last, detail=f"{self._last.detail}; next attempt in {pause:.1f} s")
            )
        try:
            self._connect(end - time.monotonic())
        except Refused as refused:
            self._note(refused.refusal)
            raise

    def _connect(self, timeout: float) -> None:
        try:
            self._metadata = Metadata.read(self._link.open(timeout))
            self._dialect = recognise(
                self._metadata, self._link.speaks_extensions, self._options, self._cell
            )
            agreement.check(self._metadata, self._cell, self._dialect, self._options.shown)
        except MetadataError as error:
            self._link.close()
            raise self._refused("server_contract", f"its first message: {error}") from None
        except (EngineError, Refused):
            self._link.close()
            raise

    def _ask(self, question: Question, timeout: float) -> Prediction:
        number = next(self._numbers)
        request = self._dialect.request(question, number, timeout)
        try:
            reply = self._link.ask(encode(request), timeout)
            if not self._dialect.is_answer_to(reply, number):
                self._link.drop()
                raise self._refused("reply_unrequested", "an answer to another question")
        except Refused as refused:
            if not self._link.is_open:
                self._note(refused.refusal)
            raise
        self._backoff.succeeded()
        return self._prediction(reply, question)

    def _prediction(self, reply: Any, question: Question) -> Prediction:
        rows = rows_of_reply(reply)
        self._check_telltales(rows)
        prediction = absolute_targets(rows, question.observation, self._cell, self._dialect.space)
        return replace(prediction, prefix_rows=self._continued(reply, question))

    def _check_telltales(self, rows: Array) -> None:
        """Refuse what no policy says, and what servers say when something is wrong with them."""
        announced = self._metadata.chunk_size
        if announced is not None and len(rows) != announced:
            raise self._refused(
                "reply_rows", f"it announced {announced} rows and answers {len(rows)}"
            )
        if not np.any(rows):
            raise self._refused(
                "reply_zeros",
                "every number of its answer is zero: the original server answers so when it does "
                "not find its cameras",
            )

    def _continued(self, reply: Any, question: Question) -> int:
        if question.prefix is None:
            return 0
        said = reply.get(PREFIX_ROWS, 0)
        if type(said) is not int or not 0 <= said <= question.prefix.rows:
            raise self._refused("reply_malformed", f"it continues {str(said)[:80]} rows")
        return said

    def _note(self, refusal: Refusal) -> None:
        self._last = refusal
        self._backoff.failed(time.monotonic())

    def _refused(self, reason: str, detail: str) -> Refused:
        return Refused(Refusal(reason, f"{self._options.shown}: {detail}"))

    def _tell_what_is_believed(self) -> None:
        believed = [f"{name} ({place})" for name, place in agreement.unsaid(self._metadata).items()]
        if believed:
            sys.stderr.write(
                f"{self.policy} does not say {', '.join(believed)}: the cell is believed\n"
            )
        if self._link.sends_token_openly:
            sys.stderr.write(
                f"the token goes to {self._options.shown} unencrypted: use wss:// or a tunnel\n"
            )

    def _probe(self) -> None:
        """Ask once before anything moves: a server that cannot answer is found out now."""
        try:
            self._ask(Question(_dark(self._cell)), self._options.probe_timeout)
        except Refused as refused:
            if refused.refusal.reason not in _LEARNT:
                self._link.close()
                raise


def _dark(cell: Cell) -> Observation:
    """Return an observation of a cell at its first posture, in the dark."""
    positions = np.concatenate([arm.postures[0].joints for arm in cell.arms])
    openings = np.array([arm.gripper.stroke / 2 for arm in cell.arms])
    return Observation(
        stamp=0,
        joint_names=cell.joints,
        positions=positions,
        instruction=PROBE,
        grippers=openings,
        state=policy_columns(cell, positions, openings),
        images=tuple(
            np.zeros((camera.height, camera.width, 3), np.uint8) for camera in cell.policy_cameras
        ),
        reference=positions,
    )
