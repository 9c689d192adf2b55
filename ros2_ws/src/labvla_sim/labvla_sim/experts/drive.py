"""Let something drive a trial in receding horizon: plan, play some rows, plan again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.plant.servo import JointServo, RowPlayer, fastest_rows

if TYPE_CHECKING:
    from labvla_sim.experts.base import Plan
    from labvla_sim.plant.truth import Truth
    from labvla_sim.tasks.judging import Event
    from labvla_sim.tasks.trial import Trial

Planner = Callable[["Truth"], "Plan"]


@dataclass(frozen=True)
class Outcome:
    """How an episode ended."""

    success: bool
    reason: str  # what was missing, empty on success
    seconds: float  # simulated
    replans: tuple[str, ...]  # why a new motion was made, in order
    events: tuple[Event, ...]


def drive(
    trial: Trial,
    planner: Planner,
    *,
    executed_rows: int = 8,
    servo: JointServo | None = None,
    limit: float = math.inf,
    on_tick: Callable[[Trial], None] | None = None,
) -> Outcome:
    """Run the trial until success or the end of its time.

    Args:
        trial: a trial that was reset.
        planner: returns rows from the present state, such as `Expert.plan`.
        executed_rows: how many rows are played before the planner is asked again.
        servo: what turns rows into torques; a stiff one if not given.
        limit: simulated seconds, if shorter than the task's own limit.
        on_tick: called after each tick, for recording and disturbances.
    """
    sim = trial.sim
    servo = servo or JointServo.stiff(sim.cell)
    dt = 1.0 / sim.cell.policy.row_rate
    state = sim.state()
    joints = len(state.positions)
    start = np.concatenate([state.positions, state.widths])
    player = RowPlayer(start, dt, fastest_rows(sim.cell))
    period = round(executed_rows * dt * 1e3)
    replans: list[str] = []
    while not (trial.verdict.success or trial.out_of_time or trial.time >= limit):
        if sim.ticks % period == 0:
            plan = planner(sim.truth())
            if plan.replanned:
                replans.append(plan.replanned)
            player.load(np.column_stack([plan.joints, plan.widths]))
        target, speed = player.sample()
        state = sim.state()
        torques = servo.torques(target[:joints], speed[:joints], state.positions, state.velocities)
        trial.step(torques, target[joints:])
        player.advance(1e-3)
        if on_tick is not None:
            on_tick(trial)
    verdict = trial.verdict
    return Outcome(verdict.success, verdict.reason, trial.time, tuple(replans), verdict.events)
