"""What a launch file was asked for, as the stack that is described. Launch is not needed here."""

import pytest

from labvla_bringup.launching.choices import (
    TOOL_PORT,
    calibration,
    policy_stack,
    recorder_stack,
    robot,
    robot_stack,
    views_stack,
)
from labvla_bringup.stack import StackError
from labvla_policy.runtime.cell import CellError

ONE = {"arm": "robot"}
TWO = {"left": "left", "right": "right"}
POLICY = {
    "cell": "franka",
    "policy": "replay",
    "checkpoint": "",
    "engine_options": "",
    "scheduling": "async",
    "instruction": "",
    "planner": "auto",
    "namespace": "",
}


def asked(arms=ONE, default="franka", more=(), folder=None, **given):
    """Describe what `ros2 launch` would run with these arguments and the defaults of the others."""
    choices = (*robot(default, arms), *more)
    known = {choice.name: choice.default for choice in choices}
    assert set(given) <= set(known)
    return robot_stack({**known, **given}, folder, arms)


def names(stack):
    """Return the names of the processes."""
    return {process.name for process in stack.processes}


def test_by_default_the_robot_comes_up_without_a_policy():
    stack = asked(robot_ip="10.0.0.2")
    assert stack.robot == "hardware"
    assert names(stack) == {"robot", "gripper_bridge", "recorder"}


def test_every_choice_has_an_explanation_and_a_default_that_it_allows():
    for choice in (*robot("franka", ONE), *robot("dual_arm", TWO), TOOL_PORT):
        assert choice.description
        assert not choice.choices or choice.default in choice.choices


def test_sim_runs_the_cell_as_bench_mode_does_and_asks_for_no_robot(tmp_path):
    stack = asked(folder=tmp_path, sim="true", policy="expert", record="false")
    assert stack.robot == "sim"
    files = {process.parameters["cell"] for process in stack.processes}
    assert files == {str(tmp_path / "franka.yaml")}
    assert names(stack) == {"sim", "policy"}


def test_each_arm_has_its_own_address_and_calibration():
    stack = asked(
        TWO,
        "dual_arm",
        (calibration("left", "left"), calibration("right", "right")),
        left_ip="10.0.0.2",
        right_ip="10.0.0.3",
        right_kinematics="/cal.yaml",
    )
    publisher = next(p for p in stack.processes if p.name == "robot_state_publisher")
    told = publisher.parameters["robot_description"].arguments
    assert (told["left_robot_ip"], told["right_robot_ip"]) == ("10.0.0.2", "10.0.0.3")
    assert told["right_kinematics_params"] == "/cal.yaml"
    assert "left_kinematics_params" not in told


def test_the_policy_is_told_what_was_said_on_the_command_line():
    given = {**POLICY, "policy": "remote", "engine_options": "uri=ws://gpu:8000 prompt='the task'"}
    (policy,) = policy_stack({**given, "instruction": "press the button"}, None).processes
    assert '"uri": "ws://gpu:8000"' in policy.parameters["engine_options"]
    assert '"prompt": "the task"' in policy.parameters["engine_options"]


def test_a_relative_checkpoint_is_found_from_the_engines_process_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (policy,) = policy_stack(
        {**POLICY, "policy": "labvla", "checkpoint": "weights"}, None
    ).processes
    assert str(tmp_path / "weights") in policy.parameters["engine_options"]


def test_the_planner_that_was_chosen_is_told_to_the_policy_which_moves_to_postures():
    (policy,) = policy_stack({**POLICY, "planner": "moveit"}, None).processes
    assert policy.parameters["planner"] == "moveit"
    (policy,) = policy_stack(POLICY, None).processes
    assert "planner" not in policy.parameters  # its own default


def test_an_instruction_is_kept_for_whoever_says_it_once():
    assert policy_stack({**POLICY, "instruction": "press the button"}, None).instruction


def test_recorder_and_views_stand_alone():
    place = {"cell": "ur5e", "namespace": "/lab1"}
    assert names(recorder_stack({**place, "recordings": ""}, None)) == {"recorder"}
    given = {**place, "rviz": "true", "foxglove": "true", "markers": "true", "sim": "false"}
    views = views_stack(given, None)
    assert names(views) == {"rviz", "foxglove_bridge", "monitor"}
    drawn_elsewhere = views_stack({**given, "markers": "false"}, None)
    assert names(drawn_elsewhere) == {"rviz", "foxglove_bridge"}
    assert not any(process.essential for process in views.processes)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"cell": "dual_franka"}, "whose arms are arm, got left and right"),
        ({"checkpoint": "/x"}, "checkpoint: expected a policy that is told it"),
        ({"policy": "replay", "engine_options": "fast"}, "expected NAME=VALUE NAME=VALUE"),
        ({"policy": "replay", "engine_options": "a=1 a=2"}, "a is given twice"),
        ({"instruction": "go"}, "expected none where no policy runs"),
    ],
)
def test_what_makes_no_sense_is_refused(given, why):
    with pytest.raises(StackError, match=why):
        asked(robot_ip="10.0.0.2", **given)


def test_a_cell_that_is_not_there_is_named():
    with pytest.raises(CellError, match="nowhere"):
        asked(cell="nowhere", robot_ip="10.0.0.2")
