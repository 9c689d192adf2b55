"""Paths that need no stack, for processes of their own."""

import os
import time

from labvla_bringup.evaluation.stack_path import StackPath
from labvla_bringup.graph import GraphError
from labvla_sim.evaluation.crew import UnfitEngine


class Telling(StackPath):
    """Tells in which domain an episode was played."""

    def play(self, orders):
        for order in orders:
            yield order.job, {"domain": os.environ["ROS_DOMAIN_ID"], "logs": self._logs.name}


class Failing(StackPath):
    """Its stack fails after the first episode."""

    def play(self, orders):
        yield orders[0].job, {}
        raise GraphError("no answer")


class Unfit(StackPath):
    """Its engine cannot work."""

    def play(self, orders):
        raise UnfitEngine("no weights")
        yield


class Dying(StackPath):
    """Its process ends without a word."""

    def play(self, orders):
        os._exit(3)
        yield


class Waiting(StackPath):
    """Plays one episode, then waits for its end, and writes down that it went down in order."""

    def play(self, orders):
        try:
            yield orders[0].job, {}
            time.sleep(600.0)
        finally:
            self._logs.mkdir(parents=True)
