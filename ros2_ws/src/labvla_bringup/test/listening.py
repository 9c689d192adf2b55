"""What the tests of a running cell listen to."""

import numpy as np

from labvla_msgs.msg import ActionChunk, ControllerState, PolicyStatus, SafetyEvent
from labvla_msgs.srv import ResetScene, SetInstruction
from labvla_policy.nodes import qos

MOVING = 0.05  # rad/s
STANDING = 1e-3
ANSWERED = 120.0  # s: a busy machine may hold up a simulation for a while


class Cell:
    """Listens to a running cell."""

    def __init__(self, graph):
        self.graph = graph
        self.states = []
        self.chunks = []
        self.events = []
        self.statuses = []
        for kind, topic, found in (
            (ControllerState, "labvla_controller/state", self.states),
            (ActionChunk, "labvla/action_chunk", self.chunks),
            (SafetyEvent, "labvla/events", self.events),
            (PolicyStatus, "labvla/status", self.statuses),
        ):
            graph.node.create_subscription(kind, topic, found.append, qos.RELIABLE)

    def speed(self):
        return float(np.abs(self.states[-1].reference_velocities).max()) if self.states else 0.0

    def until(self, condition, timeout=40.0):
        assert self.graph.spin_until(condition, timeout), "waited in vain"

    def put_up(self, task, seed):
        def reset():
            request = ResetScene.Request(task=task, seed=seed)
            return self.graph.call(ResetScene, "sim/reset", request, ANSWERED).accepted

        self.until(lambda: self.speed() < STANDING and reset(), ANSWERED)

    def say(self, text):
        request = SetInstruction.Request(instruction=text)
        return self.graph.call(SetInstruction, "labvla/set_instruction", request, ANSWERED)

    def move(self):
        # Right after a recovery the policy may not have heard yet that the controller is ready.
        self.until(lambda: self.say("pick up the beaker").accepted)
        self.until(lambda: self.speed() > MOVING)
