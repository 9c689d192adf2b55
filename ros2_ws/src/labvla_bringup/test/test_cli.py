"""The command line: every name is there, wrong use is told from what is missing."""

from pathlib import Path

import pytest

import labvla_msgs.action
import labvla_msgs.msg
import labvla_msgs.srv
from labvla_bringup import cli
from labvla_bringup.cli import planned

DESIGNED = {
    "up", "down", "status", "stop", "recover", "doctor", "say", "correct", "protocol", "infer",
    "serve", "teleop", "record", "export", "replay", "data", "calibrate", "generate", "shot",
    "train", "eval", "bench", "campaign", "monitor", "demo", "move",
}  # fmt: skip


def run(capsys, *words):
    try:
        code = cli.main(words)
    except SystemExit as end:  # argparse's own way
        code = end.code
    return code, capsys.readouterr()


def test_every_designed_command_is_there():
    assert set(cli.COMMANDS) | set(planned.PLANNED) == DESIGNED
    assert not set(cli.COMMANDS) & set(planned.PLANNED)


@pytest.mark.parametrize("command", sorted(DESIGNED))
def test_help(capsys, command):
    code, output = run(capsys, command, "--help")
    assert code == 0
    assert f"usage: labvla {command}" in output.out


def test_export_stores_video_unless_told_otherwise_and_says_why(capsys):
    output = run(capsys, "export", "--help")[1].out
    assert "(video); the public training code augments video alone" in " ".join(output.split())


@pytest.mark.parametrize("command", sorted(planned.PLANNED))
def test_what_is_not_there_yet_says_so(capsys, command):
    code, output = run(capsys, command, "anything", "--at", "all")
    assert code == 3
    assert "not part of this version" in output.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("up",),
        ("up", "franka", "--engine", "magic"),
        ("say",),
        ("move",),
        ("move", "--joint", "a=b"),
    ],
)
def test_wrong_use(capsys, words):
    code, output = run(capsys, *words)
    assert code == 2
    assert output.err


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_window_without_a_display_is_what_the_environment_lacks(labvla, command):
    done = labvla(command, "franka", "--window", env={"DISPLAY": "", "WAYLAND_DISPLAY": ""})
    assert done.returncode == 3
    assert "a window needs a display" in done.stderr


def test_nothing_up(labvla):
    assert labvla("status").returncode == 1
    assert labvla("down").returncode == 0
    stop = labvla("stop")
    assert stop.returncode == 1
    assert "is the stack up" in stop.stderr


def test_the_document_of_interfaces_leaves_nothing_out():
    text = (Path(__file__).resolve().parents[4] / "docs" / "interfaces.md").read_text()
    kinds = [vars(module) for module in (labvla_msgs.msg, labvla_msgs.srv, labvla_msgs.action)]
    names = {name for kind in kinds for name in kind if name[0].isupper() and "_" not in name}
    assert {name for name in names if name not in text} == set()
    assert {name for name in cli.COMMANDS if f"`{name}" not in text} == set()
