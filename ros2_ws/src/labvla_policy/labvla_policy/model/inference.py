"""A policy that answers: pictures, state and instruction in, actions in the robot's units out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from labvla_policy.model import flow
from labvla_policy.model.checkpoint.progress import read_progress_head
from labvla_policy.model.checkpoint.read import (
    chosen_device,
    chosen_dtype,
    describe,
    load_network,
    read_schema,
    read_stats,
    read_tokenizer,
)
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.control import ControlContract
from labvla_policy.model.errors import CheckpointError, InputError, ModelError
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.pipeline.frames import Image, slot_pixels
from labvla_policy.model.pipeline.schema import DataSchema
from labvla_policy.model.pipeline.text import PromptTokenizer, Words
from labvla_policy.model.pipeline.vectors import DataOptions, Rows, VectorPlan, make_plan
from labvla_policy.model.policy import Policy
from labvla_policy.model.progress import ProgressHead


@dataclass(frozen=True, eq=False)
class Question:
    """An observation, checked and ready for the network."""

    inputs: PolicyInputs
    state: Rows  # canonical, in raw units: what deltas are added to
    words: Words


@dataclass(frozen=True, eq=False)
class Answer:
    """What the policy wants to be done."""

    chunk: Rows  # rows x max_action_dim: the network's own numbers
    actions: Rows  # rows x columns of the schema: absolute, in the robot's units
    words: Words
    progress: float | None = None  # share of the episode that is done; None: nobody tells


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """A network with everything around it. Not safe to be asked from several threads at once."""

    policy: Policy
    tokenizer: PromptTokenizer
    vectors: VectorPlan
    schema: DataSchema
    control: ControlContract
    stats_digest: str  # of the statistics, to tell that two ends use the same
    device: torch.device
    source: str  # how messages name it
    notes: tuple[str, ...]
    progress_head: ProgressHead | None = None

    def prepare(self, images: Sequence[Image | None], state: ArrayLike, prompt: str) -> Question:
        """Check an observation and turn it into the network's inputs."""
        backbone = self.policy.vlm
        words = self.tokenizer(prompt)
        canonical = self.vectors.canonical_state(state)
        pixels, mask = slot_pixels(images, backbone.camera_slots, backbone.pixel_plan, self.device)
        inputs = PolicyInputs(
            pixels=pixels,
            image_mask=mask,
            text_ids=torch.tensor([words.ids], device=self.device),
            text_mask=torch.tensor([words.mask], device=self.device),
            state=torch.from_numpy(self.vectors.network_state(canonical)[None]).to(self.device),
        )
        return Question(inputs, canonical, words)

    def noise(self, given: ArrayLike | None = None, seed: int | None = None) -> Tensor:
        """Return the sampler's start: the given one, or one drawn with the seed."""
        shape = (1, *self.policy.chunk_shape)
        if given is None:
            generator = torch.Generator()
            if seed is None:
                generator.seed()
            else:
                generator.manual_seed(seed)
            return flow.draw_noise(shape, self.device, generator)
        try:
            values = np.array(given, dtype=np.float32)
        except (TypeError, ValueError):
            raise InputError("noise: expected numbers") from None
        if values.shape not in {shape, shape[1:]}:
            raise InputError(f"noise: expected an array of shape {shape[1:]}, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError("noise: holds NaN or infinity")
        return torch.from_numpy(values.reshape(shape)).to(self.device)

    def predict(
        self,
        images: Sequence[Image | None],
        state: ArrayLike,
        prompt: str,
        *,
        noise: ArrayLike | None = None,
        seed: int | None = None,
        steps: int | None = None,
    ) -> Answer:
        """Answer one observation. Images are in the order of the slots; None: no such camera."""
        if steps is not None and steps < 1:
            raise InputError(f"steps: expected at least 1, got {steps}")
        question = self.prepare(images, state, prompt)
        with torch.inference_mode():
            seen = self.policy.encode(question.inputs)
            state, start = question.inputs.state, self.noise(noise, seed)
            chunk = self.policy.sample_seen(seen, state, start, steps)
            head = self.progress_head
            progress = None if head is None else float(head(seen))
        return replace(self.answer(question, chunk), progress=progress)

    def answer(self, question: Question, chunk: Tensor) -> Answer:
        """Turn the network's chunk into actions of the robot."""
        rows = chunk[0].float().cpu().numpy()
        if not np.isfinite(rows).all():
            raise ModelError("the network answered NaN or infinity: check checkpoint and dtype")
        return Answer(rows, self.vectors.restored(rows, question.state), question.words)


def load_policy(
    source: str | Path,
    device: str | torch.device = "cpu",
    dtype: str | None = None,
    *,
    attention: str = "sdpa",
    dataset: str | None = None,
    options: DataOptions | None = None,
) -> LoadedPolicy:
    """Load a checkpoint from a folder or the hub; refuse whatever would make it act wrongly.

    Small files are read and checked first, so that what is wrong shows before gigabytes move.
    """
    folder = find_checkpoint(source)
    files = describe(folder)
    schema, stats = read_schema(folder, dataset), read_stats(folder, dataset)
    vectors = make_plan(files.config, schema, stats, options, files.control.smooth_rows)
    tokenizer = read_tokenizer(folder, files.config.tokenizer_max_length)
    place = chosen_device(device)
    wanted = chosen_dtype(files.config, dtype, place)
    policy, notes = load_network(files, device=place, dtype=wanted, attention=attention)
    vocabulary = policy.vlm.token_embedding.num_embeddings
    if tokenizer.vocabulary > vocabulary:
        raise CheckpointError(
            f"{folder.root}: the tokenizer has {tokenizer.vocabulary} tokens, the weights "
            f"{vocabulary}: they do not belong together"
        )
    head = None
    if files.progress_head:
        head = read_progress_head(folder, files.config, device=place, dtype=wanted)
    return LoadedPolicy(
        policy=policy,
        tokenizer=tokenizer,
        vectors=vectors,
        schema=schema,
        control=files.control,
        stats_digest=stats.digest,
        device=place,
        source=str(source),
        notes=notes,
        progress_head=head,
    )
