"""Statistics of a data set: norm_stats.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labvla_policy.model.errors import CheckpointError

NORM_STATS = "norm_stats.json"
CHUNK_SIZE = "_chunk_size"
STATE, DELTA_ACTION, ABSOLUTE_ACTION = "observation.state", "action", "action_abs"
_ALIASES = {STATE: "state", DELTA_ACTION: "actions", ABSOLUTE_ACTION: "actions_abs"}
_NEEDED = ("mean", "std", "q01", "q99")


@dataclass(frozen=True, eq=False)
class FeatureStats:
    """Of one feature, per column."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    q01: NDArray[np.float64]
    q99: NDArray[np.float64]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.mean)


@dataclass(frozen=True, eq=False)
class NormStats:
    """Of a data set, and of the chunk length they were made with."""

    features: Mapping[str, FeatureStats]
    chunk_size: int | None
    raw: Mapping[str, Any] = field(default_factory=dict)  # the file's content, for writing

    @property
    def digest(self) -> str:
        """A hash of the content, whatever its order and spelling."""
        text = json.dumps(self.raw, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def feature(self, name: str) -> FeatureStats:
        """Return a feature's statistics."""
        if name not in self.features:
            raise CheckpointError(
                f"{NORM_STATS}: {name!r} is missing, it has {', '.join(sorted(self.features))}; "
                "`labvla data stats` makes all of them"
            )
        return self.features[name]


def stats_from_json(values: Mapping[str, Any], where: str) -> NormStats:
    """Read statistics; `where` names the file in messages."""
    features = {}
    for name in (STATE, DELTA_ACTION, ABSOLUTE_ACTION):
        for key in (name, _ALIASES[name]):
            if key in values:
                features[name] = _feature(values[key], f"{where}: {key}")
                break
    chunk = values.get(CHUNK_SIZE)
    if chunk is not None and (type(chunk) is not int or chunk < 1):
        raise CheckpointError(f"{where}: {CHUNK_SIZE}: expected a chunk length, got {chunk!r}")
    return NormStats(features, chunk, values)


def _feature(values: Any, where: str) -> FeatureStats:
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{where}: expected {', '.join(_NEEDED)}, got {values!r}")
    columns = {name: _column_values(values, name, where) for name in _NEEDED}
    widths = {name: len(numbers) for name, numbers in columns.items()}
    if len(set(widths.values())) != 1:
        raise CheckpointError(f"{where}: expected lists of one length, got {widths}")
    if (columns["std"] < 0).any() or (columns["q99"] < columns["q01"]).any():
        raise CheckpointError(f"{where}: expected std of at least 0, and q01 below q99")
    return FeatureStats(**columns)


def _column_values(values: Mapping[str, Any], name: str, where: str) -> NDArray[np.float64]:
    try:
        numbers = np.array(values[name], dtype=np.float64)
    except KeyError:
        raise CheckpointError(f"{where}: {name} is missing; `labvla data stats` makes it") from None
    except (TypeError, ValueError):
        raise CheckpointError(f"{where}: {name}: expected a list of numbers") from None
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise CheckpointError(f"{where}: {name}: expected a list of finite numbers")
    return numbers
