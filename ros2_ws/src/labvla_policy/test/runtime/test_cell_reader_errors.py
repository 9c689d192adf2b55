"""What cannot be read is refused with file, line and what was expected."""

from pathlib import Path

import pytest
from cell_support import SHIPPED, Case, line_of, only_problem, problems_of, write

from labvla_policy.runtime.cell import CellError, load_cell
from labvla_policy.runtime.cell.load import LARGEST_FILE
from labvla_policy.runtime.cell.problems import SCREEN_COLUMNS, SCREEN_LINES

# fmt: off
ROWS = [
    # title, cell, text to replace, replacement, mark of the line, key, expected, hint
    ("typo key", "franka", "jerk: 100", "jerkk: 100", "jerkk", "arms[0].operating_limits.jerkk",
     "expected a known key, got 'jerkk'", "did you mean 'jerk'?"),
    ("unknown key", "franka", "frame: bench\n", "frame: bench\nzzz: 1\n", "zzz", "zzz",
     "expected a known key, got 'zzz'", "known here: arms, cameras"),
    ("missing key", "franka", "    rate: 30 Hz\n", "", "- name: front", "cameras[0]",
     "expected the key 'rate', got none", "frames per second"),
    ("duplicate key", "franka", "    slot: 0\n", "    slot: 0\n    slot: 1\n", "slot: 1",
     "cameras[0].slot", "expected each key once, got it on line", "remove one"),
    ("wrong unit", "franka", "rate: 30 Hz\n", "rate: 25 ms\n", "rate: 25 ms", "cameras[0].rate",
     "expected a frequency (Hz, kHz), got '25 ms', which is a time", ""),
    ("unknown unit", "franka", "latency: 0 ms", "latency: 1 msec", "latency: 1 msec",
     "cameras[0].latency", "expected a time (s, ms, us), got '1 msec'", "did you mean"),
    ("no number", "franka", "force: 20 N", "force: strong", "force: strong",
     "arms[0].gripper.force", "which is no number", ""),
    ("not finite", "franka", "force: 20 N", "force: 1e999", "force: 1e999", "arms[0].gripper.force",
     "which is not finite", ""),
    ("nan", "franka", "force: 20 N", "force: .nan", "force: .nan", "arms[0].gripper.force",
     "which is no number", ""),
    ("out of bounds", "franka", "{topic: franka/joint_states, rate: 1000 Hz}",
     "{topic: joint_states, rate: 30 Hz}", "topic: joint_states", "joint_states.rate",
     "expected a frequency ≥ 100 and ≤ 4000 Hz, got '30 Hz'", "30 Hz topic"),
    ("wrong choice", "franka", "kind: fr3\n", "kind: fr4\n", "kind: fr4", "arms[0].kind",
     "expected one of fr3, ur5e, got 'fr4'", "did you mean 'fr3'?"),
    ("wrong kind", "franka", "kind: impedance", "kind: impedence", "kind: impedence",
     "arms[0].compliance.kind", "expected one of impedance, admittance, rigid", "'impedance'?"),
    ("missing kind", "franka", "      kind: franka_hand\n", "", "gripper:", "arms[0].gripper",
     "expected the key 'kind' (franka_hand, robotiq_2f85)", ""),
    ("not a whole number", "franka", "width: 640", "width: 640.5", "width: 640.5",
     "cameras[0].width", "expected a whole number ≥ 16 and ≤ 8192, got '640.5'", ""),
    ("slot above 2", "franka", "slot: 2", "slot: 3", "slot: 3", "cameras[2].slot",
     "expected a whole number ≥ 0 and ≤ 2, got 3", "0 to 2"),
    ("list too short", "franka", "[87,      87,      87,", "[87,      87,", "[87, ",
     "arms[0].hardware_limits.torque", "expected 7 values, one per joint, got 6", ""),
    ("scalar for a part", "franka", "{mass: 0.73 kg, com: [-10 mm, 0, 30 mm]}", "0.73 kg",
     "payload: 0.73", "arms[0].payload", "expected keys and values, got '0.73 kg'", ""),
    ("part for a scalar", "franka", "stroke: 80 mm", "stroke: {a: 1}", "stroke: {",
     "arms[0].gripper.stroke", "expected a length (m, cm, mm, um), got keys and values", ""),
    ("empty value", "franka", "stroke: 80 mm ", "stroke: ", "stroke: ", "arms[0].gripper.stroke",
     "expected a length (m, cm, mm, um), got nothing", ""),
    ("YAML boolean", "franka", "name: front", "name: on", "name: on", "cameras[0].name",
     "which YAML reads as bool", "quotes"),
    ("invalid topic", "franka", "topic: camera/front/color", "topic: camera//color", "camera//",
     "cameras[0].topic", "expected a valid ROS name", ""),
    ("anchor", "franka", "jerk: 100", "jerk: &calm 100", "&calm", "",
     "expected no anchors, got &calm", "ROS parameter files cannot hold them"),
    ("tag", "franka", "jerk: 100", "jerk: !!float 100", "!!float", "",
     "expected no tags, got '!!float'", "ROS parameter files cannot hold them"),
    ("code", "franka", "name: front", "name: !!python/object:os.system front", "!!python", "",
     "expected no tags", ""),
]
# fmt: on
CASES = [Case(*row) for row in ROWS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_one_mistake_is_one_problem_with_its_line(tmp_path: Path, case: Case) -> None:
    case.check(tmp_path)


def test_an_empty_camera_list_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "franka")
    text = path.read_text()
    start, end = text.index("cameras:\n"), text.index("\nworkspace:")
    path.write_text(text[:start] + "cameras: []\n" + text[end:])
    problem = only_problem(path)
    assert problem.line == line_of(path, "cameras: []")
    assert problem.key == "cameras"
    assert problem.message == "expected at least 1, got an empty list"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "franka",
        ("rate: 30 Hz\n", "rate: 30 mm\n"),
        ("jerk: 100", "jerkk: 100"),
        ("- fr3_joint3", "- fr3_joint2"),
        ("layout: single_8", "layout: single8"),
    )
    problems = problems_of(lambda: load_cell(path))
    assert [problem.key for problem in problems] == [
        "arms[0].joints[2]",
        "arms[0].operating_limits.jerkk",
        "cameras[0].rate",
        "policy.layout",
    ]


