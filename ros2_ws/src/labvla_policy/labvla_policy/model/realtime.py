"""A policy that is asked again and again while a robot moves: as little as possible is done twice.

Once for each policy: what the times of the Euler steps do to the expert. Once for each
observation: backbone, and keys and values of every cross-attention. For each chunk: the Euler loop
alone. All shapes are fixed, so that on CUDA each of them is one graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from labvla_policy.model.attention import Attention
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.flow import Velocity
from labvla_policy.model.inputs import KeyValue, Modulation, PolicyInputs, Prefix
from labvla_policy.model.policy import Policy
from labvla_policy.model.replayed import Recorder, Repeated
from labvla_policy.model.rtc import PRODUCTS, Conditioned, Continuation, Guided

Continuing = Literal["guided", "trained", "off"]
MOST_SAMPLES = 64


class Cancelled(RuntimeError):
    """Nobody waits for the chunk any more."""


@dataclass(frozen=True)
class RealtimeSettings:
    """How chunks are made."""

    samples: int = 1  # chunks of an observation, of which one is used
    steps: int | None = None  # of the Euler method; None: the checkpoint's own
    continuing: Continuing | None = None  # None: trained where the checkpoint is, else guided
    products: int = PRODUCTS  # vector-Jacobian products of a guided step
    graphs: bool = True  # on CUDA; without them a chunk can be cancelled between its steps

    def __post_init__(self) -> None:
        for name, value, most in (
            ("samples", self.samples, MOST_SAMPLES),
            ("steps", self.steps, 1000),
            ("products", self.products, 10),
        ):
            if value is not None and not 1 <= value <= most:
                raise ConfigError(f"{name}: expected 1 to {most}, got {value}")


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the Euler loop needs of an observation."""

    cross_kv: tuple[KeyValue, ...]  # 1 x heads x prefix x width each
    visible: Tensor  # 1 x prefix: 0 where seen, else minus infinity


def never() -> bool:
    """Nobody cancels."""
    return False


