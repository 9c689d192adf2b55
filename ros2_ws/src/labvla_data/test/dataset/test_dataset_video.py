"""Videos: any frame at any time, joined without loss, in a form that others can join too."""

import av
import numpy as np
import pytest
from dataset_support import HEIGHT, WIDTH, picture

from labvla_data.dataset import DatasetError, VideoSettings
from labvla_data.dataset.video import VideoFrames, VideoWriter, join_videos, video_info


def make(path, episode, frames, fps=30):
    writer = VideoWriter(path, HEIGHT, WIDTH, fps, VideoSettings())
    for index in range(frames):
        writer.add(picture(episode, index, 0))
    writer.finish()
    return path


def all_frames(path):
    with av.open(str(path)) as file:
        return [f.to_ndarray(format="rgb24") for f in file.decode(file.streams.video[0])]


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_any_order_gives_the_same_frames(tmp_path, fps):
    path = make(tmp_path / "a.mp4", 0, 60, fps)
    wanted = all_frames(path)
    frames = VideoFrames(path, 0, 60, fps)
    for index in (59, 0, 1, 2, 30, 29, 58, -1, 5, 40):
        assert np.array_equal(frames[index], wanted[index])
    assert all(np.array_equal(a, b) for a, b in zip(frames, wanted, strict=True))
    assert [len(part) for part in (frames[10:14], frames[::20])] == [4, 3]
    with pytest.raises(IndexError):
        frames[60]


def test_time_stamps_begin_at_zero_and_keep_the_order(tmp_path):
    """What a video must be like to be joined by stream copy, as the other tools do it."""
    with av.open(str(make(tmp_path / "a.mp4", 0, 20))) as file:
        stream = file.streams.video[0]
        packets = [p for p in file.demux(stream) if p.dts is not None]
        period = 1 / 30 / stream.time_base
    assert [round(p.dts / period) for p in packets] == list(range(20))
    assert all(p.dts == p.pts for p in packets)


def test_joining_changes_no_frame(tmp_path):
    parts = [make(tmp_path / f"{n}.mp4", n, frames) for n, frames in enumerate((12, 1, 30))]
    assert join_videos(parts, tmp_path / "all.mp4", 30) == [12, 1, 30]
    wanted = [frame for part in parts for frame in all_frames(part)]
    joined = all_frames(tmp_path / "all.mp4")
    assert all(np.array_equal(a, b) for a, b in zip(joined, wanted, strict=True))
    last = VideoFrames(tmp_path / "all.mp4", 13, 30, 30)
    assert np.array_equal(last[17], wanted[30])
    assert np.array_equal(last[0], wanted[13])


def test_what_info_json_says(tmp_path):
    info = video_info(make(tmp_path / "a.mp4", 0, 5, 10))
    assert (info["video.height"], info["video.width"]) == (HEIGHT, WIDTH)
    assert (info["video.codec"], info["video.pix_fmt"]) == ("h264", "yuv420p")
    assert info["video.fps"] == 10


def test_a_video_that_ends_too_early(tmp_path):
    frames = VideoFrames(make(tmp_path / "a.mp4", 0, 5), 0, 9, 30)
    assert frames[4] is not None
    with pytest.raises(DatasetError, match="expected frame 7"):
        frames[7]
