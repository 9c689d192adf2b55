"""A refusal: the named reason why something was not used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import nan

from labvla_policy.runtime.reasons import REASONS


@dataclass(frozen=True)
class Refusal:
    """Why something was not used, with the figures that an event needs."""

    reason: str  # stable name out of REASONS
    detail: str  # what was expected, what came, what to do
    subject: str = ""  # joint, gripper, camera or pair of bodies concerned
    value: float = nan  # the offending figure in SI units
    limit: float = nan  # the bound that it broke
    row: int = -1  # of the prediction; -1 where rows play no part

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise KeyError(f"{self.reason!r} is not described in reasons.py")

    @property
    def source(self) -> str:
        """Which part of the stack refused."""
        return REASONS[self.reason].source


class Refused(ValueError):
    """Raised where an answer is impossible; carries the refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.reason}: {refusal.detail}")
        self.refusal = refusal


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Name the subject of refusals that are raised by something that cannot know it."""
    try:
        yield
    except Refused as refused:
        if refused.refusal.subject:
            raise
        raise Refused(replace(refused.refusal, subject=subject)) from None
