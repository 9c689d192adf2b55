"""The parameters of the robot node."""

from labvla_policy.nodes.parameters import Declared, Flag, Text

CELL = Text("cell", "name or file of the cell whose robots are watched and recovered")
CONTROLLERS = Text(
    "controllers", "that have to be active, separated by commas; empty: the cell's own", ""
)
FAKE = Flag("fake_hardware", "the drivers run with mock components: there is no robot to ask")

PARAMETERS: tuple[Declared, ...] = (CELL, CONTROLLERS, FAKE)
