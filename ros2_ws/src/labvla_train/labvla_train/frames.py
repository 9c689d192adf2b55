"""The pictures of samples: decoded anew each time, or once into a file of raw bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labvla_data.dataset import Dataset, DatasetError, open_dataset
from labvla_data.json_files import JsonFileError, read_json, write_json
from labvla_data.parallel import Progress, run_parallel, silent
from labvla_train.errors import TrainError

Pixels = NDArray[np.uint8]

_BYTES, _DONE, _MEANING = "frames.raw", "episodes.done", "frames.json"


class Frames(Protocol):
    """Where pictures come from."""

    def __call__(self, episode: int, frame: int) -> list[Pixels]:
        """Return one picture for each camera, height x width x 3, red first."""
        ...


class DecodedFrames:
    """Decodes each picture when it is wanted: for pictures that no disk could hold as they are."""

    def __init__(self, dataset: Dataset, cameras: Sequence[str]) -> None:
        self._dataset, self._cameras = dataset, cameras
        self._opened = lru_cache(maxsize=64)(self._open)

    def __call__(self, episode: int, frame: int) -> list[Pixels]:
        """Decode."""
        try:
            return [np.asarray(pictures[frame]) for pictures in self._opened(episode)]
        except (DatasetError, IndexError) as error:
            raise TrainError(f"episode {episode}, frame {frame}: {error}") from None

    def _open(self, episode: int) -> list[Sequence[Pixels]]:
        one = self._dataset.episode(episode)
        return [one.pictures(camera) for camera in self._cameras]


@dataclass(frozen=True)
class _Task:
    """One episode to be decoded."""

    dataset: Path
    cache: Path
    cameras: tuple[str, ...]
    shape: tuple[int, ...]  # of the whole file
    place: int  # of the episode among all
    episode: int
    frames: tuple[int, ...]
    first: int  # entry of the file in which they begin


class CachedFrames:
    """Reads raw bytes from a file that is made once; an interrupted making goes on."""

    def __init__(self, folder: Path, stride: int, firsts: dict[int, int], shape: Any) -> None:
        self._stride, self._firsts = stride, firsts
        self._pixels = np.memmap(folder / _BYTES, dtype=np.uint8, mode="r", shape=shape)

    def __call__(self, episode: int, frame: int) -> list[Pixels]:
        """Copy out of the file."""
        row = np.array(self._pixels[self._firsts[episode] + frame // self._stride])
        return list(row)


def cached_frames(
    dataset: Dataset,
    cameras: Sequence[str],
    stride: int,
    folder: Path,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> CachedFrames:
    """Make the file where it is not there or not finished, and open it."""
    sizes = {
        (dataset.pictures[camera].height, dataset.pictures[camera].width) for camera in cameras
    }
    if len(sizes) != 1:
        raise TrainError(
            f"{dataset.folder}: data.frames: cached needs pictures of one size, got {sizes}; "
            "use decoded"
        )
    [(height, width)] = sizes
    starts = {entry.index: tuple(range(0, entry.length, stride)) for entry in dataset.entries}
    counts = np.array([len(frames) for frames in starts.values()])
    firsts = dict(zip(starts, (np.cumsum(counts) - counts).tolist(), strict=True))
    shape = (int(counts.sum()), len(cameras), height, width, 3)
    _claim(folder, dataset, cameras, stride, shape)
    done = np.fromfile(folder / _DONE, dtype=np.uint8)
    tasks = [
        _Task(dataset.folder, folder, tuple(cameras), shape, place, number, frames, firsts[number])
        for place, (number, frames) in enumerate(starts.items())
        if not done[place]
    ]
    for _ in run_parallel(_decode, tasks, workers, progress):
        pass
    return CachedFrames(folder, stride, firsts, shape)


def _claim(
    folder: Path, dataset: Dataset, cameras: Sequence[str], stride: int, shape: tuple[int, ...]
) -> None:
    """Begin the file, or refuse one that was made of something else."""
    meaning = {
        "dataset": str(dataset.folder.resolve()),
        "episodes": len(dataset),
        "frames": dataset.frames,
        "cameras": list(cameras),
        "stride": stride,
        "shape": list(shape),
    }
    try:
        found = read_json(folder / _MEANING) if (folder / _MEANING).exists() else None
    except JsonFileError as error:
        raise TrainError(str(error)) from None
    if found is not None:
        if found != meaning:
            raise TrainError(
                f"{folder}: its pictures are of other data ({found}); delete it, or name another "
                "place with data.cache"
            )
        return
    size = int(np.prod(shape))
    folder.mkdir(parents=True, exist_ok=True)
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if size > free:
        raise TrainError(
            f"{folder}: expected room for {size / 1e9:.1f} GB of pictures, there are "
            f"{free / 1e9:.1f} GB; use a larger data.stride, another data.cache, or data.frames: "
            "decoded"
        )
    with (folder / _BYTES).open("wb") as file:
        file.truncate(size)
    np.zeros(len(dataset), dtype=np.uint8).tofile(folder / _DONE)
    write_json(folder / _MEANING, meaning)


@lru_cache(maxsize=1)
def _dataset(folder: Path) -> Dataset:
    return open_dataset(folder)


def _decode(task: _Task) -> None:
    source = DecodedFrames(_dataset(task.dataset), task.cameras)
    pixels = np.memmap(task.cache / _BYTES, dtype=np.uint8, mode="r+", shape=task.shape)
    for entry, frame in enumerate(task.frames, task.first):
        pixels[entry] = source(task.episode, frame)
    pixels.flush()
    with (task.cache / _DONE).open("r+b") as file:
        file.seek(task.place)
        file.write(b"\1")
