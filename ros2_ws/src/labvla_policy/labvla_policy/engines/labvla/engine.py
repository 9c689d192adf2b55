"""Answers observations with a checkpoint that runs here.

It lives in the engine's own process. Everything that takes long is done while it is made: reading,
checking, loading, recording graphs, and answering once.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.labvla import agreement
from labvla_policy.engines.labvla.options import LabvlaOptions
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.model.errors import InputError, ModelError, Unavailable
from labvla_policy.model.inference import LoadedPolicy, load_policy
from labvla_policy.model.live import Committed, LivePolicy
from labvla_policy.model.realtime import RealtimeSettings
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.targets import absolute_targets, rows_of_prefix
from labvla_policy.runtime.types import Observation, Prediction

# Weights up to which threads cost more than they save: they wait for each other at every layer, and
# for whatever else the machine does.
_SMALL = 50_000_000


class LabvlaEngine:
    """A LabVLA checkpoint on this machine's processor or GPU."""

    def __init__(self, spec: EngineSpec) -> None:
        self._cell = load_cell(spec.cell)
        self._options = options = LabvlaOptions.parse(spec.options)
        loaded = _load(options)
        _share_processor(loaded, options.threads)
        self._space = agreement.check(loaded, self._cell)
        self._shown = agreement.shown(loaded, self._cell)
        try:
            self._live = LivePolicy(loaded, _settings(options))
            seconds = self._live.warm_up(self._frame_sizes())
        except (ModelError, torch.OutOfMemoryError) as error:
            raise EngineError(f"labvla: {error}") from None
        self._tell(loaded, seconds)

    @property
    def policy(self) -> str:
        """Name the checkpoint, and the data that it was fine-tuned on."""
        loaded = self._live.loaded
        return f"labvla:{Path(loaded.source).name}@{loaded.stats_digest[:8]}"

    def begin(self, observation: Observation) -> None:
        """Refuse an instruction that the policy cannot read; begin the noise anew."""
        if warning := self._check_prompt(observation.instruction):
            _say(warning)
        if self._options.seed is not None:
            self._live.seed(self._options.seed)

    def infer(self, question: Question) -> Prediction:
        """Answer an observation, and continue the plan in execution where there is one."""
        observation = question.observation
        self._check_prompt(observation.instruction)
        try:
            answer = self._live.ask(
                [observation.images[place] for place in self._shown],
                observation.state,
                observation.instruction,
                self._committed(question),
            )
        except ModelError as error:
            raise EngineError(f"labvla: {error}") from None
        rows = answer.rows.astype(np.float64)
        plan = absolute_targets(rows, observation, self._cell, self._space)
        return replace(plan, prefix_rows=answer.prefix_rows)

    def close(self) -> None:
        """Give back nothing: the process ends."""

    def _frame_sizes(self) -> list[tuple[int, int]]:
        cameras = [self._cell.policy_cameras[place] for place in self._shown]
        return [(camera.height, camera.width) for camera in cameras]

    def _committed(self, question: Question) -> Committed | None:
        prefix = question.prefix
        if prefix is None:
            return None
        rows = rows_of_prefix(prefix, question.observation, self._cell, self._space)
        return Committed(rows, min(prefix.frozen, len(rows)))

    def _check_prompt(self, prompt: str) -> str | None:
        """Refuse what the policy cannot read; return a warning about what it will not."""
        try:
            words = self._live.loaded.tokenizer(prompt)
        except InputError as error:
            raise EngineError(f"labvla: {error}") from None
        if words.dropped and not self._options.cut_prompts:
            raise Refused(
                Refusal(
                    "prompt_too_long",
                    f"expected at most {words.count} tokens, got {words.count + words.dropped}: "
                    "say it in fewer words",
                    value=words.count + words.dropped,
                    limit=words.count,
                )
            )
        return words.warning

    def _tell(self, loaded: LoadedPolicy, seconds: float) -> None:
        way = "CUDA graphs" if self._live.graphs else "step by step"
        notes = (
            *loaded.notes,
            f"on {loaded.device}, {loaded.policy.dtype}, {way}, rtc {self._live.continuing}; "
            f"warm after {seconds:.1f} s",
        )
        for note in notes:
            _say(note)


def _say(text: str) -> None:
    sys.stderr.write(f"labvla: {text}\n")


def _load(options: LabvlaOptions) -> LoadedPolicy:
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return load_policy(
            options.checkpoint,
            device,
            options.dtype or None,
            dataset=options.dataset or None,
        )
    except (ModelError, Unavailable, torch.OutOfMemoryError) as error:
        raise EngineError(f"labvla: {error}") from None


def _share_processor(loaded: LoadedPolicy, wanted: int | None) -> None:
    small = sum(one.numel() for one in loaded.policy.parameters()) < _SMALL
    threads = wanted or (1 if small else None)
    if threads is not None:
        torch.set_num_threads(threads)


def _settings(options: LabvlaOptions) -> RealtimeSettings:
    return RealtimeSettings(
        samples=options.samples,
        steps=options.steps,
        continuing=options.rtc or None,  # type: ignore[arg-type]  # read as one of them
        products=options.products,
        graphs=options.graphs,
    )
