"""`labvla teleop DEVICE`: move the arm by hand, take over from a policy, record demonstrations."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from labvla_bringup import registry
from labvla_bringup.cli.common import add_json, cell_from, stack_graph
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.console import complain, print_json
from labvla_bringup.teleoperation import Labels, Tally, Teleoperation
from labvla_data.teleoperation.devices import gamepad, keyboard, spacemouse
from labvla_data.teleoperation.devices.script import ScriptError, ScriptFailed, load_script
from labvla_data.teleoperation.pilot import Pilot, Speeds
from labvla_data.teleoperation.reading import Device, DeviceLost, DeviceMissing
from labvla_policy.runtime.cell import Arm, Cell
from labvla_policy.runtime.teleop.jog import FRAMES

_HELP = {"keyboard": keyboard.HELP, "gamepad": gamepad.HELP, "spacemouse": spacemouse.HELP}
DEVICES = (*_HELP, "script")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("device", choices=DEVICES, help="what you steer with")
    parser.add_argument(
        "script", nargs="?", type=Path, metavar="FILE", help="with script: the steps (YAML)"
    )
    parser.add_argument("--cell", help="default: the cell of the stack that is up")
    parser.add_argument("--arm", default="", help="default: the cell's first")
    parser.add_argument("--frame", choices=FRAMES, default="base", help="to begin with (base)")
    defaults = Speeds()
    parser.add_argument(
        "--linear", type=float, default=defaults.linear, metavar="M/S", help="full (%(default)s)"
    )
    parser.add_argument(
        "--angular", type=float, default=defaults.angular, metavar="RAD/S", help="(%(default)s)"
    )
    parser.add_argument(
        "--input", type=Path, metavar="PATH", help="input device, e.g. /dev/input/event5"
    )
    parser.add_argument("--instruction", default="", help="of the episodes that you record")
    parser.add_argument("--operator", default="", metavar="NAME", help="who demonstrates")
    parser.add_argument("--tag", action="append", default=[], help="may be given several times")
    parser.epilog = (
        "Any deflection takes the motion over; a hand that lets go stops the arm. "
        "docs/teleoperation.md lists keys and buttons."
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Steer until the person quits, the script ends or the device is gone."""
    cell = cell_from(_cell_name(arguments))
    arm = _arm(cell, arguments.arm)
    speeds = _speeds(arguments)
    if (arguments.script is None) == (arguments.device == "script"):
        raise UsageError("a FILE belongs to the device script, and only to it")
    device = _open(arguments, speeds)
    say: Callable[[str], None] = complain if arguments.json else print
    labels = Labels(arguments.instruction, arguments.operator, tuple(arguments.tag))
    pilot = Pilot(arm, arguments.frame, speeds)
    try:
        with stack_graph() as graph:
            if arguments.device in _HELP:
                say(_HELP[arguments.device])
            teleoperation = Teleoperation(graph, cell, arm, device, pilot, labels, say)
            tally = _steered(teleoperation)
    finally:
        device.close()
    if arguments.json:
        print_json(tally.as_json())
    return ExitCode.DONE if tally.ended == "quit" and not tally.refused else ExitCode.NO


def _steered(teleoperation: Teleoperation) -> Tally:
    """Run; what ends it before the person does stands in the result."""
    tally = teleoperation.tally
    try:
        teleoperation.run()
    except (DeviceLost, ScriptFailed) as error:
        tally.ended = str(error)
        complain(f"{error}: the arm comes to a stop")
    except KeyboardInterrupt:
        tally.ended = "quit"
    return tally


def _cell_name(arguments: argparse.Namespace) -> str:
    if arguments.cell:
        return str(arguments.cell)
    record = registry.current()
    if record is None:
        raise Refusal("no stack is up: name the cell (--cell) of the one that launch started")
    copy = Path(record.log_dir) / f"{record.cell}.yaml"  # what the processes of the bench read
    return str(copy) if copy.exists() else record.cell


def _arm(cell: Cell, name: str) -> Arm:
    if not name:
        return cell.arms[0]
    found = [arm for arm in cell.arms if arm.name == name]
    if not found:
        known = ", ".join(arm.name for arm in cell.arms)
        raise UsageError(f"--arm: expected one of {known}, got {name!r}")
    return found[0]


def _speeds(arguments: argparse.Namespace) -> Speeds:
    try:
        return Speeds(arguments.linear, arguments.angular)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _open(arguments: argparse.Namespace, speeds: Speeds) -> Device:
    try:
        if arguments.device == "script":
            return load_script(arguments.script, speeds)
        if arguments.device == "keyboard":
            return keyboard.Keyboard()
        if arguments.device == "gamepad":
            return gamepad.open_gamepad(arguments.input)
        return spacemouse.open_spacemouse(arguments.input)
    except ScriptError as error:
        raise UsageError(str(error)) from None
    except DeviceMissing as error:
        raise EnvironmentLack(str(error)) from None
