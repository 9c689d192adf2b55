"""A cell whose policy is far away: what the server does wrong gets a name and moves nothing."""

import numpy as np
import pytest
from listening import STANDING, Cell
from original_server import EXPECTED, OriginalServer

from labvla_bringup.graph import Graph
from labvla_msgs.msg import ControllerState, PolicyStatus

TURNING = 0.04  # rad/s; the fake turns the first joint at 0.08
QUICK = {"zeros", "hang"}
# The first answer of "twice" is a good one.
MISBEHAVIOURS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
    for name in sorted(set(EXPECTED) - {"twice"})
]


@pytest.fixture(scope="module")
def server():
    with OriginalServer() as server:
        yield server


@pytest.fixture(scope="module")
def remote_up(bring_up, server):
    options = (f"uri={server.uri}", "deadline=0.5")
    words = [word for option in options for word in ("--engine-option", option)]
    return bring_up("franka", "--no-recorder", "--engine", "remote", *words)


@pytest.fixture
def cell(remote_up, server):
    with Graph() as graph:
        cell = Cell(graph)
        cell.until(lambda: bool(cell.states and cell.statuses))
        yield cell
        server.misbehaviour = ""
        cell.say("")
        graph.trigger("labvla/recover")
        cell.until(lambda: cell.speed() < STANDING)


def told(cell, reason, since=0):
    return any(event.reason == reason for event in cell.events[since:])


def turn(cell):
    assert cell.say("turn around").accepted
    cell.until(lambda: cell.speed() > TURNING)


def test_a_good_server_moves_the_arm_and_is_named(cell, server):
    turn(cell)
    assert cell.statuses[-1].policy == f"remote:labvla:labvla@127.0.0.1:{server.port}"
    assert cell.chunks[-1].policy == cell.statuses[-1].policy
    assert server.requests[-1]["prompt"] == "turn around"


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
def test_a_bad_answer_gets_its_name_and_moves_nothing(cell, server, misbehaviour):
    server.misbehaviour = misbehaviour
    begin, chunks = len(cell.states), len(cell.chunks)
    assert cell.say("turn around").accepted
    cell.until(lambda: told(cell, EXPECTED[misbehaviour]))
    cell.graph.spin_for(0.3)
    assert len(cell.chunks) == chunks
    held = np.array([state.reference_positions for state in cell.states[begin:]])
    assert np.ptp(held, axis=0).max() < 1e-6
    assert cell.statuses[-1].state == PolicyStatus.ACTIVE
    assert cell.statuses[-1].predictions_refused > 0


@pytest.mark.long
def test_the_second_of_two_answers_gets_its_name_and_moves_nothing(cell, server):
    """The first one is good: of every connection that one is executed, and no more."""
    connections, chunks = server.connections - 1, len(cell.chunks)  # one is open already
    server.misbehaviour = "twice"
    assert cell.say("turn around").accepted
    cell.until(lambda: told(cell, EXPECTED["twice"]))
    cell.graph.spin_for(0.3)
    assert 0 < len(cell.chunks) - chunks <= server.connections - connections
    server.misbehaviour = "zeros"
    cell.until(lambda: cell.speed() < STANDING)


@pytest.mark.parametrize("misbehaviour", ["zeros", "hang"])
def test_a_server_that_turns_bad_stops_the_arm_smoothly_until_it_is_good_again(
    cell, server, misbehaviour
):
    turn(cell)
    events, begin = len(cell.events), len(cell.states)
    server.misbehaviour = misbehaviour
    cell.until(lambda: told(cell, EXPECTED[misbehaviour], events))
    cell.until(lambda: cell.speed() < STANDING)
    stopping = cell.states[begin:]
    assert np.abs([state.reference_accelerations for state in stopping]).max() <= 2.5 + 1e-6
    first = [state.reference_positions[0] for state in stopping]
    assert abs(first[-1] - first[0]) < 0.2  # and not on its way to zero
    server.misbehaviour = ""
    cell.until(lambda: cell.speed() > TURNING)
    assert cell.states[-1].mode != ControllerState.STOPPED
