"""A cell driven by a checkpoint on this machine. Its weights are random: the road is tested."""

import cell_checkpoint
import numpy as np
import pytest
from listening import STANDING, Cell

from labvla_bringup.graph import Graph
from labvla_msgs.msg import PolicyStatus
from labvla_policy.runtime.cell import load_cell

CALM = 1e-3  # rad: rows so near to where the arm is that the gate has nothing against them


@pytest.fixture
def bring_up_with(labvla, tmp_path):
    """Bring a cell up with a checkpoint whose rows are noise of this size."""

    def start(reach, *words, wait=True, **parts):
        folder = tmp_path / "tiny"
        cell_checkpoint.write(folder, load_cell("franka"), reach=reach, **parts)
        engine = ("--engine", "labvla", "--checkpoint", str(folder))
        labvla.up("franka", "--no-recorder", *engine, *words, wait=wait)

    return start


@pytest.fixture
def listening():
    with Graph() as graph:
        yield Cell(graph)


def held(cell, since):
    positions = np.array([state.reference_positions for state in cell.states[since:]])
    return len(positions) > 10 and np.ptp(positions, axis=0).max() < 1e-6


def is_active(cell):
    active = cell.statuses and cell.statuses[-1].state == PolicyStatus.ACTIVE
    return bool(active and cell.states)


def reasons(cell):
    return {event.reason for event in cell.events}


def test_nonsense_is_refused_by_name_and_moves_nothing(bring_up_with, listening):
    bring_up_with(0.5, "--engine-option", "seed=1")
    cell = listening
    cell.until(lambda: is_active(cell))
    assert cell.statuses[-1].policy.startswith("labvla:tiny@")
    begin = len(cell.states)
    assert cell.say("press the start button").accepted
    cell.until(lambda: cell.statuses[-1].predictions_refused >= 3)
    assert reasons(cell) & {"velocity_limit", "acceleration_limit", "first_row_jump"}
    assert not cell.chunks
    assert held(cell, begin)
    cell.say("a wish that is far too long for a policy that reads a dozen tokens and not one more")
    cell.until(lambda: "prompt_too_long" in reasons(cell))
    assert held(cell, begin)


def test_what_the_gate_lets_pass_is_executed_and_continued(bring_up_with, listening):
    bring_up_with(CALM, "--scheduling", "rtc", grip=0.02)
    cell = listening
    cell.until(lambda: is_active(cell))
    assert cell.say("press the start button").accepted
    cell.until(lambda: any(chunk.committed_prefix for chunk in cell.chunks))
    assert cell.statuses[-1].scheduling == "rtc"
    chunk = next(chunk for chunk in cell.chunks if chunk.committed_prefix)
    assert chunk.rows == cell_checkpoint.CHUNK
    assert chunk.policy.startswith("labvla:tiny@")
    assert cell.say("").accepted
    cell.until(lambda: cell.speed() < STANDING)


@pytest.mark.long
def test_a_checkpoint_for_another_cell_never_gets_ready(bring_up_with, listening):
    bring_up_with(0.3, control={"row_rate": 10.0}, wait=False)
    cell = listening
    cell.until(lambda: "checkpoint_contract" in reasons(cell), 120.0)
    event = next(event for event in cell.events if event.reason == "checkpoint_contract")
    assert "row_rate: expected 30.0, got 10.0" in event.detail
    assert not cell.chunks
