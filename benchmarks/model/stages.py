"""The road from a frame to rows, cut into the stages that are measured one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.model.network import COLUMNS
from labvla_policy.model.inference import LoadedPolicy
from labvla_policy.model.inputs import Prefix
from labvla_policy.model.pipeline.frames import slot_pixels
from labvla_policy.model.pipeline.upload import Upload
from labvla_policy.model.policy import Policy
from labvla_policy.model.realtime import RealtimePolicy, RealtimeSettings
from labvla_policy.model.replayed import Recorder
from labvla_policy.model.rtc import Continuation

Frames = Sequence[np.ndarray[Any, np.dtype[np.uint8]]]
PROMPT = "pick up the beaker from the table and place it at the target"
FROZEN, KNOWN = 8, 25


@dataclass(frozen=True)
class Stage:
    """A part of the road that can be repeated by itself."""

    name: str
    function: Callable[[], object]


def inputs_of(loaded: LoadedPolicy, frames: Frames) -> Any:
    """Return what the network gets of an observation."""
    return loaded.prepare(frames, np.zeros(COLUMNS), PROMPT).inputs


def network_stages(policy: Policy, inputs: Any, graphs: bool) -> list[Stage]:
    """Return the stages of the backbone, each recorded by itself; each feeds the next one."""
    recorder = Recorder(policy.device, graphs)
    with torch.no_grad():
        seen = recorder.record(partial(policy.embed, inputs))
        layers = policy.dit_action_head.cross_attentions
        depth = layers if policy.config.dit_layerwise_vlm_features else 1
        read = recorder.record(lambda: policy.vlm(seen.result, depth))

        def keys() -> object:
            features = tuple(policy.proj_vlm_to_dit(layer) for layer in read.result)
            return policy.cross_kv(Prefix(features, seen.result.mask))

        kept = recorder.record(keys)
    return [Stage("vision", seen), Stage("language", read), Stage("keys", kept)]


def continuation_of(policy: Policy) -> Continuation:
    """Return something to continue: a motion about the middle of the data."""
    rows, columns = policy.chunk_shape
    known = min(KNOWN, rows)
    target = torch.zeros(known, COLUMNS)
    return Continuation.of(target, min(FROZEN, known), rows, columns)


class Loop:
    """The Euler loop alone, on an observation that has been taken already."""

    def __init__(self, policy: Policy, inputs: Any, settings: RealtimeSettings) -> None:
        self.realtime = RealtimePolicy(policy, settings)
        self.realtime.observe(inputs)
        self._noise = torch.randn(
            settings.samples, *policy.chunk_shape, generator=torch.Generator().manual_seed(0)
        )
        self._continuation = continuation_of(policy)

    def plain(self) -> Tensor:
        """Follow the velocity."""
        return self.realtime.sample(self._noise)

    def guided(self) -> Tensor:
        """Follow it towards what has to be continued."""
        return self.realtime.sample(self._noise, self._continuation)


def edge_stages(loaded: LoadedPolicy, frames: Frames) -> tuple[list[Stage], list[Stage]]:
    """Return what is done to frames before the network, and to rows after it."""
    upload, policy = Upload(loaded.device), loaded.policy
    slots, plan = policy.vlm.camera_slots, policy.vlm.pixel_plan
    on_device = upload(frames)
    chunk = np.zeros(policy.chunk_shape, dtype=np.float32)
    state = np.zeros(COLUMNS, dtype=np.float32)
    before = [
        Stage("upload", partial(upload, frames)),
        Stage("pixels", partial(slot_pixels, on_device, slots, plan, loaded.device)),
    ]
    return before, [Stage("restore", partial(loaded.vectors.restored, chunk, state))]
