"""The gate itself: a whole plan goes through all rules, and comes out accepted, slowed or refused.

The controller checks again, and on its own: see the design, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime import plans
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.gate import rules
from labvla_policy.runtime.gate.collision import CollisionModel, Contact
from labvla_policy.runtime.gate.rules import Limits, RuleSettings, Situation
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction


@dataclass(frozen=True)
class GateSettings:
    """What the gate asks of a plan."""

    rules: RuleSettings = field(default_factory=RuleSettings)
    clearance: float = 0.010  # m between bodies; as much as the capsules may be too small
    box_clearance: float = 0.0  # m to keep-out boxes, which are drawn with room already


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of a plan."""

    plan: Prediction | None  # what may be executed, in the order of cell.joints; None: refused
    refusal: Refusal | None  # why it was refused, or slowed down
    scale: float = 1.0  # of its speed

    @property
    def accepted(self) -> bool:
        """Whether the plan may be executed, possibly slowed down."""
        return self.plan is not None


class Gate:
    """All rules for one cell; keeps nothing between two plans."""

    def __init__(self, cell: Cell, settings: GateSettings | None = None) -> None:
        self._cell = cell
        self._settings = settings or GateSettings()
        self._limits = Limits.of_cell(cell)
        self._model = CollisionModel(cell)
        self._required = self._model.required(
            self._settings.clearance, self._settings.box_clearance
        )
        self._box = np.array([cell.workspace.tool.lower, cell.workspace.tool.upper])
        self._tools = [arm.tcp.matrix() for arm in cell.arms]
        self._bases = [arm.base.matrix() for arm in cell.arms]

    def check(self, plan: Prediction, now: Situation) -> Verdict:
        """Judge a plan that would take over now."""
        settings = self._settings.rules
        refusal = (
            rules.names(plan, self._cell)
            or rules.shape(plan, settings)
            or rules.row_time(plan, now, settings)
            or rules.finite(plan)
            or rules.beginning(plan, now, settings)
            or rules.repeated(plan, now, settings)
        )
        if refusal is not None:
            return Verdict(None, refusal)
        plan = self._ordered(plan)
        refusal = rules.telltale(plan.joint_targets, plan, now, settings)
        if refusal is not None:
            return Verdict(None, refusal)
        past = plans.rows_past(plan, now.t)
        ahead = plan.joint_targets[past:]
        refusal = self._check_motion(ahead, plan.times[past:], now)
        if refusal is not None:
            return Verdict(None, _counted_from(refusal, past))
        pace = rules.pace(ahead, plan.dt, self._limits, settings)
        if pace.decides is None:
            return Verdict(plan, None)
        if pace.scale < settings.slowest:
            return Verdict(None, _counted_from(pace.decides, past))
        why = replace(
            _counted_from(pace.decides, past),
            reason="slowed_down",
            detail=f"played at {pace.scale:.0%}: {pace.decides.detail}",
        )
        return Verdict(plans.slowed(plan, pace.scale, now.t), why, pace.scale)

    def check_path(self, path: Array, now: Situation) -> Refusal | None:
        """Judge only where a path leads: ranges, tool box and contacts, row by row."""
        return rules.positions(path, now, self._limits, self._settings.rules) or self._check_space(
            path, now
        )

    def _check_motion(self, q: Array, times: NDArray[np.int64], now: Situation) -> Refusal | None:
        seconds = (times - now.t) / NANOSECONDS
        return rules.first_row_jump(
            q, seconds, now, self._limits, self._settings.rules
        ) or self.check_path(q, now)

    def _check_space(self, q: Array, now: Situation) -> Refusal | None:
        """Check tool box and contacts over the rows and on the way to the first one."""
        path = np.concatenate([now.positions[np.newaxis], q])
        required = self._required
        outside = self._outside(path)
        bound = np.zeros(outside.shape[1])
        if now.returning:
            required = np.minimum(required, self._model.distances(path[:1])[0] - _NOISE)
            bound = np.maximum(bound, outside[0]) + _NOISE
        contact = self._model.first_contact(path, required)
        strays = np.argwhere(outside[1:] > bound)
        # whichever comes first on the way is the cause
        if len(strays) and (contact is None or strays[0, 0] < contact.row - 1):
            row, arm = (int(i) for i in strays[0])
            return Refusal(
                "workspace",
                f"row {row} takes the tool {outside[row + 1, arm] * 1000:.0f} mm out of its box",
                self._cell.arms[arm].name,
                float(outside[row + 1, arm]),
                0.0,
                row,
            )
        return _of_contact(contact) if contact is not None else None

    def _outside(self, path: Array) -> Array:
        """Return how far (m) every tool is outside of the tool box: rows x arms.

        The box is convex and rows are close: between two points inside, the tool is inside.
        """
        lower, upper = self._box
        outside = []
        for arm, base, tool, q in zip(
            self._cell.arms, self._bases, self._tools, self._split(path), strict=True
        ):
            points = (base @ CHAINS[arm.kind].forward(q) @ tool)[:, :3, 3]
            outside.append(np.maximum(lower - points, points - upper).max(axis=1))
        distances: Array = np.maximum(np.stack(outside, axis=1), 0.0)
        return distances

    def _split(self, path: Array) -> Sequence[Array]:
        ends = np.cumsum([len(arm.joints) for arm in self._cell.arms])[:-1]
        return np.split(path, ends, axis=1)

    def _ordered(self, plan: Prediction) -> Prediction:
        """Return the plan with its joints in the order of the cell."""
        if plan.joint_names == self._cell.joints:
            return plan
        order = [plan.joint_names.index(name) for name in self._cell.joints]
        return replace(
            plan, joint_names=self._cell.joints, joint_targets=plan.joint_targets[:, order]
        )


_NOISE = 1e-6  # m; rounding must not turn a motion that leaves a bound into one that breaks it


def _counted_from(refusal: Refusal, past: int) -> Refusal:
    """Return a refusal that was found among the rows ahead with the row's number in the plan."""
    return replace(refusal, row=refusal.row + past)


def _of_contact(contact: Contact) -> Refusal:
    row = max(contact.row - 1, 0)  # the path begins with the present posture
    first, second = contact.bodies
    return Refusal(
        contact.kind,
        f"row {row} brings {first} within {contact.distance * 1000:.0f} mm of {second}, expected "
        f"at least {contact.required * 1000:.0f} mm",
        f"{first}|{second}",
        contact.distance,
        contact.required,
        row,
    )
