"""The parameters of the controller bridge."""

from labvla_policy.nodes.parameters import Declared, Number, Text

CELL = Text("cell", "name or file of the cell whose arms are moved")
KIND = Text("kind", "what moves them instead of our own controller", choices=("jtc", "crisp"))
CONTROLLERS = Text(
    "controllers", "their names in the controller manager, separated by commas, in the cell's order"
)
RATE = Number(
    "rate",
    "[Hz] of the state, and of set-points for crisp; more is smoother and busier",
    100.0,
    20.0,
    500.0,
)

PARAMETERS: tuple[Declared, ...] = (CELL, KIND, CONTROLLERS, RATE)
