"""The stack of a campaign: the product's own, with an engine that misbehaves on order.

Run as a program in the background: `python -m labvla_bringup.campaign.stack CELL LOGS ORDERS`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from labvla_bringup.bench_cell import write_bench_cell
from labvla_bringup.console import LogPrinter
from labvla_bringup.stack import Stack, describe
from labvla_bringup.supervisor import Supervisor, SupervisorError
from labvla_policy.runtime.cell import load_cell

# A person would look into a process that is killed every few seconds. Here that is the experiment.
MOST_RESTARTS = 1000


def with_faulty_engine(stack: Stack, orders: Path) -> Stack:
    """Return the stack with its engine wrapped."""
    processes = []
    for process in stack.processes:
        parameters = dict(process.parameters)
        if "engine" in parameters:
            options = {**json.loads(str(parameters["engine_options"])), "orders": str(orders)}
            options["engine"] = str(parameters["engine"])
            parameters.update(engine="faulty", engine_options=json.dumps(options))
        processes.append(replace(process, parameters=parameters))
    return replace(stack, processes=tuple(processes))


def main() -> int:
    """Run until told to stop."""
    cell, logs, orders = sys.argv[1:]
    bench = write_bench_cell(load_cell(cell), Path(logs))
    stack = describe(bench, recordings=str(Path(logs) / "recordings"))
    stack = with_faulty_engine(stack, Path(orders))
    printer = LogPrinter([process.name for process in stack.processes])
    try:
        Supervisor(stack, Path(logs), printer, MOST_RESTARTS).run()
    except SupervisorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
