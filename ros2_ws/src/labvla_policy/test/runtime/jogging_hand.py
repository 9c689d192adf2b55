"""A person at a cell whose controller is the real one: jogs, and looks where the tool goes."""

import numpy as np
from core_robot import Robot
from runtime_support import cell_of, posture

from labvla_policy.runtime.arbiter import Arbiter, Owner
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.teleop.jog import Jog
from labvla_policy.runtime.teleop.servo import Servo
from labvla_policy.runtime.teleop.session import Command, Ended, Session

TICK = 30  # ms


class Hand:
    """A person at a cell: jogs, and looks where the tool goes."""

    def __init__(self, name="franka", start="ready"):
        self.cell = cell_of(name)
        self.robot = Robot(self.cell, posture(self.cell, start))
        self.arbiter = Arbiter()
        self.servo = Servo(self.cell.arms[0])
        self.jog, self.openings, self.hand_back = None, {}, False
        self.plans, self.notes = [], []
        lease = self.arbiter.request(Owner.TELEOP, self.robot.t)
        self.session = Session(self.cell, Gate(self.cell), self.arbiter, lease)
        self.ended = None

    def wish(self, *twist, frame="base", arm=0):
        self.jog = Jog(self.robot.t, arm, frame, np.array(twist, dtype=float))

    def run(self, seconds, *twist, frame="base", arm=0):
        """Hold the stick for a while; without a twist say nothing."""
        for _ in range(round(seconds * 1000 / TICK)):
            if twist:
                self.wish(*twist, frame=frame, arm=arm)
            step = self.session.step(
                self.robot.t,
                self.robot.told(),
                Command(self.jog, self.openings, self.hand_back),
            )
            if isinstance(step, Ended):
                self.ended = step
                return self
            self.notes += [
                (kind, note)
                for kind in ("limited", "refused", "silent")
                if (note := getattr(step, kind)) is not None
            ]
            if step.plan is not None:
                self.plans.append(step.plan)
                self.robot.take(step.plan)
            self.robot.advance(TICK)
        return self

    @property
    def tool(self):
        return self.servo.tool(self.robot.positions[-1][: len(self.cell.arms[0].joints)])

    def reasons(self, kind):
        return {note.reason for found, note in self.notes if found == kind}
