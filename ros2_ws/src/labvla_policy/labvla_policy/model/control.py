"""What a checkpoint says about its rows as motion. Public ones say nothing.

It stands in config.json under `control`, a key that other readers leave aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from labvla_policy.model.checkpoint.source import CONFIG, find_local
from labvla_policy.model.config import read_fields
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.json_files import read_json
from labvla_policy.model.pipeline.smoothing import LEAST_WINDOW

CONTROL = "control"


@dataclass(frozen=True, kw_only=True)
class ControlContract:
    """None: not said, so that whoever runs the policy has to know."""

    row_rate: float | None = (
        None  # rows per second of the data; another rate moves at another speed
    )
    row_offset: int | None = None  # 0: row 0 is for the time of the observation; 1: one row later
    anchor: Literal["measured", "reference"] | None = None  # what deltas were relative to
    smooth_rows: int | None = None  # joints are smoothed over so many rows; None: left as sampled
    execute_rows: int | None = None  # rows of a chunk after which the next one should take over

    def __post_init__(self) -> None:
        if self.row_rate is not None and not 0 < self.row_rate < float("inf"):
            raise ConfigError(f"{CONTROL}: row_rate: expected rows per second, got {self.row_rate}")
        if self.row_offset not in (None, 0, 1):
            raise ConfigError(f"{CONTROL}: row_offset: expected 0 or 1, got {self.row_offset}")
        window = self.smooth_rows
        if window is not None and (window < LEAST_WINDOW or window % 2 == 0):
            raise ConfigError(
                f"{CONTROL}: smooth_rows: expected an odd number from {LEAST_WINDOW} on, "
                f"got {window}"
            )
        if self.execute_rows is not None and self.execute_rows < 1:
            raise ConfigError(
                f"{CONTROL}: execute_rows: expected 1 or more, got {self.execute_rows}"
            )

    def as_json(self) -> dict[str, Any]:
        """Return what is said."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def local_control(source: str) -> ControlContract:
    """Read it, without the network; nothing is said where the checkpoint is not here yet."""
    folder = find_local(source)
    path = None if folder is None else folder.find(CONFIG)
    return ControlContract() if path is None else read_control(read_json(path), str(path))


def read_control(config: Mapping[str, Any], where: str) -> ControlContract:
    """Read it out of config.json."""
    values = config.get(CONTROL) or {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: {CONTROL}: expected an object, got {values!r}")
    return ControlContract(**read_fields(ControlContract, values, f"{where}: {CONTROL}"))
