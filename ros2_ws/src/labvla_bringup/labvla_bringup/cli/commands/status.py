"""`labvla status`: what is up."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from labvla_bringup import registry
from labvla_bringup.cli.common import add_json, stack_graph
from labvla_bringup.cli.errors import ExitCode
from labvla_bringup.console import print_json, print_table
from labvla_bringup.launched import POLICY_STATES, Heard, listen
from labvla_policy.nodes.robot_status import RobotStatus

LISTEN = 2.0  # s; nodes under launch tell several times a second, once they are found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json(parser)
    parser.epilog = "A stack under `ros2 launch` is known by what its robots and its policy tell."


def run(arguments: argparse.Namespace) -> int:
    """Print the state of the stack; exit code 1 when nothing is up."""
    record = registry.current()
    if record is None:
        return _launched(arguments.json)
    if arguments.json:
        print_json({**asdict(record), "domain": registry.domain()})
    else:
        title = f"{record.cell} is {record.state} (engine {record.engine}, logs {record.log_dir})"
        rows = [
            [p.name, p.state, str(p.pid or ""), str(p.restarts), _code(p)] for p in record.processes
        ]
        print_table(title, ["process", "state", "pid", "restarts", "last exit"], rows)
    return ExitCode.DONE


def _launched(json: bool) -> int:
    """Print what is heard of a stack that nobody here supervises."""
    with stack_graph() as graph:
        heard = listen(graph, LISTEN)
    if json:
        print_json(_as_data(heard))
    elif not heard.cell:
        print(f"nothing is up in ROS domain {registry.domain()}")
    else:
        _show(heard)
    return ExitCode.DONE if heard.cell else ExitCode.NO


def _show(heard: Heard) -> None:
    print_table(
        f"{heard.cell} runs under ros2 launch",
        ["part", "state"],
        [
            ["robots", _robots(heard.robot) if heard.robot else "no robot node is heard"],
            *([name, words] for name, words in (heard.robot.states if heard.robot else {}).items()),
            *([["recovery", heard.robot.doing]] if heard.robot and heard.robot.doing else []),
            ["policy", _policy(heard)],
        ],
    )


def _robots(robot: RobotStatus) -> str:
    return "ready" if robot.ready else f"{robot.reason} ({robot.subject}): {robot.line}"


def _policy(heard: Heard) -> str:
    policy = heard.policy
    if policy is None:
        return "no policy node is heard"
    words = policy.message or policy.instruction
    return f"{POLICY_STATES[policy.state]}, engine {policy.engine}{f': {words}' if words else ''}"


def _as_data(heard: Heard) -> dict[str, Any]:
    policy = heard.policy
    return {
        "state": "launched" if heard.cell else "down",
        "domain": registry.domain(),
        "cell": heard.cell,
        "processes": [],
        "robots": asdict(heard.robot) if heard.robot else None,
        "policy": {
            "state": POLICY_STATES[policy.state],
            "engine": policy.engine,
            "instruction": policy.instruction,
            "message": policy.message,
        }
        if policy
        else None,
    }


def _code(process: registry.ProcessRecord) -> str:
    return "" if process.exit_code is None else str(process.exit_code)
