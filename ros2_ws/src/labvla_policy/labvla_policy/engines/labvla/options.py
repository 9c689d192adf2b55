"""What the labvla engine can be told: read once, and refused by name where it makes no sense.

Nothing of the network is imported here: the command line reads options, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from labvla_policy.engines.base import EngineError

_SWITCH = {"on": True, "off": False}


@dataclass(frozen=True, kw_only=True)
class LabvlaOptions:
    """Which checkpoint, and how it is run."""

    checkpoint: str  # a folder, or an id on the hub
    device: str = ""  # cpu, cuda, cuda:1; empty: CUDA where there is one
    dtype: str = ""  # bfloat16, float16, float32; empty: as the checkpoint says
    dataset: str = ""  # which one, where the checkpoint knows several
    steps: int | None = None  # of the Euler method; None: as the checkpoint says
    samples: int = 1  # chunks of every observation, of which one is used
    rtc: str = ""  # guided, trained or off; empty: trained where the checkpoint is, else guided
    products: int = 2  # vector-Jacobian products of a guided step
    graphs: bool = True  # CUDA graphs
    seed: int | None = None  # of the noise, begun anew with every instruction
    threads: int | None = None  # on a processor; None: one for a small network, else PyTorch's
    cut_prompts: bool = False  # a longer instruction loses its end instead of being refused

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return what can be told."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> LabvlaOptions:
        """Read the options, or raise EngineError."""
        unknown = sorted(set(texts) - set(cls.names()))
        if unknown:
            known = ", ".join(cls.names())
            raise EngineError(f"labvla: expected options out of {known}; got {unknown[0]}")
        if not texts.get("checkpoint"):
            raise EngineError("labvla: expected the option checkpoint, a checkpoint's folder")
        values = {}
        for name, text in texts.items():
            try:
                values[name] = _READERS.get(name, str)(text)
            except ValueError as error:
                raise EngineError(f"labvla: option {name}: {error}") from None
        return cls(**values)


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"expected a whole number, {least} to {most}, got {text!r}")
        return int(text)

    return read


def _switch(text: str) -> bool:
    if text not in _SWITCH:
        raise ValueError(f"expected on or off, got {text!r}")
    return _SWITCH[text]


def _way(text: str) -> str:
    if text not in ("guided", "trained", "off"):
        raise ValueError(f"expected guided, trained or off, got {text!r}")
    return text


_READERS: Mapping[str, Callable[[str], Any]] = {
    "steps": _number(1, 1000),
    "samples": _number(1, 64),
    "rtc": _way,
    "products": _number(1, 10),
    "graphs": _switch,
    "seed": _number(0, 2**63 - 1),
    "threads": _number(1, 1024),
    "cut_prompts": _switch,
}
