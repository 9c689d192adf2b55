"""What the server needs of a policy, and nothing about how it is made."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from labvla_policy.openpi.metadata import Metadata
from labvla_policy.runtime.types import Array, Pixels


@dataclass(frozen=True, eq=False)
class CommittedRows:
    """The plan in execution, which the answer has to continue, as rows of an answer."""

    rows: Array
    frozen: int  # leading rows that are executed in any case; the others may bend


@dataclass(frozen=True, eq=False)
class PolicyRequest:
    """A request that has been checked."""

    images: tuple[Pixels | None, ...]  # one for each camera of the metadata; None: masked
    state: Array  # the policy's columns in raw units
    prompt: str
    prefix: CommittedRows | None = None
    seed: int | None = None  # of the noise, where an answer has to be repeatable
    abandoned: threading.Event = field(default_factory=threading.Event)  # nobody waits any more


@dataclass(frozen=True, eq=False)
class PolicyAnswer:
    """What the policy says."""

    rows: Array  # rows x columns, as the metadata describes them
    prefix_rows: int = 0  # leading rows that continue the request's prefix


class ServedPolicy(Protocol):
    """A policy that is loaded and warm. Called by one thread, never twice at a time."""

    @property
    def metadata(self) -> Metadata:
        """What it says about itself; at least its widths, rows and cameras."""
        ...

    def prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens a prompt has, or raise RequestRefused.

        Called by other threads, also while `infer` is at work.
        """
        ...

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Answer, or raise RequestRefused."""
        ...
