"""A file of settings, and those that it is like: each says only what it has otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labvla_train.errors import TrainError
from labvla_train.shipped import find_settings

_LIKE = "like"


def read_values(path: Path, before: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a file; `like: NAME` takes from another one what this one does not say.

    The other file stands beside this one, or is shipped.
    """
    values = _read_yaml(path)
    other = values.pop(_LIKE, None)
    if other is None:
        return values
    if not isinstance(other, str):
        raise TrainError(f"{path}: {_LIKE}: expected the name of a file of settings, got {other!r}")
    chain = (*before, path.resolve())
    beside = path.parent / other
    base = beside if beside.is_file() else find_settings(other)
    if base.resolve() in chain:
        raise TrainError(f"{path}: {_LIKE}: {other} is like this file itself")
    return _merged(read_values(base, chain), values)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainError(f"{path}: expected a file of settings, there is none") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(values, dict):
        raise TrainError(f"{path}: expected sections of settings, got {values!r}")
    return values


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged
