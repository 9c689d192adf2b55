"""`labvla status`: what is up."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from labvla_bringup import registry
from labvla_bringup.cli.common import add_json
from labvla_bringup.cli.errors import ExitCode
from labvla_bringup.console import print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the state of the stack and its processes; exit code 1 when nothing is up."""
    record = registry.current()
    if record is None:
        if arguments.json:
            print_json({"state": "down", "domain": registry.domain(), "processes": []})
        else:
            print(f"nothing is up in ROS domain {registry.domain()}")
        return ExitCode.NO
    if arguments.json:
        print_json({**asdict(record), "domain": registry.domain()})
    else:
        title = f"{record.cell} is {record.state} (engine {record.engine}, logs {record.log_dir})"
        rows = [
            [p.name, p.state, str(p.pid or ""), str(p.restarts), _code(p)] for p in record.processes
        ]
        print_table(title, ["process", "state", "pid", "restarts", "last exit"], rows)
    return ExitCode.DONE


def _code(process: registry.ProcessRecord) -> str:
    return "" if process.exit_code is None else str(process.exit_code)
