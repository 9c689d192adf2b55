"""The `labvla` command."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from labvla_bringup.cli import planned
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.console import complain
from labvla_bringup.environment import set_defaults

# Imported only when called: ROS takes half a second to import, `labvla --help` should not.
COMMANDS = {
    "up": "run a cell: supervised processes, merged log; Ctrl-C ends it",
    "down": "bring the running stack down",
    "status": "what is up, and in which state",
    "stop": "stop the motion smoothly and latch the stop",
    "recover": "clear a stop and make the cell ready again",
    "doctor": "check this machine and a cell before anything moves",
    "say": "give the policy an instruction",
    "move": "move to a posture of the cell, checked on the whole way",
    "teleop": "move the arm by keyboard, gamepad, SpaceMouse or script; take over from a policy",
    "record": "record episodes; repair recordings",
    "export": "turn recordings into a dataset to train on",
    "data": "scan, clean, stats, validate, preflight, view: examine datasets before training",
    "calibrate": "print a board, calibrate a camera with it, see whether it moved",
    "replay": "drive the simulator from a recording and compare",
    "generate": "make demonstrations in simulation: a dataset to train on",
    "eval": "judge a policy in closed loop: success, what it cannot bear, how it fails",
    "train": "teach a policy from a dataset",
    "infer": "compute one chunk of actions from files",
    "serve": "serve a checkpoint over the OpenPI protocol",
    "bench": "measure: control, data, delay, export, model, node, sim, soak",
    "campaign": "inject faults into a cell and check what was promised",
    "shot": "take pictures of the simulated cell",
    "demo": "bring a cell up, let it work, check what it did",
}


_NEGATIVE = re.compile(r"-\.?\d")


def build_parser(wanted: str | None) -> argparse.ArgumentParser:
    """Build the parser; of the commands only the wanted one gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="labvla",
        description="Run a laboratory robot cell with a vision-language-action policy.",
        epilog="exit codes: 0 done, 1 it ran and the answer is no, 2 wrong use or bad input, "
        "3 the environment lacks something",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == wanted:
            _module(name).add_arguments(command)
    planned.add_to(commands)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f"labvla_bringup.cli.commands.{name}")


def _with_negative_values(words: Sequence[str]) -> list[str]:
    """Join `--state -0.1,0.2` to `--state=-0.1,0.2`, which argparse takes for two options."""
    joined: list[str] = []
    for word in words:
        if _NEGATIVE.match(word) and joined and joined[-1].startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    words = _with_negative_values(sys.argv[1:] if words is None else words)
    set_defaults(os.environ)
    wanted = next((word for word in words if word in COMMANDS), None)
    arguments = build_parser(wanted).parse_args(words)
    try:
        if arguments.command in COMMANDS:
            return int(_module(arguments.command).run(arguments))
        return planned.run(arguments)
    except UsageError as error:
        complain(str(error))
        return ExitCode.USAGE
    except Refusal as error:
        complain(str(error))
        return ExitCode.NO
    except EnvironmentLack as error:
        complain(str(error))
        return ExitCode.ENVIRONMENT
    except KeyboardInterrupt:
        return 130
