"""Many runs, one after another on one stack; a run that fails gets the next one a fresh stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from labvla_bringup.campaign.bench import Bench
from labvla_bringup.campaign.catalogue import Fault
from labvla_bringup.campaign.run import Result, run
from labvla_policy.runtime.cell import Cell


@dataclass
class Outcome:
    """What came of a campaign."""

    results: list[Result] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # behind, at the end
    exit_code: int = 0  # of the stack

    @property
    def good(self) -> bool:
        """Whether everything held in every run, and nothing was left."""
        return all(result.good for result in self.results) and not self.left and not self.exit_code


def schedule(faults: Sequence[Fault], runs: int, seed: int) -> list[tuple[Fault, int]]:
    """Return faults with the seeds of their runs: all of them about equally often, shuffled."""
    random = np.random.default_rng(seed)
    planned: list[tuple[Fault, int]] = []
    while len(planned) < runs:
        order = random.permutation(len(faults))[: runs - len(planned)]
        planned += [(faults[i], 1000 * seed + len(planned) + n) for n, i in enumerate(order)]
    return planned


def conduct(
    cell: Cell,
    planned: Sequence[tuple[Fault, int]],
    folder: Path,
    tell: Callable[[Result], None],
) -> Outcome:
    """Make all runs; `tell` hears of each."""
    outcome = Outcome()
    bench = Bench(cell, folder)
    try:
        bench.start()
        for number, (fault, seed) in enumerate(planned, start=1):
            result = run(bench, fault, seed)
            outcome.results.append(result)
            tell(result)
            if result.failures and number < len(planned):
                bench.stop()
                bench.start()
    finally:
        outcome.exit_code = bench.stop()
    outcome.left = bench.left()
    return outcome
