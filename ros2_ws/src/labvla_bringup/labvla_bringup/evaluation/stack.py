"""The stack of an evaluation: the product's own, with the settings that are judged.

Run as a program in the background: `python -m labvla_bringup.evaluation.stack CELL LOGS CHOICE`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from labvla_bringup.console import LogPrinter
from labvla_bringup.engines import EXECUTE_ROWS
from labvla_bringup.stack import Simulation, Stack, describe
from labvla_bringup.supervisor import Supervisor, SupervisorError
from labvla_policy.engines import blind
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.scheduling.scheduler import Mode

# Nobody waits at a table for an evaluation, and its machine may have other work.
PATIENCE = 240.0  # s for each process to become ready


@dataclass(frozen=True)
class Choice:
    """Everything that needs a stack of its own."""

    engine: str
    scheduling: Mode
    execute: int
    sees: bool
    hears: bool
    options: dict[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        """Return it as a word of a command line."""
        return json.dumps(asdict(self))


def stack_of(cell_file: str, choice: Choice) -> Stack:
    """Return the stack in lock-step, without a recorder."""
    stack = describe(
        load_cell(cell_file),
        engine=choice.engine,
        record=False,
        engine_options=choice.options,
        scheduling=choice.scheduling,
        simulation=Simulation("lockstep"),
    )
    processes = []
    for process in stack.processes:
        parameters = dict(process.parameters)
        if "engine" in parameters:
            parameters[EXECUTE_ROWS] = choice.execute
            if not (choice.sees and choice.hears):
                told = json.loads(str(parameters["engine_options"]))
                told |= blind.options(choice.engine, sees=choice.sees, hears=choice.hears)
                parameters |= {"engine": blind.NAME, "engine_options": json.dumps(told)}
        processes.append(replace(process, parameters=parameters))
    return replace(stack, processes=tuple(processes))


def main() -> int:
    """Run until told to stop."""
    cell, logs, choice = sys.argv[1:]
    stack = stack_of(cell, Choice(**json.loads(choice)))
    printer = LogPrinter([process.name for process in stack.processes])
    try:
        Supervisor(stack, Path(logs), printer, patience=PATIENCE).run()
    except SupervisorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
