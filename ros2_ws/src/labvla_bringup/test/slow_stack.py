"""A stack in lock-step whose engine takes its time, as a program.

python slow_stack.py SECONDS FOLDER: the expert, who answers SECONDS later, is registered as an
engine of its own by a package that is written into FOLDER.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from labvla_bringup.bench_cell import write_bench_cell
from labvla_bringup.console import LogPrinter
from labvla_bringup.environment import set_defaults
from labvla_bringup.stack import Simulation, describe
from labvla_bringup.supervisor import Supervisor
from labvla_policy.runtime.cell import load_cell

ENGINE = """
import time
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec

class SlowEngine:
    def __init__(self, spec):
        self._inner = make_engine(EngineSpec("expert", spec.cell))
        self._seconds = float(spec.options["seconds"])
        self.policy = self._inner.policy

    def begin(self, observation):
        self._inner.begin(observation)

    def infer(self, question):
        time.sleep(self._seconds)
        return self._inner.infer(question)

    def close(self):
        self._inner.close()
"""


def register(folder):
    """Write the engine as an installed package, and have every process of the stack find it."""
    (folder / "slow_engine.py").write_text(ENGINE)
    distribution = folder / "slow_engine-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-engine\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text("[labvla.engines]\nslow=slow_engine:SlowEngine")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def main():
    seconds, folder = float(sys.argv[1]), Path(sys.argv[2])
    set_defaults(os.environ)
    register(folder)
    cell = write_bench_cell(load_cell("franka"), folder)
    stack = describe(cell, record=False, simulation=Simulation("lockstep"))
    slow = {
        "engine": "slow",
        "engine_options": f'{{"seconds": "{seconds}"}}',
        "execute_rows": 20,  # fewer questions than usual: the test has to end some time
    }
    processes = tuple(
        replace(process, parameters={**process.parameters, **slow})
        if process.name == "policy"
        else process
        for process in stack.processes
    )
    printer = LogPrinter([process.name for process in processes])
    Supervisor(replace(stack, processes=processes), folder, printer).run()


if __name__ == "__main__":
    main()
