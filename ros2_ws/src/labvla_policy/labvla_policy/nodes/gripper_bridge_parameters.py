"""The parameters of the gripper bridge."""

from labvla_policy.nodes.parameters import Declared, Number, Text, Whole
from labvla_policy.runtime.gripping.driver import DriverSettings

_USUAL = DriverSettings()

CELL = Text("cell", "name or file of the cell whose grippers are driven")
DEBOUNCE = Number(
    "debounce",
    "s that a target has to last; longer is later, shorter lets blips through",
    _USUAL.demand.debounce,
    0.0,
    2.0,
)
DEADBAND = Number(
    "deadband",
    "m by which targets may differ without being another target",
    _USUAL.demand.deadband,
    0.0005,
    0.05,
)
RELEASE = Number(
    "release",
    "m wider than what is held, before a target means to let go",
    _USUAL.release,
    0.001,
    0.05,
)
RETRIES = Whole("retries", "of a goal that failed", _USUAL.retries, 0, 10)

PARAMETERS: tuple[Declared, ...] = (CELL, DEBOUNCE, DEADBAND, RELEASE, RETRIES)
