"""Writes datasets: episode by episode, and all or nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from labvla_data.dataset.assembly import Assembly
from labvla_data.dataset.errors import DatasetError, writing
from labvla_data.dataset.features import Features, PictureFormat
from labvla_data.dataset.layout import VERSIONS, Version
from labvla_data.dataset.parts import DatasetSpec, Part, PartWriter
from labvla_data.dataset.robot_schema import RobotSchema, check_features
from labvla_data.dataset.video import VideoSettings
from labvla_data.files import make_safe
from labvla_data.json_files import write_json


class Workplace:
    """Where a dataset is made: beside its final place, which stays empty until all is done."""

    def __init__(self, final: Path, *, resume: bool = False) -> None:
        """Reserve the name of a dataset.

        Args:
            final: where the dataset will stand.
            resume: keep the episodes that an interrupted run has finished.
        """
        self.final = final
        self.folder = final.with_name(f"{final.name}.partial")
        self.parts = self.folder / "parts"
        self._refuse_what_stands_there()
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise DatasetError(f"{self.folder}: another process is writing this dataset") from None
        if not resume:
            shutil.rmtree(self.parts, ignore_errors=True)
        with writing(self.parts):
            self.parts.mkdir(exist_ok=True)

    def publish(
        self,
        spec: DatasetSpec,
        version: Version,
        parts: Sequence[Part],
        schema: RobotSchema | None = None,
        more: Mapping[str, Any] = {},
    ) -> Path:
        """Put the episodes together and give the dataset its name; `more` are JSON files in it."""
        fresh = self.folder / "dataset"
        with writing(fresh):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            Assembly(fresh, spec, version, schema).build(parts)
            for name, content in more.items():
                write_json(fresh / name, content)
            make_safe(fresh)
            self._refuse_what_stands_there()
            fresh.rename(self.final)
        self.remove()
        return self.final

    def remove(self) -> None:
        """Delete everything that was made on the way."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Leave; what is finished stays for the next run."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _refuse_what_stands_there(self) -> None:
        if self.final.exists() and (not self.final.is_dir() or any(self.final.iterdir())):
            raise DatasetError(
                f"{self.final}: exists already; nothing is overwritten: choose another name, or "
                "delete it first"
            )


class EpisodeWriter:
    """An episode in the making; leaving it by an error throws it away."""

    def __init__(self, part: PartWriter, task: str, metadata: Mapping[str, Any]) -> None:
        self._part, self._task = part, task
        self.metadata: dict[str, Any] = dict(metadata)
        self.finished: Part | None = None

    def add(self, frame: Mapping[str, Any], *, task: str | None = None, subtask: str = "") -> None:
        """Append a frame; `task` where its wording differs from the episode's."""
        self._part.add(frame, self._task if task is None else task, subtask)

    def __len__(self) -> int:
        return len(self._part)

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._part.abandon()
            return
        try:
            self.finished = self._part.finish(self.metadata)
        except BaseException:
            self._part.abandon()
            raise


class DatasetWriter:
    """Writes one dataset, in this process.

        with DatasetWriter(folder, features, 30, schema=of_cell(cell)) as writer:
            with writer.episode("pick up the beaker") as episode:
                episode.add({"observation.state": …, "action": …, "observation.images.front": …})

    The dataset stands under its name when the outer block is left; if that happens by an error,
    nothing does.
    """

    def __init__(
        self,
        folder: Path,
        features: Features,
        fps: int,
        *,
        version: Version = "v3.0",
        images: PictureFormat = "video",
        video: VideoSettings | None = None,
        schema: RobotSchema | None = None,
        robot_type: str = "unknown",
    ) -> None:
        """Prepare.

        Args:
            folder: where the dataset will stand; must not exist, or be empty.
            features: what every frame holds.
            fps: frames a second.
            version: of LeRobot's format.
            images: `video` for H.264, `png` for pictures bit by bit.
            video: how videos are compressed.
            schema: what the columns mean to LabVLA; adds manifest and normalisation statistics.
            robot_type: if there is no schema to say it.
        """
        if version not in VERSIONS:
            raise DatasetError(f"expected a version of {', '.join(VERSIONS)}, got {version!r}")
        self._spec = DatasetSpec(
            features,
            fps,
            images,
            video or VideoSettings(),
            schema.robot_type if schema else robot_type,
        )
        if schema is not None:
            check_features(schema, features)
        self._version, self._schema = version, schema
        self._place = Workplace(folder)
        self._episodes: list[EpisodeWriter] = []

    def episode(self, task: str, metadata: Mapping[str, Any] | None = None) -> EpisodeWriter:
        """Begin an episode."""
        folder = self._place.parts / f"{len(self._episodes):06d}"
        self._episodes.append(EpisodeWriter(PartWriter(folder, self._spec), task, metadata or {}))
        return self._episodes[-1]

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                parts = [episode.finished for episode in self._episodes if episode.finished]
                self._place.publish(self._spec, self._version, parts, self._schema)
        finally:
            self._place.remove()
