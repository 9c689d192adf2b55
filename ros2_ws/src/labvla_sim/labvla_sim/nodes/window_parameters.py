"""The parameters of the window on a simulated cell."""

from labvla_policy.nodes.parameters import Declared, Text

CELL = Text("cell", "name or file of the cell that is shown")

PARAMETERS: tuple[Declared, ...] = (CELL,)
