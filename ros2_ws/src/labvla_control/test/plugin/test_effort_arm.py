"""One arm on effort interfaces under the real controller manager: joint impedance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from availability import require_controller_manager

require_controller_manager()

from cell_rig import CONTROLLER, PERIOD, Cell  # noqa: E402
from controller_manager_rig import Manager, Recording, wait_for  # noqa: E402
from mock_robot import fr3_effort  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

EFFORT = Path(__file__).parent / "params" / "fr3_effort.yaml"


@pytest.fixture(scope="module")
def effort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    log = tmp_path_factory.mktemp("effort") / "manager.log"
    with Manager(fr3_effort(), [EFFORT], log) as manager:
        manager.load("joint_state_broadcaster", CONTROLLER)
        assert manager.switch(activate=["joint_state_broadcaster"])
        yield Cell(manager, EFFORT)


def commands_of(recording: Recording) -> np.ndarray:
    return np.array([message.commands for _, message in recording.messages()])


def test_torque_rises_at_its_rate_and_stays_below_the_clip(effort: Cell) -> None:
    effort.activate()
    effort.send("--chunks", "15").wait(60)
    effort.wait_for_standstill()
    torque = commands_of(effort.states)
    effort.deactivate()
    rate = np.abs(np.diff(torque, axis=0)) / PERIOD
    assert not np.any(torque[0]), "activation begins without torque"
    # The mock joints stand still, so the spring is stretched by the whole motion.
    assert np.abs(torque).max() > 10.0
    assert rate.max() <= 500.0 + 1e-6
    clip = np.array([200, 200, 200, 200, 100, 60, 30]) * np.array([0.15] * 4 + [0.1] * 3)
    assert np.all(np.abs(torque).max(axis=0) <= np.minimum(clip, [40] * 4 + [10] * 3) * 1.5)


def test_deactivation_leaves_no_torque_behind(effort: Cell) -> None:
    joints = effort.manager.record(JointState, "joint_states")
    effort.activate()
    effort.send()
    effort.wait_for_motion()
    wait_for(lambda: np.abs(joints.last().effort).max() > 1.0, "torque at the hardware")
    effort.deactivate()
    wait_for(lambda: not np.any(joints.last().effort), "torque to vanish", patience=1.0)
