"""Engines that an evaluation has to cope with; in a module, since workers import them."""

import os
import signal
from dataclasses import replace
from typing import ClassVar

import numpy as np

from labvla_policy.runtime.types import NANOSECONDS, Prediction
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.experts.engine import TruthEngine


class Wrapper:
    """Does as the expert does."""

    policy = "odd"

    def __init__(self, cell, newest):
        self.newest = newest
        self._inner = TruthEngine(cell, newest)

    def begin(self, observation):
        self._inner.begin(observation)

    def infer(self, question):
        return self._inner.infer(question)

    def close(self):
        pass


class Stubborn(Wrapper):
    """Picks, whatever is said."""

    def begin(self, observation):
        super().begin(replace(observation, instruction="Pick up the beaker"))


class Deadly(Wrapper):
    """Takes its process with it where the seed is 1, and raises where it is 2."""

    def begin(self, observation):
        seed = self.newest().seed
        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == 2:
            raise RuntimeError("no engine may raise this")
        super().begin(observation)


class Watcher(Wrapper):
    """Stands still, and writes down what it is shown."""

    shown: ClassVar = []

    def begin(self, observation):
        Watcher.shown.append(observation)

    def infer(self, question):
        observation = question.observation
        Watcher.shown.append(observation)
        rows = 30
        drift = 1e-4 * np.arange(rows)[:, None]  # rows that never change would be refused
        return Prediction(
            plan_start=observation.stamp + round(NANOSECONDS / 30),
            dt=1 / 30,
            joint_names=observation.joint_names,
            joint_targets=observation.positions + drift,
            gripper_names=("arm_gripper",),
            gripper_targets=np.full((rows, 1), 0.04),
        )


class Odd(Contestant):
    """Names one of them as its kind."""

    @property
    def privileged(self):
        return self.kind != "Watcher"

    def make(self, cell, steps, newest):
        return {"Stubborn": Stubborn, "Deadly": Deadly, "Watcher": Watcher}[self.kind](cell, newest)
