"""The controller core in front of the plant: chunks in, torques out, one tick at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_control import Chunk, Config, Controller, State, Verdict, config_from_dict

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm, Cell
    from labvla_sim.plant.sim_cell import RobotState
    from labvla_sim.tasks.trial import Trial

PERIOD = 1e-3  # s, one tick of the plant

# Smallest effective inertia of each joint over the workspace (kg m^2), for the damping of the
# springs: computed from the generated arm's mass matrix.
_INERTIA = {"fr3": (0.4, 0.4, 0.4, 0.4, 0.1, 0.1, 0.1)}


def controller_config(cell: Cell) -> Config:
    """Return the controller's configuration for a cell whose arms take torques."""
    joints = [joint for arm in cell.arms for joint in _joints(arm)]
    grippers = [
        {"name": arm.gripper_name, "lower": 0.0, "upper": arm.gripper.stroke} for arm in cell.arms
    ]
    return config_from_dict(
        {
            "joints": joints,
            "grippers": grippers,
            "period": PERIOD,
            "command": "effort",
            "compliance": "impedance",
        }
    )


def _joints(arm: Arm) -> list[dict[str, Any]]:
    hardware, operating, springs = arm.hardware_limits, arm.operating_limits, arm.compliance
    if springs.kind != "impedance":
        raise ValueError(
            f"{arm.name}: expected impedance on an effort interface, got {springs.kind}: "
            "the simulated plant takes torques"
        )
    return [
        {
            "name": joint,
            # The cell's operating range is checked against the hardware's when it is loaded: here
            # it is the range, and needs no margin.
            "hardware": {
                "lower": operating.position_lower[i],
                "upper": operating.position_upper[i],
                "velocity": hardware.velocity[i],
            },
            "operating": {
                "velocity": operating.velocity[i],
                "acceleration": operating.acceleration[i],
                "jerk": operating.jerk[i],
                "position_margin": 0.0,
            },
            "impedance": {
                "stiffness": springs.stiffness[i],
                "damping_ratio": springs.damping_ratio[i],
                "inertia": _INERTIA[arm.kind][i],
                "error_clip": springs.error_clip[i],
                "torque": springs.torque[i],
                "torque_rate": springs.torque_rate[i],
            },
        }
        for i, joint in enumerate(arm.joints)
    ]


class ControlledCell:
    """A trial whose arms follow chunks. One thread ticks it; `submit` may come from another."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.controller = Controller(controller_config(trial.sim.cell))
        self.restart()

    def restart(self) -> None:
        """Take the arms over from where they are, at rest."""
        state = self.trial.sim.state()
        lower, upper = self._range()
        self.controller.activate(np.clip(state.positions, lower, upper))
        self._widths = state.widths.copy()

    def _range(self) -> tuple[Any, Any]:
        arms = self.trial.sim.cell.arms
        limits = [arm.operating_limits for arm in arms]
        return (
            np.concatenate([limit.position_lower for limit in limits]),
            np.concatenate([limit.position_upper for limit in limits]),
        )

    def submit(self, chunk: Chunk, now: int) -> Verdict:
        """Hand a chunk to the controller; `now` is the plant's time (ns)."""
        return self.controller.submit(chunk, now)

    def tick(self) -> tuple[RobotState, State]:
        """Run one control cycle: measure, command, advance."""
        measured = self.trial.sim.state()
        control = self.controller.update(measured.positions, measured.velocities)
        self.trial.step(control.command, self.widths(control))
        return measured, control

    def widths(self, control: State) -> Any:
        """Return the gripper targets in force: the last ones set stay, through every stop."""
        known = np.isfinite(control.gripper)
        self._widths = np.where(known, control.gripper, self._widths)
        return self._widths
