"""The parameters of the policy node."""

from labvla_policy.nodes.parameters import Declared, Flag, Number, Options, Text, Whole

CELL = Text("cell", "name or file of the cell that is driven")
ENGINE = Text("engine", "what answers observations")
OPTIONS = Options("engine_options", "what the engine needs")
MODES = ("sync", "async", "ensemble", "rtc")
SCHEDULING = Text("scheduling", "how predictions follow each other", "async", MODES)
# 0.27 s at 30 Hz: in fast motion the controller begins to brake 0.3 s after the last chunk.
ROWS = Whole("execute_rows", "rows of a prediction after which the next takes over", 8, 1, 1000)
TIMEOUT = Number("engine_timeout", "s that the engine may take for an answer", 2.0, 0.05, 600.0)
LOADING = Number("load_timeout", "s that the engine may take to load and warm up", 120.0, 1, 3600)
LOCKSTEP = Flag("lockstep", "live by the steps of a simulation that waits, not by the clock")
ROBOT = Flag("robot", "real robots: move only while the robot node says that they are ready")
PLANNERS = ("auto", "joint", "moveit")
PLANNER = Text(
    "planner", "of move_to; auto: MoveIt where it is installed and time is real", "auto", PLANNERS
)
PLANNING_TIME = Number("planning_time", "s that MoveIt may look for a way", 5.0, 0.1, 60.0)

PARAMETERS: tuple[Declared, ...] = (
    CELL,
    ENGINE,
    OPTIONS,
    SCHEDULING,
    ROWS,
    TIMEOUT,
    LOADING,
    LOCKSTEP,
    ROBOT,
    PLANNER,
    PLANNING_TIME,
)
