"""An episode's bag: what cell it is from, and which topic is which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from labvla_data.bag.errors import BagError
from labvla_data.bag.reader import BagReader
from labvla_data.export.reasons import Refused
from labvla_data.recording import sidecar as sidecars
from labvla_data.recording.sidecar import Sidecar
from labvla_policy.runtime.cell import Camera, Cell, CellError, load_cell

_COMPRESSED = "/compressed"


@dataclass(frozen=True)
class Source:
    """An episode that can be read."""

    folder: Path
    cell: Cell  # cameras as they were recorded
    sidecar: Sidecar | None
    prefix: str  # namespace of the topics, with a slash at the end
    jpeg: bool  # pictures were recorded compressed although the cell sends them raw

    def topic(self, name: str) -> str:
        """Return a topic's name in the bag."""
        return f"{self.prefix}{name}"

    @property
    def name(self) -> str:
        """How reports call the episode."""
        return self.sidecar.episode_id if self.sidecar else self.folder.name


@contextmanager
def reading(folder: Path) -> Iterator[BagReader]:
    """Open a bag; one that cannot be read is a refusal."""
    try:
        with BagReader(folder) as reader:
            yield reader
    except (BagError, OSError) as error:
        raise Refused("unreadable", str(error)) from None


def source_of(folder: Path, cell: Cell | None) -> Source:
    """Look at a bag; `cell` is used where the episode does not carry its own."""
    sidecar = sidecars.load(folder if folder.is_dir() else folder.parent)
    if sidecar is not None and sidecar.state == sidecars.RECORDING:
        raise Refused("unfinished", "its recorder was stopped in the midst of it")
    known = _own_cell(folder, sidecar) or cell
    if known is None:
        raise Refused("no_cell", "the episode carries no description of its cell")
    with reading(folder) as reader:
        topics = {topic.name for topic in reader.topics if topic.messages}
    prefix = _prefix(topics, known)
    cameras = [_as_recorded(camera, prefix, topics) for camera in known.cameras]
    for camera in cameras:
        if camera.slot is not None and prefix + camera.topic not in topics:
            raise Refused("topic_missing", f"camera {camera.name}: no message on {camera.topic}")
    for arm in known.arms:
        if prefix + arm.gripper.state_topic not in topics:
            raise Refused(
                "topic_missing", f"{arm.gripper_name}: no message on {arm.gripper.state_topic}"
            )
    return Source(
        folder,
        replace(known, cameras=tuple(cameras)),
        sidecar,
        prefix,
        any(a.encoding != b.encoding for a, b in zip(cameras, known.cameras, strict=True)),
    )


def _own_cell(folder: Path, sidecar: Sidecar | None) -> Cell | None:
    name = sidecar.cell_file if sidecar is not None else ""
    path = (folder if folder.is_dir() else folder.parent) / name
    if not path.is_file():
        return None
    try:
        return load_cell(path, any_name=True)
    except CellError as error:
        raise Refused("no_cell", str(error)) from None


def _prefix(topics: set[str], cell: Cell) -> str:
    """Return the namespace in which the cell's topics were recorded."""
    wanted = cell.joint_states.topic
    found = [name for name in topics if name == wanted or name.endswith(f"/{wanted}")]
    if not found:
        raise Refused("topic_missing", f"no message on {wanted}")
    return min(found, key=len).removesuffix(wanted)


def _as_recorded(camera: Camera, prefix: str, topics: set[str]) -> Camera:
    """Return the camera with the topic and encoding that the recorder has chosen."""
    compressed = camera.topic + _COMPRESSED
    if prefix + camera.topic in topics or prefix + compressed not in topics:
        return camera
    return replace(camera, topic=compressed, encoding="jpeg")
