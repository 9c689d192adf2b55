"""The parameters of the monitor node."""

from labvla_policy.nodes.parameters import Declared, Flag, Number, Text

CELL = Text("cell", "name or file of the cell that is drawn")
RATE = Number("rate", "Hz at which what moves is drawn anew", 10.0, 0.5, 30.0)
TRAIL = Number("trail", "s of the executed path that stay to be seen", 5.0, 0.5, 60.0)
BODIES = Flag("bodies", "draw the arms as the gate sees them, too: where nobody shows the robot")

PARAMETERS: tuple[Declared, ...] = (CELL, RATE, TRAIL, BODIES)
