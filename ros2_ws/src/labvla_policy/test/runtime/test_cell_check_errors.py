"""Parts that do not fit each other are refused with file, line and what was expected."""

from pathlib import Path

import pytest
from cell_support import Case, line_of, only_problem, problems_of, text_of, write

from labvla_policy.runtime.cell import load_cell

# fmt: off
ROWS = [
    # title, cell, text to replace, replacement, mark of the line, key, expected, hint
    ("duplicate joint", "franka", "- fr3_joint3", "- fr3_joint2",
     "- fr3_joint2\n      - fr3_joint4", "arms[0].joints[2]",
     "expected every joint once, got 'fr3_joint2' again", ""),
    ("order of joints", "ur5e", "- shoulder_pan_joint\n      - shoulder_lift_joint",
     "- shoulder_lift_joint\n      - shoulder_pan_joint", "- shoulder_lift_joint",
     "arms[0].joints[0]", "expected 'shoulder_pan_joint' (joint 1)", "the driver's names in order"),
    ("prefix not in the names", "dual_franka", "prefix: left_", "prefix: port_",
     "- left_fr3_joint1", "arms[0].joints[0]",
     "expected 'port_fr3_joint1' (joint 1), got 'left_fr3_joint1'", ""),
    ("above the hardware", "franka", "velocity:       [ 0.78,", "velocity:       [ 2.70,", "[ 2.70",
     "arms[0].operating_limits.velocity[0]", "expected at most 2.62 rad/s, the hardware limit", ""),
    ("below the hardware", "ur5e", "position_lower: [-3.10,", "position_lower: [-6.30,", "[-6.30",
     "arms[0].operating_limits.position_lower[0]", "expected at least -6.283 rad", ""),
    ("limits swapped", "ur5e", "position_upper: [ 3.10, -0.05,", "position_upper: [ 3.10, -3.20,",
     "[ 3.10, -3.20", "arms[0].operating_limits.position_upper[1]",
     "expected more than position_lower (-3.1 rad), got -3.2 rad", ""),
    ("too steep to brake", "franka", "[ 2.5,     2.0,", "[ 2.5,     2.6,", "[ 2.5,     2.6",
     "arms[0].operating_limits.acceleration[1]",
     "expected less than 2.585 rad/s², half of the speed curve's k, got 2.6", "fall faster"),
    ("no room to brake", "franka", "position_upper: [ 2.69, ", "position_upper: [ 2.74, ",
     "[ 2.74, ", "arms[0].operating_limits.position_upper[0]",
     "expected at most 2.7372 rad, got 2.7400 rad", "position-dependent speed limit"),
    ("impedance on position", "franka", "command_interface: effort", "command_interface: position",
     "kind: impedance", "arms[0].compliance.kind",
     "expected admittance or rigid on a position interface, got impedance", "needs command"),
    ("admittance on effort", "ur5e", "command_interface: position", "command_interface: effort",
     "kind: admittance", "arms[0].compliance.kind", "expected impedance on an effort interface",
     ""),
    ("more torque than there is", "franka", "torque:       [ 40,", "torque:       [ 90,", "[ 90,",
     "arms[0].compliance.torque[0]", "expected at most 87 Nm, the hardware limit, got 90 Nm", ""),
    ("posture out of range", "ur5e", "joints: [0, -90 deg,", "joints: [0, 90 deg,", "[0, 90 deg,",
     "arms[0].postures[1].joints[1]", "expected -3.1 to -0.05 rad, the operating range of", ""),
    ("no home", "franka", "{name: home,", "{name: rest,", "postures:", "arms[0].postures",
     "expected a posture named 'home', got rest, ready", "recovery"),
    ("gripper range turned", "ur5e", "range: [0, 0.7929 rad]", "range: [0.7929 rad, 0]", "range: [",
     "arms[0].gripper.range", "expected the smaller value first", "polarity"),
    ("one prefix twice", "dual_arm", "base_frame: right_base_link", "base_frame: left_base_link",
     "base_frame: left_base_link\n    flange_frame: right", "arms[1].base_frame",
     "expected every base_frame once", ""),
    ("arms in one place", "dual_arm", "base: {position: [0, -0.40 m, 0]}",
     "base: {position: [0, 0.40 m, 0.1]}", "[0, 0.40 m, 0.1]", "arms[1].base.position",
     "expected the arms at least 0.2 m apart, got 0.1 m", ""),
    ("grippers not told apart", "dual_franka", "state_topic: right/franka",
     "state_topic: left/franka",
     "joint: fr3_finger_joint1\n      state_topic: left/franka_gripper/joint_states\n      inter",
     "arms[1].gripper.joint", "expected another joint or state_topic", ""),
    ("duplicate slot", "franka", "slot: 1", "slot: 0", "slot: 0\n    topic: camera/side",
     "cameras[1].slot", "expected a free slot, got 0, which camera 'front' has", ""),
    ("gap between slots", "franka", "slot: 1", "slot: none", "slot: 2", "cameras[2].slot",
     "expected slots without a gap, got 2 while slot 1 is empty", ""),
    ("camera name twice", "franka", "name: side", "name: front", "name: front\n    slot: 1",
     "cameras[1].name", "expected every camera name once, got 'front' again", ""),
    ("camera on nothing", "franka", "mount: {frame: fr3_link8", "mount: {frame: fr3_link9",
     "fr3_link9", "cameras[2].mount.frame", "expected one of bench, fr3_link0, fr3_link8",
     "did you"),
    ("box turned", "franka", "upper: [0.75, 0.45, 0.80]", "upper: [0.75, -0.46, 0.80]", "tool: {",
     "workspace.tool.upper[1]", "expected y above lower (-0.45 m), got -0.46 m", ""),
    ("keep-out everywhere", "franka", "upper: [1.10, 0.90, 0]", "upper: [1.10, 0.90, 2]",
     "name: bench_top", "workspace.keep_out[0]", "expected a box that leaves room to work",
     "signs"),
    ("box in millimetres", "franka", "lower: [-0.70, -0.90, 0], upper: [-0.60",
     "lower: [-700, -0.90, 0], upper: [-600", "name: wall", "workspace.keep_out[1]",
     "expected a box that an arm can reach, got one 598.", "wrong sign or unit"),
    ("columns for the wrong arms", "dual_franka", "layout: dual_16", "layout: dual_14", "layout:",
     "policy.layout", "expected a layout for 7 and 7 joints, got dual_14",
     "needs its own fine-tune"),
    ("columns for two arms", "franka", "layout: single_8", "layout: dual_14", "layout:",
     "policy.layout", "expected a layout for 7 joints, got dual_14", "take single_8"),
    ("name of another file", "franka", "name: franka\n", "name: red\n", "name: red", "name",
     "expected 'franka' as the file is called, got 'red'", "rename"),
    ("no room to brake below", "franka", "position_lower: [-2.69,   -1.73,",
     "position_lower: [-2.69,   -1.78,", "-1.78,   -2.85",
     "arms[0].operating_limits.position_lower[1]",
     "expected at least -1.7576 rad, got -1.7800 rad", "position-dependent speed limit"),
    ("posture name twice", "franka", "{name: ready,", "{name: home,", "home, joints: [0, -0.20",
     "arms[0].postures[1].name", "expected every posture name once, got 'home' again", ""),
    ("posture of one arm", "dual_arm", "{name: ready,", "{name: set,",
     "postures:\n      - {name: home, joints: [0, -115 deg, 105 deg, -80 deg, -90 deg, 0]}\n",
     "arms[1].postures", "expected the postures of arm 'left' (home, set), got home, ready", ""),
    ("two gripper units", "dual_arm", "policy_unit: open_fraction  ", "policy_unit: finger_width  ",
     "policy_unit: open_fraction", "arms[1].gripper.policy_unit",
     "expected finger_width as for arm 'left', got open_fraction", "one meaning"),
    ("one gripper action", "dual_franka", "action: right/franka", "action: left/franka",
     "action: left/franka_gripper\n      range: [0, 40 mm]\n", "arms[1].gripper.action",
     "expected every gripper action once, got 'left/franka_gripper' again", ""),
    ("keep-out name twice", "franka", "name: wall", "name: bench_top", "bench_top, lower: [-0.70",
     "workspace.keep_out[1].name", "expected every name once, got 'bench_top' again", ""),
    ("topic twice", "franka", "camera/side/color", "camera/front/color",
     "topic: camera/front/color/image_raw\n    frame_id: side_color_optical_frame\n",
     "cameras[1].topic", "expected every image topic once", ""),
]
# fmt: on
CASES = [Case(*row) for row in ROWS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_one_mistake_is_one_problem_with_its_line(tmp_path: Path, case: Case) -> None:
    case.check(tmp_path)


def test_admittance_without_a_wrench_says_that_current_is_no_substitute(tmp_path: Path) -> None:
    path = write(tmp_path, "ur5e")
    text = path.read_text()
    start, end = text.index("    wrench:\n"), text.index("    # 9 N move")
    path.write_text(text[:start] + "    wrench: none\n" + text[end:])
    problem = only_problem(path)
    assert problem.message == "expected a wrist wrench for admittance, got wrench: none"
    assert "ampere cannot replace it" in problem.hint
    assert problem.line == line_of(path, "kind: admittance")


def test_a_missing_joint_is_told_where_the_joints_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path, "ur5e", ("      - wrist_3_joint\n", ""))
    first, *others = problems_of(lambda: load_cell(path))
    assert first.message == "expected 6 joints of ur5e, got 5"
    assert first.line == line_of(path, "joints:")
    assert {other.message for other in others} == {"expected 5 values, one per joint, got 6"}


