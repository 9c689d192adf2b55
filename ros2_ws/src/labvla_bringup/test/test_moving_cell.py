"""The simulated cell in motion: what an instruction, a stop and a dying engine do to the arm."""

import os
import signal
import time

import numpy as np
import pytest

from labvla_bringup import leftovers, registry
from labvla_bringup.graph import Graph
from labvla_msgs.msg import ActionChunk, ControllerState, PolicyStatus, SafetyEvent
from labvla_msgs.srv import ResetScene, SetInstruction
from labvla_policy.nodes import qos

MOVING = 0.05  # rad/s
STANDING = 1e-3


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
            return self.graph.call(ResetScene, "sim/reset", request).accepted

        self.until(lambda: self.speed() < STANDING and reset())

    def say(self, text):
        request = SetInstruction.Request(instruction=text)
        return self.graph.call(SetInstruction, "labvla/set_instruction", request)

    def move(self):
        assert self.say("pick up the beaker").accepted
        self.until(lambda: self.speed() > MOVING)


@pytest.fixture
def cell(franka_up):
    with Graph() as graph:
        cell = Cell(graph)
        cell.until(lambda: bool(cell.states and cell.statuses))
        cell.put_up("pick", 3)
        yield cell
        cell.say("")
        graph.trigger("labvla/recover")
        cell.until(lambda: cell.speed() < STANDING)


def test_a_stop_is_smooth_latched_and_keeps_the_gripper(cell):
    cell.move()
    before = len(cell.states)
    done, _ = cell.graph.trigger("labvla_controller/stop")
    assert done
    cell.until(lambda: cell.states[-1].mode == ControllerState.STOPPED)
    stopping = cell.states[before:]
    assert np.abs([s.reference_accelerations for s in stopping]).max() <= 2.5 + 1e-6
    assert stopping[-1].stop_reason == "requested"
    assert list(stopping[-1].gripper_targets) == list(stopping[0].gripper_targets)
    # The policy does not know of it and goes on: nothing moves, and every chunk is refused by name.
    still = stopping[-1].reference_positions
    cell.until(lambda: any(e.reason == "stopped" for e in cell.events))
    np.testing.assert_allclose(cell.states[-1].reference_positions, still, atol=1e-6)


def test_stop_and_recover_through_the_policy(cell):
    cell.move()
    assert cell.graph.trigger("labvla/stop")[0]
    cell.until(lambda: cell.states[-1].mode == ControllerState.STOPPED)
    refused = cell.say("pick up the beaker")
    assert not refused.accepted
    assert "labvla recover" in refused.message
    assert cell.graph.trigger("labvla/recover")[0]
    cell.until(lambda: cell.states[-1].mode == ControllerState.HOLD)
    assert cell.speed() < STANDING
    cell.move()


def test_a_stop_at_the_controller_itself_is_recovered_and_nothing_moves_by_it(cell):
    cell.move()
    assert cell.graph.trigger("labvla_controller/stop")[0]
    cell.until(lambda: cell.states[-1].mode == ControllerState.STOPPED)
    assert cell.graph.trigger("labvla/recover")[0]
    cell.until(lambda: cell.states[-1].mode == ControllerState.HOLD)
    cell.until(lambda: cell.statuses[-1].instruction == "")
    seen = len(cell.states)
    cell.until(lambda: len(cell.states) >= seen + 20)
    assert max(np.abs(s.reference_velocities).max() for s in cell.states[seen:]) < STANDING
    cell.move()


def test_the_controller_tells_why_it_stopped(cell):
    cell.move()
    assert cell.graph.trigger("labvla/stop")[0]
    cell.until(lambda: any(e.reason == "requested" for e in cell.events))
    event = next(e for e in cell.events if e.reason == "requested")
    assert (event.source, event.severity) == ("controller", SafetyEvent.STOPPED)
    assert "reset_stop" in event.detail


def test_taking_the_instruction_away_ends_the_motion(cell):
    cell.move()
    cell.say("")
    cell.until(lambda: cell.states[-1].mode == ControllerState.HOLD, timeout=5.0)
    assert cell.speed() < STANDING


def test_pause_and_resume(cell):
    cell.move()
    assert cell.graph.trigger("labvla/pause")[0]
    cell.until(lambda: cell.states[-1].mode == ControllerState.PAUSED)
    assert cell.graph.trigger("labvla/resume")[0]
    cell.until(lambda: cell.speed() > MOVING)


def test_an_unknown_wish_is_an_event_and_no_motion(cell):
    assert cell.say("make me a coffee").accepted
    cell.until(lambda: any(e.reason == "engine_error" for e in cell.events))
    event = next(e for e in cell.events if e.reason == "engine_error")
    assert "does not know 'make me a coffee'" in event.detail
    assert not cell.chunks
    assert cell.speed() < STANDING


def engine_process():
    """The engine's process: the worker that this run's policy node has started."""
    policy = next(p.pid for p in registry.current().processes if p.name == "policy")
    workers = leftovers.children(policy).items()
    return next(pid for pid, command in workers if "labvla_policy.engines.worker" in command)


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "engine_gone"), (signal.SIGSTOP, "engine_hung")]
)
def test_an_engine_that_dies_stops_the_arm_and_comes_back(cell, number, reason):
    cell.move()
    os.kill(engine_process(), number)
    cell.until(lambda: any(e.reason == reason for e in cell.events))
    last = cell.chunks[-1].sequence
    cell.until(lambda: cell.chunks[-1].sequence > last)  # started again, by itself
    cell.until(lambda: cell.statuses[-1].state == PolicyStatus.ACTIVE)


def test_a_blocked_policy_process_leaves_the_arm_standing(cell):
    """SIGSTOP of the node itself: the controller ends the motion without anybody's help."""
    cell.move()
    policy = next(p.pid for p in registry.current().processes if p.name == "policy")
    os.kill(policy, signal.SIGSTOP)
    try:
        begin = len(cell.states)
        stopped = time.monotonic()
        cell.until(lambda: cell.speed() < STANDING, timeout=10.0)
        silent = cell.states[begin:]
        assert max(state.chunk_age for state in silent if state.plan_remaining > 0) <= 0.85
        assert time.monotonic() - stopped < 10.0
    finally:
        os.kill(policy, signal.SIGCONT)
