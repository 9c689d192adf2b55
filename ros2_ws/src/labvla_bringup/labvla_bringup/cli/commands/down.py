"""`labvla down`: bring the running stack down."""

from __future__ import annotations

import argparse
import os
import signal
import time

from labvla_bringup import registry
from labvla_bringup.cli.errors import Refusal

PATIENCE = 15.0  # s; longer than the supervisor's own escalation takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Nothing up is no error: the result is what was asked for."


def run(_arguments: argparse.Namespace) -> int:
    """Ask the supervisor to stop and wait for it."""
    record = registry.current()
    if record is None:
        print(f"nothing is up in ROS domain {registry.domain()}")
        return 0
    os.kill(record.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while registry.start_time(record.supervisor) == record.supervisor_start:
        if time.monotonic() > deadline:
            raise Refusal(
                f"the supervisor (process {record.supervisor}) is there after {PATIENCE:g} s; "
                f"its logs: {record.log_dir}"
            )
        time.sleep(0.05)
    print(f"{record.cell} is down")
    return 0
