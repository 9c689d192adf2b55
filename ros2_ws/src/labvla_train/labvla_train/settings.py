"""A training run as a file: typed, strict, refused with the key, what was expected, what came.

dataset: demos
network: {…}          from scratch; or `start: CHECKPOINT`
optimizer: {…}
…

`like: mini` takes from another file what this one does not say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from labvla_policy.model.config import read_fields
from labvla_policy.model.errors import ConfigError
from labvla_train.errors import TrainError
from labvla_train.network.lora import LoraSettings
from labvla_train.settings_file import read_values

Section = TypeVar("Section")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which frames are learnt from."""

    dataset: str  # folder; relative to where the command runs
    also: tuple[str, ...] | None = None  # further ones, of the same columns and cameras
    cameras: tuple[str, ...] | None = None  # in the order of the slots; all if not given
    stride: int = 1  # every how many frames a sample begins
    held_out: float = 0.02  # share of the episodes that is only measured
    beyond_end: Literal["masked", "held"] = "masked"  # rows after the episode: no loss, or stand
    frames: Literal["decoded", "cached"] = "decoded"  # anew for each sample, or once into a file
    cache: str | None = None  # where the file stands; beside each dataset if not given
    wordings: str | None = None  # file of other ways to say the instructions
    row_offset: Literal[0, 1] = 1  # rows between an observation and the first action after it
    anchor: Literal["measured", "reference"] = "measured"
    smooth_rows: int | None = None  # whoever runs the policy smooths joints over so many rows
    execute_rows: int | None = None  # and asks again after so many

    @property
    def folders(self) -> tuple[Path, ...]:
        """All datasets."""
        return tuple(Path(folder) for folder in (self.dataset, *(self.also or ())))


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """A policy from scratch."""

    policy: Mapping[str, Any] = field(default_factory=dict)  # as config.json has it
    backbone: Mapping[str, Any] = field(default_factory=dict)  # as vlm_config.json has it


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How samples are varied; nothing is by default."""

    shift: int = 0  # pixels, each way
    brightness: float = 0.0  # factors of 1 +- this
    contrast: float = 0.0
    tint: float = 0.0  # each colour by itself
    saturation: float = 0.0
    sharpness: float = 0.0  # down to blurred, up to sharpened by as much
    state_noise: float = 0.0  # standard deviations, on what the network is told of the joints
    rephrased: float = 0.0  # share of the instructions that are said in other words
    unknown_words: float = 0.0  # share of the words that the network is not told
    lost_words: float = 0.0  # share of the words that are left out


@dataclass(frozen=True, kw_only=True)
class AuxiliarySettings:
    """What the network also learns to tell from what it sees; dropped when it runs."""

    column: str  # of the dataset
    things: Mapping[str, Any]  # name -> list of components of the column
    weight: float = 0.5


@dataclass(frozen=True, kw_only=True)
class ProgressSettings:
    """The network also learns to tell which share of the episode is done; delivered with it."""

    weight: float = 0.1


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """Action tokens, for the stages that learn them."""

    tokenizer: str  # folder, as `labvla train tokenizer` writes it; relative as data.dataset


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW with a linear warm-up and a cosine; rates by group, as contract 6.5."""

    expert_rate: float = 5e-5
    backbone_rate: float = 5e-5
    floor: float = 5e-5  # rate at the end of the cosine, for both
    warmup: int = 500  # steps
    decay: int | None = None  # steps until the floor; the whole run if not given
    betas: tuple[float, ...] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.01
    clip: float = 1.0


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How long, how much at once, and what is kept."""

    steps: int
    batch: int = 16
    draws: int = 1  # of noise and time, for each encoded observation
    given_rows: int = 0  # leading rows, at most, that are given: for rtc without guidance
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "bfloat16"  # of the products; weights are fp32
    average: float | None = None  # decay of the moving average of the weights
    delivered: Literal["bfloat16", "float16", "float32"] = "bfloat16"  # type of written weights
    freeze_vision: bool = False
    recompute: tuple[str, ...] = ()  # language, vision, expert: computed twice, to save memory
    threads: int | None = None  # of the processor; as many as there are if not given
    save_every: int = 1000
    keep: int = 2  # checkpoints that can be gone on from
    log_every: int = 20
    measure_every: int = 1000
    measured: int = 128  # samples of the held-out episodes
    cell: str | None = None  # whose tool position errors are measured at


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of them."""

    data: DataSettings
    run: RunSettings
    start: str | None = None  # checkpoint to go on from: a folder, or a hub id
    network: NetworkSettings = field(default_factory=NetworkSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    auxiliary: AuxiliarySettings | None = None
    progress: ProgressSettings | None = None
    tokens: TokenSettings | None = None
    lora: LoraSettings | None = None  # small additions to the backbone learn, not its matrices
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise TrainError("; ".join(problems))

    def as_json(self) -> dict[str, Any]:
        """Return them as a file holds them."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def _problems(settings: Settings) -> Iterator[str]:
    run, data, optimizer = settings.run, settings.data, settings.optimizer
    at_least_one = {
        "run.steps": run.steps,
        "run.batch": run.batch,
        "run.draws": run.draws,
        "run.save_every": run.save_every,
        "run.keep": run.keep,
        "run.log_every": run.log_every,
        "run.measure_every": run.measure_every,
        "run.measured": run.measured,
        "run.threads": run.threads or 1,
        "data.stride": data.stride,
    }
    for key, value in at_least_one.items():
        if value < 1:
            yield f"{key}: expected 1 or more, got {value}"
    if data.also and data.cache is not None:
        yield "data.cache: one place for several datasets (data.also): leave it out"
    shares = {
        "data.held_out": data.held_out,
        "augment.brightness": settings.augment.brightness,
        "augment.contrast": settings.augment.contrast,
        "augment.tint": settings.augment.tint,
        "augment.saturation": settings.augment.saturation,
        "augment.sharpness": settings.augment.sharpness,
        "augment.rephrased": settings.augment.rephrased,
        "augment.unknown_words": settings.augment.unknown_words,
        "augment.lost_words": settings.augment.lost_words,
    }
    for key, share in shares.items():
        if not 0 <= share <= 1:
            yield f"{key}: expected 0 to 1, got {share}"
    not_negative = {
        "run.given_rows": run.given_rows,
        "augment.shift": settings.augment.shift,
        "augment.state_noise": settings.augment.state_noise,
        "optimizer.expert_rate": optimizer.expert_rate,
        "optimizer.backbone_rate": optimizer.backbone_rate,
        "optimizer.floor": optimizer.floor,
        "optimizer.warmup": optimizer.warmup,
        "optimizer.weight_decay": optimizer.weight_decay,
    }
    for key, amount in not_negative.items():
        if not amount >= 0:
            yield f"{key}: expected 0 or more, got {amount}"
    if optimizer.clip <= 0 or optimizer.eps <= 0:
        yield f"optimizer: expected clip and eps above 0, got {optimizer.clip}, {optimizer.eps}"
    if settings.progress is not None and not 0 < settings.progress.weight < math.inf:
        yield (
            f"progress.weight: expected a number above 0, got {settings.progress.weight}; "
            "without the head: progress=null"
        )
    if len(optimizer.betas) != 2 or not all(0 <= beta < 1 for beta in optimizer.betas):
        yield f"optimizer.betas: expected two numbers in 0..1, got {list(optimizer.betas)}"
    if optimizer.decay is not None and optimizer.decay > run.steps:
        yield (
            f"optimizer.decay: expected at most run.steps = {run.steps}, got {optimizer.decay}: "
            "the rate would never come down"
        )
    if run.average is not None and not 0 < run.average < 1:
        yield f"run.average: expected a decay in 0..1, got {run.average}"
    if settings.augment.rephrased and data.wordings is None:
        yield "augment.rephrased: expected data.wordings to say how"
    if settings.start is not None and (settings.network.policy or settings.network.backbone):
        yield "start and network exclude each other: a checkpoint brings its network along"
    if settings.start is None and not settings.network.backbone:
        yield "expected start (a checkpoint) or network (from scratch), got neither"


def read_settings(path: Path, changes: Mapping[str, Any] | None = None) -> Settings:
    """Read a file; `changes` replace entries, named as `section.key`."""
    values = read_values(path)
    for key, value in (changes or {}).items():
        _set(values, key, value)
    try:
        return settings_from(values)
    except TrainError as error:
        raise TrainError(f"{path}: {error}") from None


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Return settings from what a file holds."""
    try:
        return _section(Settings, values, "")
    except ConfigError as error:
        raise TrainError(str(error)) from None


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise TrainError(f"{key}: {section} is no section")
    values[name] = value


def _section(kind: type[Section], values: Any, where: str) -> Section:
    if not isinstance(values, Mapping):
        raise TrainError(f"{where or 'settings'}: expected a section, got {values!r}")
    hints = get_type_hints(kind)
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    # Null takes a section away, as it is written for those that may be missing.
    values = {
        name: value
        for name, value in values.items()
        if value is not None or _nested(hints.get(name)) is None
    }
    unknown = sorted(str(key) for key in set(values) - set(known))
    if unknown:
        expected = ", ".join(sorted(known))
        raise TrainError(f"{where}{unknown[0]}: no such key; expected one of {expected}")
    needed = [
        name
        for name, item in known.items()
        if item.default is MISSING and item.default_factory is MISSING and name not in values
    ]
    if needed:
        raise TrainError(f"{where}{needed[0]}: is missing")
    read: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = _nested(hints[name])
        if nested is not None:
            read[name] = _section(nested, value, f"{where}{name}.")
        elif _is_mapping(hints[name]):
            if not isinstance(value, Mapping):
                raise TrainError(f"{where}{name}: expected names and values, got {value!r}")
            read[name] = dict(value)
        else:
            flat[name] = value
    read |= read_fields(kind, flat, where.rstrip(".") or "settings")
    return kind(**read)


def _nested(hint: Any) -> type | None:
    candidates = (hint, *get_args(hint))
    return next(
        (kind for kind in candidates if isinstance(kind, type) and is_dataclass(kind)), None
    )


def _is_mapping(hint: Any) -> bool:
    return getattr(hint, "__origin__", None) is Mapping or "Mapping" in str(hint)
