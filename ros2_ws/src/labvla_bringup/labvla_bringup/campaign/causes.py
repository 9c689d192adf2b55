"""What can be done to a running cell: each cause begins, and ends where it can be undone."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from labvla_bringup.campaign.bench import Bench


class Cause(Protocol):
    """Something that goes wrong."""

    def begin(self, bench: Bench) -> frozenset[str]:
        """Make it go wrong; return what the stack named at once, in an answer."""
        ...

    def end(self, bench: Bench) -> None:
        """Repair it, as a person or a driver would."""
        ...


_RECORDED = 0.5  # s of an episode before the disk is full
_SMALL_FILE = 100_000  # bytes: smaller than every episode

NAMED_LATER: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Spoiled:
    """A stream of the simulated cell is spoiled until it is cleared."""

    target: str
    kind: str
    other: str = ""
    joint: int = 2

    def begin(self, bench: Bench) -> frozenset[str]:
        """Spoil it."""
        bench.spoil(self.target, self.kind, other=self.other, joint=self.joint)
        return NAMED_LATER

    def end(self, bench: Bench) -> None:
        """Clear it."""
        bench.spoil(self.target, "clear")


@dataclass(frozen=True)
class Passing:
    """Something happens to the simulated cell and passes by itself."""

    target: str
    kind: str
    seconds: float
    wrench: tuple[float, ...] = (0.0,) * 6

    def begin(self, bench: Bench) -> frozenset[str]:
        """Have it happen."""
        bench.spoil(self.target, self.kind, wrench=self.wrench, duration=self.seconds)
        return NAMED_LATER

    def end(self, bench: Bench) -> None:
        """Wait until it has passed."""
        if self.kind != "jump":
            bench.wait_for_seconds(self.seconds)


@dataclass(frozen=True)
class Ordered:
    """The engine answers wrongly until it is told not to."""

    order: str

    def begin(self, bench: Bench) -> frozenset[str]:
        """Give the order."""
        bench.order_engine(self.order)
        return NAMED_LATER

    def end(self, bench: Bench) -> None:
        """Take it back."""
        bench.order_engine("")


@dataclass(frozen=True)
class Signalled:
    """A process gets a signal."""

    process: str  # policy | engine
    number: signal.Signals

    def begin(self, bench: Bench) -> frozenset[str]:
        """Send the signal."""
        os.kill(bench.pid_of(self.process), self.number)
        return NAMED_LATER

    def end(self, bench: Bench) -> None:
        """Nothing: what comes next is the recovery's business."""


@dataclass(frozen=True)
class Said:
    """Instructions are given, one after another as fast as they are answered."""

    texts: tuple[str, ...]
    times: int = 1

    def begin(self, bench: Bench) -> frozenset[str]:
        """Give them all; refusals are named by the answer."""
        answers = [bench.say(text) for _ in range(self.times) for text in self.texts]
        return frozenset() if all(a.accepted for a in answers) else frozenset({"answer"})

    def end(self, bench: Bench) -> None:
        """Nothing: they are said."""


@dataclass(frozen=True)
class Stopped:
    """The motion is stopped, through the policy or on the controller itself."""

    services: tuple[str, ...]

    def begin(self, bench: Bench) -> frozenset[str]:
        """Call the services, one right after another."""
        for service in self.services:
            bench.trigger(service)
        return NAMED_LATER

    def end(self, bench: Bench) -> None:
        """Nothing: a stop is latched."""


@dataclass(frozen=True)
class DiskFull:
    """Nothing more can be written while an episode is recorded.

    The recorder's process is forbidden to make files longer than they are: to it, that is a disk
    without room, and nobody else on this machine is concerned.
    """

    def begin(self, bench: Bench) -> frozenset[str]:
        """Begin an episode and let the disk be full in the middle of it."""
        bench.record()
        bench.wait_for_seconds(_RECORDED)
        recorder = bench.pid_of("recorder")
        _, most = resource.prlimit(recorder, resource.RLIMIT_FSIZE)
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, (_SMALL_FILE, most))
        return NAMED_LATER

    def end(self, bench: Bench) -> None:
        """Make room; then the next episode must be possible."""
        recorder = bench.pid_of("recorder")
        _, most = resource.prlimit(recorder, resource.RLIMIT_FSIZE)
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, (most, most))
        bench.end_recording()
        bench.record()
        bench.end_recording()
