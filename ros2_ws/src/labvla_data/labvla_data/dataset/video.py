"""H.264 in MP4: written frame by frame, joined without encoding anew, read lazily.

Frame k of a video has the time stamp k / fps exactly. There are no B-frames: packets are then
stored in the order in which they are shown, the first one at zero, which is what makes videos safe
to join and their frames safe to find by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from labvla_data.dataset.errors import DatasetError, writing

Pixels = NDArray[np.uint8]
CODEC = "libx264"
_PIXEL_FORMAT = "yuv420p"  # what every decoder of browsers and training code can read


@dataclass(frozen=True)
class VideoSettings:
    """How pictures are compressed."""

    crf: int = 20  # quality: 0 without loss, 51 worst; 20 is hard to tell from the original
    preset: str = "veryfast"
    # Training reads single frames: a frame costs the decoding of all since its key frame.
    keyframe_interval: int = 5
    threads: int = 1  # episodes are encoded side by side, one process each


class VideoWriter:
    """A video in the making."""

    def __init__(
        self, path: Path, height: int, width: int, fps: int, settings: VideoSettings
    ) -> None:
        self.path = path
        self._frames = 0
        options = {
            "crf": str(settings.crf),
            "preset": settings.preset,
            "g": str(settings.keyframe_interval),
            "bf": "0",
        }
        with writing(path):
            # The index goes to the front, so that a reader need not fetch the whole file.
            self._file = av.open(str(path), "w", options={"movflags": "+faststart"})
            stream: Any = self._file.add_stream(CODEC, rate=fps, options=options)
            stream.height, stream.width, stream.pix_fmt = height, width, _PIXEL_FORMAT
            stream.codec_context.thread_count = settings.threads
            self._stream = stream

    def add(self, pixels: Pixels) -> None:
        """Append a picture, red first."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = self._frames
        self._frames += 1
        with writing(self.path):
            self._file.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is still in the encoder, and the index."""
        with writing(self.path):
            self._file.mux(self._stream.encode(None))
            self._file.close()

    def abandon(self) -> None:
        """Let go of the file without making a video of it."""
        with suppress(OSError):  # it is thrown away: what does not fit on the disk is no loss
            self._file.close()


def video_info(path: Path) -> dict[str, object]:
    """Return what `info.json` says about a video, in the keys of both versions."""
    with opened(path) as file:
        stream = file.streams.video[0]
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec_context.codec.canonical_name,
            "video.pix_fmt": stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": int(stream.base_rate or 0),
            "video.channels": 3,
            "has_audio": False,
        }


def opened(path: Path) -> Any:
    """Open a video for reading, or say why that cannot be done."""
    try:
        file = av.open(str(path), "r")
    except (OSError, av.error.FFmpegError) as error:
        raise DatasetError(f"{path}: expected a video, got: {error}") from None
    if not file.streams.video:
        file.close()
        raise DatasetError(f"{path}: expected a video, got a file without a video stream")
    return file


def join_videos(parts: Sequence[Path], joined: Path, fps: int) -> list[int]:
    """Write videos one after the other into one, packets untouched; return each one's frames."""
    counts: list[int] = []
    with writing(joined), av.open(str(joined), "w", options={"movflags": "+faststart"}) as output:
        stream: Any = None
        for path in parts:
            with opened(path) as source:
                template = source.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(template)
                    stream.time_base = template.time_base
                ticks = Fraction(1, fps) / template.time_base
                shift, frames = round(sum(counts) * ticks), 0
                for packet in source.demux(template):
                    if packet.dts is None:
                        continue  # the end of the stream
                    packet.dts += shift
                    packet.pts += shift
                    packet.stream = stream
                    output.mux(packet)
                    frames += 1
                counts.append(frames)
    return counts


class VideoFrames(Sequence[Pixels]):
    """The frames of one episode in a video; each is decoded when it is asked for."""

    def __init__(self, path: Path, first: int, count: int, fps: float) -> None:
        self.path = path
        self._first, self._count, self._fps = first, count, fps
        self._file: Any = None
        self._decoder: Iterator[Any] = iter(())
        self._next = -1  # the frame that the decoder will give next

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        index = index + self._count if index < 0 else index
        if not 0 <= index < self._count:
            raise IndexError(f"{self.path}: frame {index} of {self._count}")
        return self._frame(self._first + index, "rgb24")

    def grey(self) -> Iterator[Pixels]:
        """Yield all frames in shades of grey, height x width: cheaper than in colour."""
        for index in range(self._count):
            yield self._frame(self._first + index, "gray")

    def close(self) -> None:
        """Let go of the file; the next access opens it again."""
        if self._file is not None:
            self._file.close()
        self._file, self._next = None, -1

    def _frame(self, wanted: int, form: str) -> Pixels:
        if self._file is None:
            self._file = opened(self.path)
        stream = self._file.streams.video[0]
        try:
            if not 0 <= self._next <= wanted or wanted - self._next > self._worth_seeking:
                self._file.seek(self._pts(wanted, stream), stream=stream)
                self._decoder = self._file.decode(stream)
            for frame in self._decoder:
                number = round(float(frame.pts * stream.time_base) * self._fps)
                self._next = number + 1
                if number == wanted:
                    return np.asarray(frame.to_ndarray(format=form), dtype=np.uint8)
                if number > wanted:
                    break
        except (OSError, av.error.FFmpegError) as error:
            self.close()
            raise DatasetError(f"{self.path}: frame {wanted}: {error}") from None
        self.close()
        raise DatasetError(f"{self.path}: expected frame {wanted}, but the video does not have it")

    # Decoding a few frames in passing is cheaper than looking for a key frame anew.
    _worth_seeking = 20

    def _pts(self, frame: int, stream: Any) -> int:
        ticks: Fraction = Fraction(frame) / Fraction(self._fps) / stream.time_base
        return round(ticks)
