"""The loop: batches, steps, measurements, checkpoints; after an interruption exactly as without."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from labvla_data.json_files import read_json, write_json
from labvla_data.parallel import Progress, silent
from labvla_train import keeping, optimizer
from labvla_train.batches import BatchMaker, Reading
from labvla_train.demonstrations import Demonstrations, read_demonstrations
from labvla_train.errors import TrainError
from labvla_train.frames import DecodedFrames, Frames, cached_frames
from labvla_train.keeping import Kept
from labvla_train.log import Log
from labvla_train.origin import Network, Origin
from labvla_train.processes import Processes, gathered, whole
from labvla_train.progress import refuse_without_policy
from labvla_train.samples import Order, Sample, Split, split
from labvla_train.settings import Settings
from labvla_train.shipped import find_beside
from labvla_train.stages import STAGES
from labvla_train.wordings import Wordings, read_wordings

_DRAWING = 0xD4A3
_MEASURING = 0x3EA5
# May differ between a run and its continuation: what is learnt does not depend on them. (Of the
# data, their hash is compared and not their place; the number of threads changes the rounding.)
_FREE = frozenset(
    {
        "save_every",
        "keep",
        "log_every",
        "measure_every",
        "measured",
        "threads",
        "dataset",
        "also",
        "cache",
        "smooth_rows",
        "execute_rows",
    }
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended."""

    checkpoint: Path
    step: int
    measured: Mapping[str, float]
    notes: tuple[str, ...]  # what people should know of the weights that it began with


def train(
    stage: str,
    settings: Settings,
    folder: Path,
    *,
    beside: Path,
    progress: Progress = silent,
    preparing: Progress = silent,
    until: int | None = None,
) -> Outcome:
    """Train, or go on.

    Args:
        stage: what is learnt.
        settings: how.
        folder: of the run; one that is begun already goes on.
        beside: where files that the settings name stand.
        progress: hears how many steps are done.
        preparing: hears how many episodes are decoded.
        until: step after which to stop for now.
    """
    if stage not in STAGES:
        raise TrainError(f"expected a stage of {', '.join(STAGES)}, got {stage!r}")
    if settings.run.threads is not None:
        torch.set_num_threads(settings.run.threads)
    processes = Processes(settings.run.batch)
    origin, wordings, demonstrations = read_data(stage, settings, beside)
    with processes.first_before_others():
        _claim(folder, stage, settings, demonstrations)
        frames = _frames(settings, demonstrations, preparing)
    network = origin.build(demonstrations, wordings)
    run = _Run(stage, settings, folder, network, demonstrations, frames, wordings, processes)
    return run.go(progress if processes.first else silent, until)


def read_data(
    stage: str, settings: Settings, beside: Path
) -> tuple[Origin, Wordings | None, Demonstrations]:
    """Read all that a run depends on, and refuse what it could not learn from."""
    refuse_without_policy(stage, settings)
    origin = Origin(settings, stage)
    wordings = None
    if settings.data.wordings is not None:
        wordings = read_wordings(find_beside(settings.data.wordings, beside))
    demonstrations = read_demonstrations(
        settings.data.folders,
        origin.config.chunk_size,
        settings.auxiliary.column if settings.auxiliary else None,
        settings.data.cameras,
    )
    return origin, wordings, demonstrations


