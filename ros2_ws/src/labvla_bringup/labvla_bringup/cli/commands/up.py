"""`labvla up CELL`: run a cell in bench mode."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from labvla_bringup.bench_cell import write_bench_cell
from labvla_bringup.cli.common import (
    add_engine,
    add_window,
    cell_from,
    check_window,
    engine_options,
)
from labvla_bringup.cli.errors import Refusal, UsageError
from labvla_bringup.console import LogPrinter
from labvla_bringup.stack import Board, Pacing, Simulation, StackError, Views, describe
from labvla_bringup.supervisor import Supervisor, SupervisorError, new_log_dir
from labvla_policy.runtime.scheduling.scheduler import Mode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", help="name of a cell, or path of a cell file")
    add_engine(parser)
    parser.add_argument(
        "--scheduling",
        choices=get_args(Mode),
        default="async",
        help="how predictions follow each other; rtc: each continues the one before (%(default)s)",
    )
    parser.add_argument("--namespace", default="", help="ROS namespace of the stack, e.g. /lab1")
    parser.add_argument("--no-recorder", action="store_true", help="run without the recorder")
    parser.add_argument(
        "--recordings",
        default="",
        metavar="DIR",
        help="folder for episodes (default: $LABVLA_RECORDINGS, or else out/recordings)",
    )
    add_window(parser)
    parser.add_argument(
        "--monitor",
        action="store_true",
        help="publish labvla/markers for rviz or Foxglove: plans, boxes, cameras, status",
    )
    parser.add_argument(
        "--pacing",
        choices=get_args(Pacing),
        default="realtime",
        help="realtime: by the clock; lockstep: simulated time waits for the policy (%(default)s)",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="simulated seconds per second at most (1 in real time, unbounded in lock-step)",
    )
    parser.add_argument(
        "--board",
        choices=get_args(Board),
        default="none",
        help="put a calibration board into the scene, on the bench or at the gripper (%(default)s)",
    )
    parser.add_argument(
        "--logs", type=Path, default=Path("out/logs"), help="folder for log files (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the stack until it is asked to stop."""
    cell = cell_from(arguments.cell)
    if not 0.0 <= arguments.speed <= 100.0:
        raise UsageError(f"--speed: expected 0 to 100, got {arguments.speed:g}")
    check_window(arguments)
    log_dir = new_log_dir(arguments.logs)
    try:
        # The squares of a board are too small for a policy's pictures.
        cell = write_bench_cell(cell, log_dir, whole_pictures=arguments.board != "none")
        stack = describe(
            cell,
            engine=arguments.engine,
            namespace=arguments.namespace,
            record=not arguments.no_recorder,
            recordings=arguments.recordings,
            engine_options=engine_options(arguments),
            scheduling=arguments.scheduling,
            simulation=Simulation(
                arguments.pacing, arguments.speed, arguments.window, arguments.board
            ),
            views=Views(markers=arguments.monitor),
        )
    except StackError as error:
        raise UsageError(str(error)) from None
    printer = LogPrinter([process.name for process in stack.processes])
    try:
        Supervisor(stack, log_dir, printer).run()
    except SupervisorError as error:
        raise Refusal(str(error)) from None
    return 0