class RealtimePolicy:
    """Observe, then sample. For one thread at a time."""

    def __init__(self, policy: Policy, settings: RealtimeSettings | None = None) -> None:
        settings = settings or RealtimeSettings()
        if policy.vlm.attention is Attention.FLASH:
            raise ConfigError(
                "attention: flash_attention_2 reads sizes back from the device, which no fixed "
                "shapes allow; use sdpa for control"
            )
        self.continuing = _continuing(policy, settings.continuing)
        self._policy = policy.requires_grad_(False)
        self._products = settings.products
        self._steps = policy.steps(settings.steps)
        self._cancelled: Callable[[], bool] = never
        self._inputs = _buffers(policy)
        shape, device = policy.chunk_shape, policy.device
        self._noise = torch.zeros(settings.samples, *shape, device=device)
        self._continuation = Continuation.nothing(*shape, device)
        self._recorder = Recorder(device, settings.graphs)
        self.graphs = self._recorder.graphs
        with torch.no_grad():
            self._times = [
                torch.full((settings.samples,), step / self._steps, device=device)
                for step in range(self._steps)
            ]
            self._modulations = [policy.modulation(time[:1]) for time in self._times]
            self._encode = self._recorder.record(self._encoded)
            self._plain = self._recorder.record(partial(self._chunks, continued=False))
            self._continued = (
                self._plain
                if self.continuing == "off"
                else self._recorder.record(partial(self._chunks, continued=True))
            )

    @property
    def samples(self) -> int:
        """Chunks of an observation."""
        return len(self._noise)

    def observe(self, inputs: PolicyInputs) -> None:
        """Take a new observation; every chunk until the next one is made from it."""
        for name in ("pixels", "image_mask", "text_ids", "text_mask", "state"):
            getattr(self._inputs, name).copy_(getattr(inputs, name), non_blocking=True)
        with torch.no_grad():
            self._encode()

    def sample(
        self,
        noise: Tensor,
        continuation: Continuation | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Tensor:
        """Return samples x rows x columns on the CPU, from as many noises.

        `cancelled` is asked before the loop, and, where there is no graph, before each step.
        """
        self._noise.copy_(self._policy.start(noise), non_blocking=True)
        continued = continuation is not None and self.continuing != "off"
        if continued:
            for name in ("target", "weight", "frozen"):
                getattr(self._continuation, name).copy_(getattr(continuation, name))
        self._cancelled = cancelled
        try:
            self._check()
            with torch.no_grad():
                return self.loop(continued)().cpu()
        finally:
            self._cancelled = never

    def loop(self, continued: bool) -> Repeated[Tensor]:
        """Return the Euler loop by itself, on what was observed last; for those who measure it."""
        return self._continued if continued else self._plain

    def _encoded(self) -> Encoded:
        prefix = self._policy.encode(self._inputs)
        visible = torch.zeros(
            prefix.mask.shape, dtype=self._policy.dtype, device=prefix.mask.device
        )
        return Encoded(self._policy.cross_kv(prefix), visible.masked_fill(~prefix.mask, -torch.inf))

    def _chunks(self, continued: bool) -> Tensor:
        encoded = self._encode.result
        many = self.samples
        prefix = Prefix((), encoded.visible.expand(many, -1))
        cross_kv = tuple(
            KeyValue(*(tensor.expand(many, -1, -1, -1) for tensor in pair))
            for pair in encoded.cross_kv
        )
        state = self._inputs.state.expand(many, -1)

        def velocity(chunk: Tensor, time: Tensor, modulation: Modulation | None = None) -> Tensor:
            return self._policy.velocity(chunk, time, state, prefix, cross_kv, modulation)

        chunk, length = self._noise, 1 / self._steps
        for step, time in enumerate(self._times):
            self._check()
            follow: Velocity = partial(velocity, modulation=self._modulations[step])
            if continued and self.continuing == "trained":
                follow = Conditioned(velocity, self._continuation, length)
            elif continued and step > 0:  # at first there is noise alone, which nothing can guide
                follow = Guided(follow, self._continuation, length, self._products)
            chunk = chunk + follow(chunk, time) / self._steps
        return chunk

    def _check(self) -> None:
        if self._cancelled():
            raise Cancelled("cancelled before the chunk was done")


def _continuing(policy: Policy, wanted: Continuing | None) -> Continuing:
    trained = policy.config.rtc_trained_prefix
    if policy.config.objective == "l1":
        if wanted not in (None, "off"):
            raise ConfigError(
                f"rtc: expected off with objective l1, whose chunk comes at once, got {wanted}"
            )
        return "off"
    if wanted == "trained" and not trained:
        raise ConfigError(
            "rtc: expected a checkpoint that was trained with clean leading rows "
            "(rtc_trained_prefix in its config.json), got one that was not; use guided"
        )
    return wanted or ("trained" if trained else "guided")


def _buffers(policy: Policy) -> PolicyInputs:
    """Return inputs of the right shapes: one visible word, pictures of nothing."""
    backbone, config, device = policy.vlm, policy.config, policy.device
    picture = backbone.pixel_plan(torch.zeros(3, 8, 8, dtype=torch.uint8, device=device))
    words = (1, config.tokenizer_max_length)
    text_mask = torch.zeros(words, dtype=torch.bool, device=device)
    text_mask[:, 0] = True
    slots = backbone.camera_slots
    return PolicyInputs(
        pixels=picture.expand(1, slots, *picture.shape).clone(),
        image_mask=torch.ones(1, slots, dtype=torch.bool, device=device),
        text_ids=torch.zeros(words, dtype=torch.long, device=device),
        text_mask=text_mask,
        state=torch.zeros(1, config.max_state_dim, device=device),
    )


def chosen(chunks: Tensor, columns: int, continuation: Continuation | None) -> Tensor:
    """Return one of several chunks (samples x rows x columns), of which `columns` are real.

    The one that continues best, where there is something to continue; otherwise the one that is
    nearest to all others. An average could be no chunk at all: between two ways around an obstacle
    lies the obstacle.
    """
    if len(chunks) == 1:
        return chunks[0]
    if continuation is not None:
        return chunks[int(continuation.distance(chunks).argmin())]
    real = chunks[..., :columns].flatten(1)
    return chunks[int(torch.cdist(real, real).sum(dim=1).argmin())]
