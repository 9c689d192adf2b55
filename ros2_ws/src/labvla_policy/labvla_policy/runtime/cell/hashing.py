"""One fingerprint per description: comments, key order and the spelling of units do not count."""

import hashlib
import json
from dataclasses import is_dataclass
from typing import Any

from labvla_policy.runtime.cell.schema import keys_of


def normalised(value: Any, *, hashed_only: bool = False) -> Any:
    """Return a description as plain dicts, lists and SI numbers, as a cell file would hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            key.name: normalised(getattr(value, key.name), hashed_only=hashed_only)
            for key in keys_of(type(value))
            if key.spec.hashed or not hashed_only
        }
    if isinstance(value, tuple | list):
        return [normalised(item, hashed_only=hashed_only) for item in value]
    if isinstance(value, dict):
        return {name: normalised(item, hashed_only=hashed_only) for name, item in value.items()}
    return value


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of the normalised description."""
    text = json.dumps(normalised(value, hashed_only=True), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
