"""One arm on position interfaces under the real controller manager: admittance, preconditions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from availability import require_controller_manager

require_controller_manager()

from cell_rig import CONTROLLER, Cell  # noqa: E402
from controller_manager_rig import Manager, wait_for  # noqa: E402
from mock_robot import ur5e, ur5e_tool  # noqa: E402
from recorded_motion import FAULT, HOLD, assert_inside  # noqa: E402
from std_msgs.msg import Float64MultiArray  # noqa: E402

from labvla_msgs.msg import ActionChunk, ControllerState  # noqa: E402

UR5E = Path(__file__).parent / "params" / "ur5e_position.yaml"


@pytest.fixture(scope="module")
def ur(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    log = tmp_path_factory.mktemp("ur5e") / "manager.log"
    robot = ["robot_flags", "speed_slider", "hand_at_the_tool"]
    with Manager(ur5e(), [UR5E], log) as manager:
        manager.load(CONTROLLER, *robot)
        assert manager.switch(activate=robot)
        yield Cell(manager, UR5E)


@pytest.fixture
def ur_cell(ur: Cell) -> Iterator[Cell]:
    play(ur, "robot_flags", 1.0)
    play(ur, "speed_slider", 1.0)
    play(ur, "hand_at_the_tool", *[0.0] * 6)
    time.sleep(0.1)
    ur.activate()
    yield ur
    ur.deactivate()


def play(cell: Cell, player: str, *values: float) -> None:
    publisher = cell.manager.publisher(Float64MultiArray, f"{player}/commands")
    publisher.publish(Float64MultiArray(data=list(values)))


@pytest.mark.parametrize(
    ("player", "reason"), [("robot_flags", "not_ready"), ("speed_slider", "speed_zero")]
)
def test_a_lost_precondition_stops_inside_the_limits(
    ur_cell: Cell, player: str, reason: str
) -> None:
    ur_cell.send()
    ur_cell.wait_for_motion()
    play(ur_cell, player, 0.0)
    ur_cell.wait_for_standstill()
    assert ur_cell.mode() == FAULT
    assert ur_cell.states.last().stop_reason == reason
    assert_inside(ur_cell.motion(), ur_cell.limits)
    ur_cell.end_senders()
    play(ur_cell, player, 1.0)
    wait_for(lambda: ur_cell.mode() == HOLD, "the return of the precondition")


def peak_speed(cell: Cell, scaling: float) -> float:
    play(cell, "speed_slider", scaling)
    wait_for(lambda: cell.states.last().speed_scaling == pytest.approx(scaling), "the scaling")
    publisher = cell.manager.publisher(ActionChunk, "labvla/action_chunk")
    message = cell.chunk(1, time.time_ns(), rows=15)
    targets = np.reshape(message.joint_targets, (15, -1))
    targets[:, 0] += 0.02 * (1.0 - np.cos(np.linspace(0.0, np.pi, 15)))
    message.joint_targets = targets.ravel().tolist()
    stops = cell.states.last().stops
    cell.states.clear()
    publisher.publish(message)
    wait_for(lambda: len(cell.states) and cell.states.last().stops > stops, "the end of the plan")
    cell.wait_for_standstill()
    return float(np.abs(cell.motion().velocity[:, 0]).max())


def test_the_robots_own_speed_scaling_slows_the_plan(ur_cell: Cell) -> None:
    full, half = peak_speed(ur_cell, 1.0), peak_speed(ur_cell, 0.5)
    assert full > 0.08
    assert half == pytest.approx(0.5 * full, rel=0.2)
    assert_inside(ur_cell.motion(), ur_cell.limits)


def test_a_push_moves_the_tool_and_lets_it_return(ur_cell: Cell) -> None:
    def tool(state: ControllerState) -> np.ndarray:
        return ur5e_tool(state.commands)[0]

    before = ur_cell.states.last()
    home, rotation = ur5e_tool(before.commands)
    push = np.array([0.0, 0.0, -12.0])  # N, down in the base
    play(ur_cell, "hand_at_the_tool", *(rotation.T @ push), 0.0, 0.0, 0.0)
    time.sleep(4.0)
    moved = tool(ur_cell.states.last()) - home
    # 12 N less 3 N of dead band against 300 N/m.
    assert moved == pytest.approx([0.0, 0.0, -0.030], abs=0.002)
    assert ur_cell.states.last().reference_positions == pytest.approx(before.reference_positions)
    play(ur_cell, "hand_at_the_tool", *[0.0] * 6)
    time.sleep(4.0)
    assert tool(ur_cell.states.last()) == pytest.approx(home, abs=0.001)
