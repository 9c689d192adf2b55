"""One run: a scene, an instruction, a fault in the middle of the motion, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_bringup.campaign.bench import Bench, BenchError
from labvla_bringup.campaign.recovery import Recovery, recover
from labvla_bringup.graph import GraphError
from labvla_msgs.srv import WatchInvariants

if TYPE_CHECKING:
    from labvla_bringup.campaign.catalogue import Fault

MOTION = 30.0  # s that an instruction may take until something moves
NOTICE = 15.0  # s until a fault is named: the engine has 2 s for an answer, and a second question
REST = 10.0  # s until the reference stands; the monitor counts the ticks
LATEST = 1.2  # s after the motion began, of the random moment of a fault: it lasts longer
LIFT = 0.3  # s, the same for what happens while the beaker is lifted
DWELL = 0.8  # s that a fault lasts that nothing names
STANDSTILL = 0.8  # s
NEW = "press the start button"
HELD = ("grasped", "raised")  # phases of the judge


@dataclass(frozen=True)
class Violation:
    """A promise that was broken."""

    name: str
    joint: str
    value: float
    limit: float
    time: float
    count: int


@dataclass
class Result:
    """What came of a run."""

    fault: str
    seed: int
    delay: float = nan  # s from the beginning of the motion to the fault
    named: list[str] = field(default_factory=list)  # all reasons that were told meanwhile
    standing: float = nan  # s of ticks from the fault to standstill; NaN: it went on
    violations: list[Violation] = field(default_factory=list)
    worst: dict[str, Violation] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether everything held."""
        return not self.violations and not self.failures


def run(bench: Bench, fault: Fault, seed: int) -> Result:
    """Make one run; whatever goes wrong in it is in the result."""
    result = Result(fault.name, seed)
    begin = time.monotonic()
    try:
        _Run(bench, fault, result).make()
    except (BenchError, GraphError) as error:
        result.failures.append(str(error))
    result.seconds = time.monotonic() - begin
    return result


class _Run:
    def __init__(self, bench: Bench, fault: Fault, result: Result) -> None:
        self._bench, self._fault, self._result = bench, fault, result
        self._random = np.random.default_rng([result.seed, 0xFA])
        self._policy = bench.pid_of("policy")
        self._restarts = bench.restarts("policy")
        self._simulator_restarts = bench.restarts("sim")

    def make(self) -> None:
        """Go through all of it."""
        self._begin_to_move()
        instant = self._cause()
        self._repair()
        self._move_again()
        self._come_to_rest()
        self._judge(instant)

    def _begin_to_move(self) -> None:
        bench = self._bench
        bench.until(lambda: bench.observer.standing, "the arm stands", REST)
        wording = bench.put_up("pick", self._result.seed)
        bench.watch(WatchInvariants.Request.BEGIN)
        bench.insist(wording)
        bench.until(lambda: bench.observer.moving, "the arm moves", MOTION)
        latest = LATEST
        if self._fault.grasped:
            bench.until(lambda: bench.phase() in HELD, "the beaker is held", MOTION)
            bench.until(lambda: bench.observer.moving, "it is lifted", MOTION)
            latest = LIFT
        self._result.delay = float(self._random.uniform(0.0, latest))
        bench.wait_for_seconds(self._result.delay)

    def _cause(self) -> int:
        """Cause the fault and wait for its consequences; return its instant."""
        bench, fault = self._bench, self._fault
        bench.observer.reasons.clear()
        instant = time.monotonic_ns()
        answered = fault.cause.begin(bench)
        if fault.named:
            bench.until(
                lambda: bool({*bench.observer.reasons, *answered} & {*fault.named}),
                f"one of {', '.join(fault.named)} is named; there was {self._told()}",
                NOTICE,
            )
        else:
            bench.wait_for_seconds(DWELL)
        if fault.stands:
            bench.until(lambda: bench.observer.standing, "the arm comes to rest", REST)
        self._result.named = sorted({*bench.observer.reasons, *answered})
        return instant

    def _told(self) -> str:
        return ", ".join(sorted({*self._bench.observer.reasons})) or "nothing"

    def _repair(self) -> None:
        bench, fault = self._bench, self._fault
        if fault.grasped and bench.phase() not in HELD:
            self._result.failures.append("the beaker was dropped")
        fault.cause.end(bench)
        recover(bench, fault.recovery, self._policy, self._restarts)

    def _move_again(self) -> None:
        bench = self._bench
        bench.until(lambda: bench.observer.active, "the policy is active again", MOTION)
        bench.insist(NEW)
        bench.until(
            lambda: bench.observer.followed == NEW and bench.observer.moving,
            "the arm follows a new instruction",
            MOTION,
        )

    def _come_to_rest(self) -> None:
        bench = self._bench
        bench.insist("")
        bench.until(lambda: bench.observer.standing, "the arm comes to rest at the end", REST)

    def _judge(self, instant: int) -> None:
        """Ask the simulator's monitor, and look for what nobody may have done."""
        bench, fault, result = self._bench, self._fault, self._result
        seen = bench.watch(WatchInvariants.Request.END, (instant,))
        found = seen.invariants
        result.worst = {one.name: _violation(one) for one in found if not isnan(one.value)}
        result.violations = violations_of(found)
        if fault.stands:
            result.standing = float(seen.standing_after[0])
        if fault.prompt and not result.standing <= STANDSTILL:
            result.failures.append(f"stood {result.standing:.3f} s after it, not {STANDSTILL:g} s")
        restarted = fault.recovery in (Recovery.RESTARTED, Recovery.KILL)
        if bench.restarts("policy") != self._restarts + restarted:
            result.failures.append("the policy's process ended by itself")
        if bench.restarts("sim") != self._simulator_restarts:
            result.failures.append("the simulator's process ended by itself")
        refused = [reason for reason in result.named if reason not in {*_HARMLESS, *fault.may}]
        if not fault.named and refused:
            result.failures.append(f"refused without need: {', '.join(refused)}")


# Told while a cell works as it should: plans are slowed down, end, and are replaced; and what a
# machine with much else to do is late with is refused once in a while, whatever the fault.
_HARMLESS = frozenset(
    {
        "slowed_down",
        "end_of_data",
        "blind_limit",
        "reply_old_instruction",
        "plan_before_handover",
        "camera_stale",
        "observation_stale",
        "skew",
    }
)


def violations_of(found: Sequence[Any]) -> list[Violation]:
    """Return what a monitor's invariants say was broken."""
    return [_violation(one) for one in found if one.violations]


def _violation(found: Any) -> Violation:
    return Violation(
        found.name, found.joint, found.value, found.limit, found.time, int(found.violations)
    )
