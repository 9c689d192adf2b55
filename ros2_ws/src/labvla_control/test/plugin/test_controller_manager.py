"""Two arms under the real controller manager, on mock hardware: what a cell relies on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from availability import require_controller_manager

require_controller_manager()

from cell_rig import CONTROLLER, Cell  # noqa: E402
from chunk_stream import Shape, Stream  # noqa: E402
from controller_manager_rig import Manager, wait_for  # noqa: E402
from mock_robot import dual_fr3  # noqa: E402
from recorded_motion import (  # noqa: E402
    HOLD,
    STOPPED,
    STOPPING,
    TRACKING,
    assert_inside,
)
from sensor_msgs.msg import JointState  # noqa: E402
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint  # noqa: E402

from labvla_msgs.msg import ActionChunk, GripperSetpoints, SafetyEvent  # noqa: E402

DUAL = Path(__file__).parent / "params" / "dual_fr3_position.yaml"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    log = tmp_path_factory.mktemp("dual") / "manager.log"
    with Manager(dual_fr3(), [DUAL], log) as manager:
        manager.load("joint_state_broadcaster", "jtc", CONTROLLER)
        yield Cell(manager, DUAL)


@pytest.fixture
def cell(loaded: Cell) -> Iterator[Cell]:
    loaded.activate()
    yield loaded
    loaded.deactivate()


def test_starts_at_rest_where_the_arms_are(cell: Cell) -> None:
    state = cell.states.last()
    assert state.joint_names == cell.joints
    assert state.mode == HOLD
    assert state.reference_positions == pytest.approx(state.measured_positions, abs=1e-9)
    assert not np.any(state.reference_velocities)


def test_follows_chunks_and_splices_inside_the_limits(cell: Cell) -> None:
    before = cell.states.last()
    sender = cell.send("--chunks", "30")
    epoch_ns = int(sender.stdout.readline())
    sender.wait(60)
    cell.wait_for_standstill()
    last = cell.states.last()
    assert last.chunks_accepted - before.chunks_accepted == 30
    assert last.chunks_refused == before.chunks_refused
    assert last.splices == 30
    motion = cell.motion()
    assert_inside(motion, cell.limits)
    # Where the stream means to be, in the order that the sender does not use.
    home = motion.position[0]
    stream = Stream(home[::-1], Shape(), seed=7)
    during = motion.part(epoch_ns + 10**9, epoch_ns + 5 * 10**9)
    meant = stream.truth((during.stamps - epoch_ns) * 1e-9)[:, ::-1]
    error = np.sqrt(np.mean((during.position - meant) ** 2))
    assert np.ptp(during.position, axis=0).max() > 0.1, "the stream hardly moved"
    assert error < 2.0 * Shape().disagreement


def test_sigkill_of_the_sender_ends_in_a_stop_inside_the_limits(cell: Cell) -> None:
    sender = cell.send()
    cell.wait_for_motion()
    sender.kill()
    killed_ns = time.time_ns()
    cell.wait_for_standstill()
    motion = cell.motion()
    standing_ns = motion.standstill()
    assert (standing_ns - killed_ns) * 1e-9 < 0.8
    assert_inside(motion, cell.limits)
    state = cell.states.last()
    assert state.mode == HOLD
    assert state.stop_reason in ("end_of_data", "blind_limit")
    assert [event.severity for _, event in cell.events.messages()] == [SafetyEvent.STOPPED]


def test_stop_is_latched_until_it_is_reset(cell: Cell) -> None:
    cell.send()
    cell.wait_for_motion()
    asked_ns = time.time_ns()
    assert cell.trigger("stop").success
    cell.wait_for_standstill()
    motion = cell.motion()
    assert motion.first(STOPPING) is not None
    assert (motion.standstill() - asked_ns) * 1e-9 < 0.8
    assert_inside(motion, cell.limits)
    assert cell.mode() == STOPPED
    assert cell.states.last().stop_reason == "requested"

    # Chunks keep coming and are refused, by name.
    refused = cell.states.last().chunks_refused
    wait_for(lambda: cell.states.last().chunks_refused > refused, "a refusal")
    wait_for(
        lambda: any(event.reason == "stopped" for _, event in cell.events.messages()),
        "the event of a refusal",
    )
    assert cell.mode() == STOPPED
    cell.end_senders()

    assert cell.trigger("reset_stop").success
    wait_for(lambda: cell.mode() == HOLD, "the release")
    cell.send()
    cell.wait_for_motion()


def test_a_stop_is_not_reset_while_it_moves(cell: Cell) -> None:
    cell.send()
    cell.wait_for_motion()
    assert not cell.trigger("reset_stop").success
    assert cell.mode() == TRACKING


def test_pause_and_resume(cell: Cell) -> None:
    cell.send()
    cell.wait_for_motion()
    assert cell.trigger("pause").success
    cell.wait_for_standstill()
    assert cell.states.last().stop_reason == "paused"
    cell.end_senders()
    assert cell.trigger("resume").success
    cell.send()
    cell.wait_for_motion()
    assert_inside(cell.motion(), cell.limits)


def test_switches_with_the_jtc_both_ways_without_a_step(cell: Cell) -> None:
    manager = cell.manager
    assert manager.switch(activate=["joint_state_broadcaster"])
    joints = manager.record(JointState, "joint_states")
    wait_for(lambda: len(joints), "joint states")
    sender = cell.send("--chunks", "10")
    sender.wait(60)
    cell.wait_for_standstill()
    joints.clear()
    assert manager.switch(activate=["jtc"], deactivate=[CONTROLLER])
    time.sleep(0.2)
    assert manager.switch(activate=[CONTROLLER], deactivate=["jtc"])
    time.sleep(0.2)
    assert manager.states()["jtc"] == "inactive"
    positions = np.array([message.position for _, message in joints.messages()])
    assert manager.switch(deactivate=["joint_state_broadcaster"])
    assert len(positions) > 100
    assert np.ptp(positions, axis=0).max() < 1e-6


def test_takes_over_a_moving_arm_and_stops_it_inside_the_limits(cell: Cell) -> None:
    manager = cell.manager
    assert manager.switch(activate=["jtc"], deactivate=[CONTROLLER])
    publisher = manager.publisher(JointTrajectory, "jtc/joint_trajectory")
    goal = np.array(cell.states.last().measured_positions) + 0.3
    point = JointTrajectoryPoint(positions=goal.tolist())
    point.time_from_start.sec = 1
    publisher.publish(JointTrajectory(joint_names=cell.joints, points=[point]))
    time.sleep(0.5)
    cell.states.clear()
    assert manager.switch(activate=[CONTROLLER], deactivate=["jtc"])
    wait_for(lambda: len(cell.states), "the controller's state")
    cell.wait_for_standstill()
    motion = cell.motion()
    # A linear move of 0.3 rad in 1 s.
    assert motion.velocity[0] == pytest.approx([0.3] * len(cell.joints), abs=0.03)
    assert motion.mode[0] == STOPPING
    assert np.abs(motion.position[0] - motion.measured[0]).max() < 2e-3
    assert_inside(motion, cell.limits)
    assert cell.mode() == HOLD


def test_refusals_name_their_reason(cell: Cell) -> None:
    publisher = cell.manager.publisher(ActionChunk, "labvla/action_chunk")

    def refused_as(message: ActionChunk) -> SafetyEvent:
        cell.events.clear()
        publisher.publish(message)
        wait_for(lambda: len(cell.events), "an event")
        return cell.events.last()

    before = cell.states.last()
    session = time.time_ns()
    good = cell.chunk(5, session)
    publisher.publish(good)
    wait_for(lambda: cell.states.last().chunks_accepted == before.chunks_accepted + 1, "acceptance")

    nan = cell.chunk(6, session)
    nan.joint_targets[17] = float("nan")
    event = refused_as(nan)
    assert (event.reason, event.joint, event.sequence) == ("non_finite", cell.joints[3], 6)

    foreign = cell.chunk(6, session)
    foreign.joint_names[2] = "another_robot_joint3"
    assert refused_as(foreign).reason == "unknown_name"

    narrow = cell.chunk(6, session)
    narrow.joint_targets = narrow.joint_targets[:-1]
    assert refused_as(narrow).reason == "bad_shape"

    far = cell.chunk(6, session)
    far.joint_targets = [value + 0.5 for value in far.joint_targets]
    event = refused_as(far)
    assert event.reason == "first_row_far"
    assert event.value == pytest.approx(0.5)
    assert event.limit == pytest.approx(0.25, abs=0.01)  # and what a chunk's lead allows

    old = cell.chunk(5, session)
    assert refused_as(old).reason == "old_sequence"

    # A restarted sender counts from the start again, under a new session.
    publisher.publish(cell.chunk(1, session + 1))
    wait_for(
        lambda: cell.states.last().chunks_accepted == before.chunks_accepted + 2, "the new session"
    )
    assert cell.states.last().chunks_refused == before.chunks_refused + 5


def test_refuses_chunks_while_inactive_and_says_so(loaded: Cell) -> None:
    loaded.activate()
    message = loaded.chunk(1, time.time_ns())
    loaded.deactivate()
    publisher = loaded.manager.publisher(ActionChunk, "labvla/action_chunk")
    loaded.events.clear()
    publisher.publish(message)
    wait_for(lambda: len(loaded.events), "an event")
    assert loaded.events.last().reason == "not_active"


def test_gripper_targets_travel_with_the_plan_and_stay_on_stop(cell: Cell) -> None:
    setpoints = cell.manager.record(GripperSetpoints, f"{CONTROLLER}/gripper")
    publisher = cell.manager.publisher(ActionChunk, "labvla/action_chunk")
    message = cell.chunk(1, time.time_ns())
    message.gripper_names = ["right_gripper"]
    message.gripper_targets = [0.08] * 4 + [0.01] * 4
    publisher.publish(message)
    wait_for(lambda: cell.states.last().stops == 1, "the end of the plan")
    cell.wait_for_standstill()
    values = [m.targets[0] for _, m in setpoints.messages() if len(m.targets)]
    assert values[0] == 0.08
    assert values[-1] == 0.01
    assert sorted(set(values)) == [0.01, 0.08]
    last = setpoints.last()
    assert (list(last.gripper_names), last.holding) == (["right_gripper"], True)
    assert np.isnan(cell.states.last().gripper_targets[0])


def test_abrupt_deactivation_keeps_the_last_position_command(cell: Cell) -> None:
    cell.send()
    cell.wait_for_motion()
    assert cell.manager.switch(deactivate=[CONTROLLER])
    last = cell.states.last()
    cell.end_senders()
    # No planned stop: whoever deactivates in motion leaves the braking to the drive.
    assert np.abs(last.reference_velocities).max() > 0.01
    cell.activate()
    assert cell.states.last().measured_positions == pytest.approx(last.commands, abs=0.01)
