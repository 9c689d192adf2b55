"""Names that viewers listen to, relative to the stack's namespace."""

MARKERS = "labvla/markers"
STATUS = "labvla/status"
EVENTS = "labvla/events"
ROBOT = "labvla/robot"
ROBOT_DESCRIPTION = "robot_description"
DIAGNOSTICS = "/diagnostics"
