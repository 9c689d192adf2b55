"""A loaded policy that is asked again and again: frames, state and words in, rows out.

What the engine and the server share; neither cells nor protocols are known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from labvla_policy.model.flow import draw_noise
from labvla_policy.model.inference import LoadedPolicy, Question
from labvla_policy.model.pipeline.text import Words
from labvla_policy.model.pipeline.upload import Upload
from labvla_policy.model.pipeline.vectors import Rows
from labvla_policy.model.realtime import RealtimePolicy, RealtimeSettings, chosen, never
from labvla_policy.model.rtc import Continuation

Frame = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Committed:
    """The plan in execution as rows of an answer: in raw units, relative where answers are."""

    rows: NDArray[np.floating]
    frozen: int  # leading rows that are executed before the answer can take over


@dataclass(frozen=True, eq=False)
class LiveAnswer:
    """What the policy wants to be done."""

    chunk: Rows  # rows x max_action_dim: the network's own numbers
    rows: Rows  # rows x columns: in raw units, relative to the state where the policy is
    absolute: Rows  # rows x columns: in raw units
    prefix_rows: int  # leading rows that continue what was committed
    words: Words


class LivePolicy:
    """For one thread at a time."""

    def __init__(self, loaded: LoadedPolicy, settings: RealtimeSettings | None = None) -> None:
        self.loaded = loaded
        self._realtime = RealtimePolicy(loaded.policy, settings)
        self._upload = Upload(loaded.device)
        self._chance = torch.Generator()
        self.seed(None)

    @property
    def graphs(self) -> bool:
        """Whether chunks are replayed as graphs, which cannot be cancelled half-way."""
        return self._realtime.graphs

    @property
    def continuing(self) -> str:
        """How chunks continue what is committed: guided, trained or off."""
        return self._realtime.continuing

    def seed(self, seed: int | None) -> None:
        """Begin the sequence of noises anew; without a seed nobody knows where."""
        if seed is None:
            self._chance.seed()
        else:
            self._chance.manual_seed(seed)

    def warm_up(self, sizes: Sequence[tuple[int, int]]) -> float:
        """Ask for what frames of these sizes (height, width) will need; return the seconds."""
        begin = time.perf_counter()
        vectors = self.loaded.vectors
        frames = [np.full((*size, 3), 127, dtype=np.uint8) for size in sizes]
        state = np.zeros(vectors.state_columns.width, dtype=np.float32)
        committed = Committed(np.zeros((1, vectors.action_width), dtype=np.float32), 1)
        for way in (None, committed):
            self.ask(frames, state, "warm up", way)
        return time.perf_counter() - begin

    def ask(
        self,
        images: Sequence[Frame | None],
        state: ArrayLike,
        prompt: str,
        committed: Committed | None = None,
        *,
        noise: ArrayLike | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> LiveAnswer:
        """Answer one observation; raises InputError, ModelError or Cancelled.

        Without `noise` (samples x rows x max_action_dim) it is drawn.
        """
        question = self.loaded.prepare(self._upload(images), state, prompt)
        self._realtime.observe(question.inputs)
        continuation = None if committed is None else self._continuation(committed)
        chunks = self._realtime.sample(self._noise(noise), continuation, cancelled)
        if self.continuing == "off":
            continuation = None
        width = self.loaded.vectors.action_width
        chunk = chosen(chunks, width, continuation).numpy()
        return self._answer(chunk, question, continuation)

    def _noise(self, given: ArrayLike | None) -> torch.Tensor:
        shape = (self._realtime.samples, *self.loaded.policy.chunk_shape)
        if given is None:
            return draw_noise(shape, torch.device("cpu"), self._chance)
        return torch.from_numpy(np.array(given, dtype=np.float32)).reshape(shape)

    def _continuation(self, committed: Committed) -> Continuation:
        rows, columns = self.loaded.policy.chunk_shape
        known = np.asarray(committed.rows[:rows], dtype=np.float32)
        target = torch.from_numpy(self.loaded.vectors.network_rows(known))
        return Continuation.of(target, min(committed.frozen, len(known)), rows, columns)

    def _answer(
        self, chunk: Rows, question: Question, continuation: Continuation | None
    ) -> LiveAnswer:
        vectors = self.loaded.vectors
        rows = vectors.denormalised(chunk)
        return LiveAnswer(
            chunk=chunk,
            rows=rows,
            absolute=vectors.absolute(rows, question.state),
            prefix_rows=0 if continuation is None else int(continuation.frozen.sum()),
            words=question.words,
        )