def test_two_arms_that_share_their_names_are_told_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "dual_arm.yaml"
    path.write_text(text_of("dual_arm").replace("right_", "left_").replace("right", "left"))
    keys = [problem.key for problem in problems_of(lambda: load_cell(path))]
    assert [key.removeprefix("arms[1].") for key in keys if key.startswith("arms[1].")] == [
        "name",
        "prefix",
        "base_frame",
        "flange_frame",
        "gripper.joint",
        "gripper.action",
    ]


def test_rows_may_not_come_faster_than_the_controller_can_follow(tmp_path: Path) -> None:
    edits = (
        ("{name: labvla_controller, rate: 1000 Hz}", "{name: labvla_controller, rate: 250 Hz}"),
        ("row_rate: 30 Hz", "row_rate: 150 Hz"),
    )
    path = write(tmp_path, "franka", *edits)
    problem = only_problem(path)
    assert (problem.key, problem.line) == ("controller.rate", line_of(path, "rate: 250 Hz"))
    assert "expected at least twice the row rate (300 Hz), got 250 Hz" in problem.message


def test_a_cell_whose_cameras_are_all_only_recorded_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "franka", *((f"slot: {slot}", "slot: none") for slot in range(3)))
    problem = only_problem(path)
    assert (problem.key, problem.line) == ("cameras", line_of(path, "cameras:"))
    assert problem.message == "expected a camera in slot 0, got none in any slot"
