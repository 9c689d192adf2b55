"""The parameters of the recorder."""

from labvla_data.bag.mcap_file import COMPRESSIONS
from labvla_data.recording.streams import IMAGES
from labvla_policy.nodes.parameters import Declared, Flag, Number, Text

DIRECTORY_VARIABLE = "LABVLA_RECORDINGS"
DEFAULT_DIRECTORY = "out/recordings"

CELL = Text("cell", "name or file of the cell that is recorded")
DIRECTORY = Text(
    "data_directory",
    f"where episodes are kept; empty: ${DIRECTORY_VARIABLE}, or else {DEFAULT_DIRECTORY}",
    "",
)
IMAGE_SOURCE = Text(
    "images",
    "cell: pictures as the policy sees them; jpeg: the cameras' compressed topics",
    "cell",
    IMAGES,
)
COMPRESSION = Text("compression", "of the chunks in the file", "none", COMPRESSIONS)
PREROLL = Number("preroll", "s before the start that belong to an episode", 0.5, 0.0, 30.0)
MEMORY = Number("memory", "MB that may wait for a slow disk", 256.0, 16.0, 16384.0)
FLOOR = Number("disk_floor", "MB that must be free for an episode to begin", 1000.0, 20.0, 1e7)
LOCKSTEP = Flag("lockstep", "have a simulation that waits wait for the recorder, and use its clock")

PARAMETERS: tuple[Declared, ...] = (
    CELL,
    DIRECTORY,
    IMAGE_SOURCE,
    COMPRESSION,
    PREROLL,
    MEMORY,
    FLOOR,
    LOCKSTEP,
)
