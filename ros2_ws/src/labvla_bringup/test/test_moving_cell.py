"""The simulated cell in motion: what an instruction, a stop and a dying engine do to the arm."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from listening import MOVING, STANDING, Cell

from labvla_bringup import leftovers, registry
from labvla_bringup.action_call import follow
from labvla_bringup.graph import Graph
from labvla_msgs.action import MoveTo
from labvla_msgs.msg import ControllerState, PolicyStatus, SafetyEvent
from labvla_msgs.srv import InjectFault
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.diagnosis import Level


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


@pytest.fixture
def home(cell):
    return next(p.joints for p in load_cell("franka").arms[0].postures if p.name == "home")


def distance(state, goal):
    return float(np.abs(np.array(state.measured_positions) - goal).max())


def test_postures_are_reached_and_the_policy_is_interrupted(cell, labvla, home):
    cell.move()
    code, found = labvla.json("move", "home", "--speed", "1")
    assert (code, found["success"], found["reason"]) == (0, True, "")
    cell.until(lambda: cell.speed() < STANDING)
    assert distance(cell.states[-1], home) < 0.05
    assert found["error"] < 0.05
    moving = [s.reference_accelerations for s in cell.states]
    assert np.abs(moving).max() <= 2.5 + 1e-6
    # The policy has dropped its instruction and needs a new one.
    cell.until(lambda: cell.statuses[-1].motion_owner == "none")
    assert cell.statuses[-1].instruction == ""
    assert cell.chunks[-1].policy == "move_to home"
    assert labvla("move", "ready", "--speed", "1").returncode == 0
    # With it the policy is asked again; whether it moves depends on what became of the beaker.
    assert cell.say("pick up the beaker").accepted
    cell.until(lambda: cell.chunks[-1].policy.startswith("expert"))


def test_nobody_of_lower_priority_gets_in_between_and_ctrl_c_stops_on_the_way(cell, home):
    command = [sys.executable, "-m", "labvla_bringup.cli", "move", "home", "--speed", "0.15"]
    move = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        cell.until(lambda: cell.speed() > MOVING)
        refused = cell.say("pick up the beaker")
        assert (refused.accepted, refused.message) == (False, "move_to moves the arms")
        assert cell.speed() > MOVING
    finally:
        move.send_signal(signal.SIGINT)
        _, complaint = move.communicate(timeout=30)
    assert move.returncode == 1
    assert "canceled" in complaint
    cell.until(lambda: cell.speed() < STANDING)
    assert cell.states[-1].mode == ControllerState.HOLD
    assert distance(cell.states[-1], home) > 0.1


def move_to(cell, **goal):
    return follow(cell.graph, MoveTo, "labvla/move_to", MoveTo.Goal(**goal), lambda _: None)


def test_what_cannot_be_reached_is_refused_by_name_and_nothing_moves(cell):
    cell.graph.spin_for(0.3)  # what was said before the scene was put up is heard by then
    still = cell.states[-1].reference_positions
    for goal, reason in (
        ({"posture": "sleep"}, "posture_unknown"),
        ({"joint_names": ["fr3_joint2"], "positions": [1.6]}, "keep_out"),
        ({"joint_names": ["fr3_joint1"], "positions": [2.8]}, "position_limit"),
        ({"posture": "home", "speed_scale": 2.0}, "speed_scale"),
    ):
        result = move_to(cell, **goal)
        assert (result.success, result.reason) == (False, reason)
        cell.until(lambda reason=reason: any(e.reason == reason for e in cell.events))
    np.testing.assert_allclose(cell.states[-1].reference_positions, still, atol=1e-9)


def test_a_stopped_cell_moves_nowhere(cell):
    assert cell.graph.trigger("labvla/stop")[0]
    assert move_to(cell, posture="home").reason == "stopped"


def test_diagnostics_name_every_part_and_the_one_that_is_silent(cell):
    told = {}

    def hear(message):
        told.update({status.name: status for status in message.status})

    def level(part):
        return int.from_bytes(told[f"policy: {part}"].level) if told else None

    def spoil(kind):
        request = InjectFault.Request(target="side", kind=kind)
        assert cell.graph.call(InjectFault, "sim/fault", request).accepted

    cell.graph.node.create_subscription(DiagnosticArray, "/diagnostics", hear, qos.RELIABLE)
    cell.until(lambda: bool(told))
    parts = {name.removeprefix("policy: ") for name in told}
    assert parts == {
        "camera front", "camera side", "camera wrist", "joint states", "gripper states arm_gripper",
        "transport", "engine", "scheduling", "observation", "gate", "controller",
    }  # fmt: skip
    assert {status.hardware_id for status in told.values()} == {"franka"}
    spoil("drop")
    try:
        cell.until(lambda: level("camera side") == Level.STALE)
        assert "camera_stale" in told["policy: camera side"].message
        assert level("camera front") != Level.STALE
    finally:
        spoil("clear")
    cell.until(lambda: level("camera side") != Level.STALE)


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
