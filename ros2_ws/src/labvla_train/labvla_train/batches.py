"""From samples to what the network learns from; everything follows from seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.pipeline.frames import slot_pixels
from labvla_policy.model.pipeline.pixels import PixelPlan
from labvla_policy.model.pipeline.text import PromptTokenizer
from labvla_policy.model.pipeline.vectors import VectorPlan
from labvla_policy.model.policy import TrainingBatch
from labvla_train.augment import varied
from labvla_train.demonstrations import Demonstration, Demonstrations
from labvla_train.frames import Frames
from labvla_train.progress import share_done
from labvla_train.samples import Sample
from labvla_train.settings import AugmentSettings
from labvla_train.share import WHOLE, Share
from labvla_train.vocabulary import UNKNOWN_WORD
from labvla_train.wordings import Wordings

_VARYING = 0x0A7E
_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from."""

    training: TrainingBatch
    truth: Tensor | None  # batch x components of the auxiliary column, as recorded
    done: Tensor  # batch: share of the episode that lies behind
    samples: Sequence[Sample]
    share: Share = WHOLE  # of what a step learns


@dataclass(frozen=True, eq=False)
class Reading:
    """How this policy reads a dataset."""

    vectors: VectorPlan
    tokenizer: PromptTokenizer
    pixels: PixelPlan
    slots: int
    chunk: int
    held: bool  # beyond the end of an episode the last row counts on


class BatchMaker:
    """Makes batches, varied or as they are."""

    def __init__(
        self,
        demonstrations: Demonstrations,
        frames: Sequence[Frames],  # of each dataset
        reading: Reading,
        augment: AugmentSettings,
        wordings: Wordings | None,
        seed: int,
    ) -> None:
        self._demonstrations, self._frames, self._reading = demonstrations, frames, reading
        self._augment, self._wordings, self._seed = augment, wordings, seed

    def varied(self, samples: Sequence[Sample], step: int, share: Share = WHOLE) -> Batch:
        """Return a share of a step's samples as the step learns them."""
        part = share.part(len(samples))
        # Each has a chance of its own: how it varies does not depend on who varies it.
        chances = [
            np.random.default_rng([self._seed, _VARYING, step, place])
            for place in range(part.start, part.stop)
        ]
        return replace(self._batch(samples[part], chances), share=share)

    def plain(self, samples: Sequence[Sample]) -> Batch:
        """Return samples as they are."""
        return self._batch(samples, [None] * len(samples))

    def _batch(
        self, samples: Sequence[Sample], chances: Sequence[np.random.Generator | None]
    ) -> Batch:
        reading = self._reading
        pixels, masks, ids, text_masks, states, rows, pads, truths = [], [], [], [], [], [], [], []
        done = []
        for sample, chance in zip(samples, chances, strict=True):
            episode = self._demonstrations.episodes[sample.demonstration]
            seen, mask = self._pictures(episode, sample.frame, chance)
            words = reading.tokenizer(self._words(episode.instructions[sample.frame], chance))
            state = reading.vectors.canonical_state(episode.states[sample.frame])
            actions, pad = chunk_of(episode.actions, sample.frame, reading.chunk, reading.held)
            canonical = reading.vectors.action_columns.canonical(actions)
            pixels.append(seen)
            masks.append(mask)
            ids.append(words.ids)
            text_masks.append(words.mask)
            states.append(self._state(state, chance))
            rows.append(reading.vectors.network_actions(canonical, state))
            pads.append(pad)
            done.append(share_done(sample.frame, len(episode)))
            if episode.truth is not None:
                truths.append(episode.truth[sample.frame])
        inputs = PolicyInputs(
            pixels=torch.cat(pixels),
            image_mask=torch.cat(masks),
            text_ids=torch.tensor(ids),
            text_mask=torch.tensor(text_masks),
            state=torch.from_numpy(np.stack(states)),
        )
        training = TrainingBatch(
            inputs, torch.from_numpy(np.stack(rows)), torch.from_numpy(np.stack(pads))
        )
        truth = torch.from_numpy(np.stack(truths)) if truths else None
        return Batch(training, truth, torch.tensor(done), samples)

    def _pictures(
        self, episode: Demonstration, frame: int, chance: np.random.Generator | None
    ) -> tuple[Tensor, Tensor]:
        pictures = self._frames[episode.source](episode.episode, frame)
        if chance is not None:
            pictures = [varied(picture, self._augment, chance) for picture in pictures]
        reading = self._reading
        return slot_pixels(pictures, reading.slots, reading.pixels, _CPU)

    def _words(self, instruction: str, chance: np.random.Generator | None) -> str:
        if chance is None:
            return instruction
        augment = self._augment
        if self._wordings is not None and chance.random() < augment.rephrased:
            instruction = self._wordings.another(instruction, chance)
        words = instruction.split()
        fate = chance.random(len(words))
        kept = [
            UNKNOWN_WORD if one < augment.unknown_words else word
            for word, one in zip(words, fate, strict=True)
            if one < 1 - augment.lost_words
        ]
        return " ".join(kept) or instruction

    def _state(
        self, state: NDArray[np.float32], chance: np.random.Generator | None
    ) -> NDArray[np.float32]:
        vectors = self._reading.vectors
        normalised = vectors.network_state(state)
        if chance is None or not self._augment.state_noise:
            return normalised
        width = vectors.state_columns.width
        noise = chance.normal(0, self._augment.state_noise, width) * vectors.state_columns.joints
        normalised[:width] += noise.astype(np.float32)
        return normalised


def chunk_of(
    actions: NDArray[np.float32], frame: int, length: int, held: bool
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the actions from a frame on, and which of them lie beyond the episode's end."""
    places = frame + np.arange(length)
    beyond = places >= len(actions)
    rows = actions[np.minimum(places, len(actions) - 1)]
    return rows, np.zeros_like(beyond) if held else beyond
