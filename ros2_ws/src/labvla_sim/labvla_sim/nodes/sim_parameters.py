"""The parameters of the simulated cell."""

from labvla_policy.nodes.parameters import Declared, Text, Whole
from labvla_sim.tasks import TASKS

CELL = Text("cell", "name or file of the cell that is simulated")
TASK = Text("task", "task that is put up at the start", "pick", tuple(TASKS))
SEED = Whole("seed", "of the scene that is put up at the start", 1, 0, 2**31)

PARAMETERS: tuple[Declared, ...] = (CELL, TASK, SEED)