def _claim(folder: Path, stage: str, settings: Settings, demonstrations: Demonstrations) -> None:
    """Note what the run is, or refuse to go on with something else."""
    wanted = {"stage": stage, "data": demonstrations.digest, "settings": settings.as_json()}
    path = folder / keeping.SETTINGS
    if path.exists():
        other = list(_differences(read_json(path), wanted, ""))
        if other:
            raise TrainError(
                f"{folder}: a run with other settings stands there: {'; '.join(other)}. Take them "
                "back, or choose another folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, wanted)


def _differences(found: Any, wanted: Any, where: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            if key not in _FREE:
                yield from _differences(found.get(key), wanted.get(key), f"{where}{key}.")
    elif found != wanted:
        yield f"{where.rstrip('.')}: {found!r} there, {wanted!r} here"


def _frames(
    settings: Settings, demonstrations: Demonstrations, preparing: Progress
) -> Sequence[Frames]:
    """Return the pictures of each dataset."""
    data, cameras = settings.data, demonstrations.cameras
    if data.frames == "decoded":
        return [DecodedFrames(dataset, cameras) for dataset in demonstrations.datasets]
    return [
        cached_frames(
            dataset,
            cameras,
            data.stride,
            Path(data.cache or f"{dataset.folder}.frames"),
            workers=settings.run.threads,
            progress=preparing,
        )
        for dataset in demonstrations.datasets
    ]


def batch_maker(
    settings: Settings,
    network: Network,
    demonstrations: Demonstrations,
    frames: Sequence[Frames],
    wordings: Wordings | None,
) -> BatchMaker:
    """Return what makes batches for this network."""
    backbone = network.policy.vlm
    return BatchMaker(
        demonstrations,
        frames,
        Reading(
            vectors=network.vectors(demonstrations),
            tokenizer=network.tokenizer,
            pixels=backbone.pixel_plan,
            slots=backbone.camera_slots,
            chunk=network.policy.config.chunk_size,
            held=settings.data.beyond_end == "held",
        ),
        settings.augment,
        wordings,
        settings.run.seed,
    )


class _Run:
    """Everything that lives while a run goes."""

    def __init__(
        self,
        stage: str,
        settings: Settings,
        folder: Path,
        network: Network,
        demonstrations: Demonstrations,
        frames: Sequence[Frames],
        wordings: Wordings | None,
        processes: Processes,
    ) -> None:
        self._settings, self._folder = settings, folder
        self._split: Split = split(
            [len(one) for one in demonstrations.episodes],
            settings.data.stride,
            settings.data.held_out,
            settings.run.seed,
        )
        self._order = Order(len(self._split.learnt), settings.run.batch, settings.run.seed)
        self._maker = batch_maker(settings, network, demonstrations, frames, wordings)
        self._processes, self._notes = processes, network.notes
        torch.manual_seed(settings.run.seed)
        self._learner = STAGES[stage](settings, network, demonstrations)
        self._step = 0
        kept = self._kept_weights()
        self._learner.to(processes.device)
        self._optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            optimizer.groups(self._learner, settings.optimizer),
            lr=settings.optimizer.expert_rate,
            betas=settings.optimizer.betas,
            eps=settings.optimizer.eps,
        )
        self._joined, self._optimizer = processes.join(self._learner, self._optimizer)
        self._average = None
        if settings.run.average is not None:
            if isinstance(next(self._learner.parameters()), DTensor):
                raise TrainError("run.average: expected null where weights are shared out (FSDP)")
            self._average = optimizer.Average(self._learner, settings.run.average)
        if kept is not None:
            self._resume(kept)
        # Nobody writes a word before all have read where the run stands.
        processes.wait()
        self._log = Log(folder, self._step) if processes.first else None

    def go(self, progress: Progress, until: int | None) -> Outcome:
        """Train to the end, or until a step."""
        run = self._settings.run
        end = run.steps if until is None else min(until, run.steps)
        self._learner.train()
        measured: Mapping[str, float] = {}
        sums: dict[str, float] = defaultdict(float)
        counted, begin = 0, time.perf_counter()
        progress(self._step, run.steps)
        while self._step < end:
            for name, value in self._learn().items():
                sums[name] += value
            counted += 1
            self._step += 1
            progress(self._step, run.steps)
            last = self._step == end
            if self._step % run.log_every == 0 or last:
                pace = counted * run.batch / (time.perf_counter() - begin)
                means = {name: total / counted for name, total in sums.items()}
                self._tell({**means, "samples_per_second": pace})
                sums.clear()
                counted, begin = 0, time.perf_counter()
            if self._step % run.measure_every == 0 or last:
                measured = self._measure()
                self._tell({"held_out": measured})
                begin = time.perf_counter()
            if self._step % run.save_every == 0 or last:
                self._keep()
                begin = time.perf_counter()
        place = keeping.newest(self._folder)
        assert place is not None
        return Outcome(place, self._step, measured, self._notes)

    def _learn(self) -> dict[str, float]:
        """Take one step."""
        settings = self._settings
        places = self._order.of_step(self._step)
        samples: list[Sample] = [self._split.learnt[place] for place in places]
        processes = self._processes
        batch = processes.moved(self._maker.varied(samples, self._step, processes.share))
        chance = _generator(settings.run.seed, _DRAWING, self._step)
        for group in self._optimizer.param_groups:
            group["lr"] = optimizer.rate(
                self._step, group["highest"], settings.optimizer, settings.run.steps
            )
        with self._precision():
            losses = self._joined(batch, chance)
        told = processes.mean(losses)
        if not math.isfinite(told["total"]):
            raise TrainError(
                f"step {self._step}: the loss is {told['total']}; try a lower rate or precision: "
                f"float32. {keeping.newest(self._folder) or 'No checkpoint'} is the last one"
            )
        self._optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        trained = (p for group in self._optimizer.param_groups for p in group["params"])
        norm = optimizer.clip(trained, settings.optimizer.clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self._learner)
        return told | {"gradient": norm}

    def _precision(self) -> torch.autocast:
        wanted = self._settings.run.precision == "bfloat16"
        return torch.autocast(self._processes.device.type, torch.bfloat16, enabled=wanted)

    def _measure(self) -> dict[str, float]:
        """Measure held-out samples with the averaged weights."""
        held, run = self._split.held_out, self._settings.run
        if not held:
            return {}
        chance = np.random.default_rng([run.seed, _MEASURING])
        chosen = chance.permutation(len(held))[: run.measured]
        errors: dict[str, list[float]] = defaultdict(list)
        with self._averaged(), gathered(self._learner), torch.no_grad(), self._precision():
            for begin in range(0, len(chosen), run.batch):
                samples = [held[place] for place in chosen[begin : begin + run.batch]]
                batch = self._processes.moved(self._maker.plain(samples))
                for name, values in self._learner.measure(batch).items():
                    errors[name] += values
                total = self._learner.losses(batch, _generator(run.seed, _MEASURING, begin))
                for name, value in total.items():
                    errors[f"loss {name}"].append(float(value))
        return _told(errors)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        self._learner.eval()
        if self._average is not None:
            self._average.exchange(self._learner)
        try:
            yield
        finally:
            if self._average is not None:
                self._average.exchange(self._learner)
            self._learner.train()

    def _tell(self, values: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.tell(self._step, values)

    def _keep(self) -> None:
        """Write a checkpoint; what processes hold shares of is put together by all of them."""
        numbers: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__}
        tensors = keeping.optimizer_tensors(self._optimizer)
        if self._average is not None:
            tensors |= {f"average.{n}": whole(t) for n, t in self._average.weights.items()}
            numbers["averaged"] = self._average.steps
        with gathered(self._learner):
            tensors |= {f"weights.{n}": p.detach() for n, p in self._learner.named_parameters()}
            tensors = {name: tensor.cpu().clone() for name, tensor in tensors.items()}
        with self._averaged(), gathered(self._learner):
            if self._processes.first:
                keeping.keep(
                    self._folder,
                    self._step,
                    Kept(numbers, tensors),
                    self._learner.deliver,
                    self._settings.run.keep,
                )
            self._processes.wait()

    def _kept_weights(self) -> Kept | None:
        """Take the weights of the newest checkpoint, if there is one; return the rest of it."""
        place = keeping.newest(self._folder)
        if place is None:
            return None
        kept = keeping.read_kept(place)
        with torch.no_grad():
            for name, parameter in self._learner.named_parameters():
                parameter.copy_(kept.tensors[f"weights.{name}"])
        self._step = kept.numbers["step"]
        return kept

    def _resume(self, kept: Kept) -> None:
        keeping.load_optimizer(self._optimizer, kept.tensors)
        if self._average is not None:
            average = {
                name.removeprefix("average."): tensor
                for name, tensor in kept.tensors.items()
                if name.startswith("average.")
            }
            self._average.load(average, kept.numbers["averaged"])


def _generator(seed: int, stream: int, step: int) -> torch.Generator:
    mixed = np.random.SeedSequence([seed, stream, step]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed) >> 1)


def _told(errors: Mapping[str, list[float]]) -> dict[str, float]:
    told = {}
    for name, values in sorted(errors.items()):
        if name.startswith("loss "):
            told[name] = statistics.fmean(values)
        elif values:
            told[f"{name} median"] = float(np.quantile(values, 0.5))
            told[f"{name} 90 %"] = float(np.quantile(values, 0.9))
    return told
