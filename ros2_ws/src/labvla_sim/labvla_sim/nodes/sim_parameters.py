"""The parameters of the simulated cell."""

from typing import get_args

from labvla_policy.nodes.parameters import Declared, Number, Text, Whole
from labvla_sim.scene.board import BoardOn
from labvla_sim.tasks import TASKS

CELL = Text("cell", "name or file of the cell that is simulated")
TASK = Text("task", "task that is put up at the start", "pick", tuple(TASKS))
SEED = Whole("seed", "of the scene that is put up at the start", 1, 0, 2**31)
PACING = Text(
    "pacing",
    "realtime: by the clock; lockstep: time waits for the policy",
    "realtime",
    ("realtime", "lockstep"),
)
SPEED = Number(
    "speed",
    "simulated seconds per second at most; 0: 1 in real time, as fast as it goes in lock-step",
    0.0,
    0.0,
    100.0,
)
NO_BOARD = "none"
BOARD = Text(
    "board",
    "where a calibration board is, in every scene: it is seen and not felt",
    NO_BOARD,
    (NO_BOARD, *get_args(BoardOn)),
)

PARAMETERS: tuple[Declared, ...] = (CELL, TASK, SEED, PACING, SPEED, BOARD)
