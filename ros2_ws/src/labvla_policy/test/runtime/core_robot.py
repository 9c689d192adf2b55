"""The controller core as a robot: what plans do when they are really followed."""

import numpy as np
from runtime_support import MS, T0

from labvla_control import Chunk, Controller, config_from_dict
from labvla_policy.runtime.controller_settings import reference_settings
from labvla_policy.runtime.reference import Mode as ToldMode
from labvla_policy.runtime.reference import Reference
from labvla_policy.runtime.types import NANOSECONDS

TELLS = 20  # ms between two states of the controller


class Robot:
    """The controller core with arms that are always where they are commanded to be."""

    def __init__(self, cell, start):
        self.cell = cell
        self.core = Controller(config_from_dict(reference_settings(cell)))
        self.core.activate(start)
        self.t = T0
        self.period = round(NANOSECONDS / cell.controller.rate)
        self.sequence = 0
        self.speed_scaling = 1.0
        self.offset = np.zeros(len(start))  # of the measured arms from the reference
        self.silent = False
        self.positions = [start]
        self._position, self._told = start, None
        self.advance(TELLS)

    def advance(self, milliseconds):
        for _ in range(round(milliseconds * self.cell.controller.rate / 1000)):
            state = self.core.update(
                self._position, np.zeros(len(self._position)), speed_scaling=self.speed_scaling
            )
            self._position = state.position
            self.positions.append(state.position)
            self.t += self.period
            if (self.t - T0) % (TELLS * MS) == 0 and not self.silent:
                self._told = self._reference(state)

    def _reference(self, state):
        return Reference(
            self.t,
            state.position,
            state.velocity,
            round(state.plan_remaining * NANOSECONDS),
            ToldMode[state.mode.name],
            state.position + self.offset,
            self.speed_scaling,
        )

    def told(self):
        return self._told if self.t - self._told.stamp <= NANOSECONDS // 4 else None

    def take(self, plan):
        self.sequence += 1
        chunk = Chunk(
            list(plan.joint_names),
            plan.joint_targets,
            plan.dt,
            plan_start_ns=plan.plan_start,
            observation_ns=self.t,
            sequence=self.sequence,
        )
        verdict = self.core.submit(chunk, self.t)
        assert verdict.accepted, str(verdict)

    @property
    def speed(self):
        return float(np.abs(self.core.state().velocity).max())