def test_the_worst_file_fits_one_screen(tmp_path: Path) -> None:
    path = tmp_path / "worst.yaml"
    path.write_text("".join(f"key_{number}: {'x' * 500}\n" for number in range(300)))
    with pytest.raises(CellError) as caught:
        load_cell(path)
    lines = str(caught.value).splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_COLUMNS
    shown = sum(f"{path}:" in line for line in lines)
    assert lines[-1] == f"and {len(caught.value.problems) - shown} more"


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        (b"", None, "got an empty file"),
        (b"# only a comment\n\n", 1, "nothing but blanks and comments"),
        (b"name: a\nframe: caf\xe9\n", 2, "expected UTF-8 text, got the byte 0xe9"),
        ("name: ü\n".encode("utf-16"), 1, "expected UTF-8 text, got the byte 0xff"),
        (b"name: a\nframe: \x07\n", 2, "expected text, got the character 0x7"),
        (b"name: a\n\tframe: b\n", 2, "syntax error"),
        (b"name: a\nframe: [b\n", 3, "syntax error"),
        (b"--- {}\n--- {}\n", 2, "syntax error"),
        (b"[" * 200_000, 1, "expected at most 20 levels"),
        (b"- a\n- b\n", 1, "expected keys and values, got a list of 2"),
        (b"a" * (LARGEST_FILE + 1), None, "expected at most 250000 bytes"),
    ],
)
def test_what_is_no_cell_file_is_refused(
    tmp_path: Path, content: bytes, line: int | None, expected: str
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    problem = only_problem(path)
    assert expected in problem.message
    assert problem.line == line


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "got a folder" in only_problem(tmp_path).message
    missing = only_problem(tmp_path / "missing.yaml")
    assert "got nothing there" in missing.message
    assert ", ".join(SHIPPED) in missing.hint


def test_an_alias_is_refused_even_where_the_value_would_do(tmp_path: Path) -> None:
    edits = (("width: 640", "width: &size 640"), ("width: 640", "width: *size"))
    problems = problems_of(lambda: load_cell(write(tmp_path, "franka", *edits)))
    assert [problem.message for problem in problems] == [
        "expected no anchors, got &size",
        "expected a value, got the alias *size",
    ]


def test_an_unknown_name_lists_the_known_ones() -> None:
    (problem,) = problems_of(lambda: load_cell("frankka"))
    assert problem.message == "expected the name of a cell or a .yaml file, got 'frankka'"
    assert problem.hint.startswith("did you mean 'franka'?")
    assert ", ".join(SHIPPED) in problem.hint
