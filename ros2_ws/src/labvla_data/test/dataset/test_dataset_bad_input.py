"""Whatever cannot be stored or read is refused with its name."""

import json

import numpy as np
import pytest
from dataset_support import features, frame, write

from labvla_data.dataset import (
    ACTION,
    IMAGES,
    STATE,
    Column,
    DatasetError,
    DatasetWriter,
    Picture,
    VideoSettings,
    of_cell,
    open_dataset,
)
from labvla_policy.runtime.cell import load_cell

FRONT = IMAGES + "front"
PLAIN = {STATE: Column("float32", ("a", "b"))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({STATE: np.zeros(7, np.float32)}, "observation.state: expected 8 numbers"),
        ({STATE: np.full(8, np.nan)}, "fr3_joint1 is nan"),
        ({ACTION: np.array(["a"] * 8)}, "action: expected float32"),
        ({"stamps": np.zeros(2)}, "stamps: expected int64"),
        ({FRONT: np.zeros((96, 128), np.uint8)}, "expected uint8 pixels of"),
        ({FRONT: np.zeros((96, 128, 3), np.float32)}, "expected uint8 pixels of"),
        ({"stranger": 1}, "not known: stranger"),
        ({FRONT: None}, "missing: observation.images.front"),
    ],
)
def test_frames(tmp_path, change, message):
    cameras = ("front",)
    changed = {**frame(0, 0, cameras), **change}
    bad = {name: value for name, value in changed.items() if value is not None}
    with (
        pytest.raises(DatasetError, match=message),
        DatasetWriter(tmp_path / "demo", features(cameras), 30) as writer,
        writer.episode("x") as episode,
    ):
        episode.add(bad)


@pytest.mark.parametrize(
    ("described", "options", "message"),
    [
        ({}, {}, "at least one feature"),
        ({"a/b": Column("float32", ("x",))}, {}, "without '/'"),
        ({**PLAIN, "timestamp": Column("float32", ("t",))}, {}, "fills it itself"),
        ({**PLAIN, "image_quality": Column("float32", ("q",))}, {}, "'image' may only be"),
        ({**PLAIN, FRONT: Picture(95, 128)}, {}, "even width and height"),
        ({STATE: Column("float32", ("a", "a"))}, {}, "names of their own"),
        (PLAIN, {"fps": 29.97}, "whole number"),
        (PLAIN, {"fps": 0}, "whole number"),
        (PLAIN, {"version": "v1.6"}, "expected a version of v2.1, v3.0"),
        (PLAIN, {"schema": of_cell(load_cell("franka"))}, "the schema expects 8 columns"),
    ],
)
def test_features(tmp_path, described, options, message):
    with pytest.raises(DatasetError, match=message):
        DatasetWriter(tmp_path / "demo", described, **{"fps": 30, **options})
    assert list(tmp_path.iterdir()) == []


def test_an_odd_size_is_no_trouble_for_png(tmp_path):
    described = {**PLAIN, FRONT: Picture(5, 7)}
    with (
        DatasetWriter(tmp_path / "demo", described, 30, images="png") as writer,
        writer.episode("x") as episode,
    ):
        episode.add({STATE: np.zeros(2), FRONT: np.full((5, 7, 3), 9, np.uint8)})
    assert open_dataset(tmp_path / "demo").episode(0).pictures(FRONT)[0].shape == (5, 7, 3)


def test_an_episode_too_long_for_its_time_stamps(tmp_path):
    still = {STATE: np.zeros(2)}
    with (
        DatasetWriter(tmp_path / "demo", PLAIN, 1) as writer,
        writer.episode("x") as episode,
    ):
        for _ in range(1024):
            episode.add(still)
        with pytest.raises(DatasetError, match="could no longer tell frames apart"):
            episode.add(still)


def test_no_dataset_there(tmp_path):
    with pytest.raises(DatasetError, match=r"expected a dataset with meta/info\.json"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v1.6"}, "expected version 2 or 3"),
        ({"fps": None}, "expected fps above 0"),
        ({"features": None}, "expected features by name"),
        ({"features": {"action": {}}}, "cannot be read"),
    ],
)
def test_an_index_that_makes_no_sense(tmp_path, change, message):
    write(tmp_path / "demo", "v2.1", lengths=(2,), cameras=())
    path = tmp_path / "demo/meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path / "demo")


def test_a_line_that_is_cut_off(tmp_path):
    write(tmp_path / "demo", "v2.1", lengths=(2, 2), cameras=())
    path = tmp_path / "demo/meta/episodes.jsonl"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DatasetError, match=r"episodes\.jsonl:2"):
        open_dataset(tmp_path / "demo")


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_missing_column_picture_or_episode(tmp_path, version):
    dataset = open_dataset(write(tmp_path / "demo", version, lengths=(2,), cameras=()))
    with pytest.raises(DatasetError, match="expected the columns effort"):
        dataset.episode(0).column("effort")
    with pytest.raises(DatasetError, match="expected pictures"):
        dataset.episode(0).pictures(FRONT)
    with pytest.raises(DatasetError, match="there is no episode 7"):
        dataset.episode(7)


def test_a_damaged_video(tmp_path):
    dataset = open_dataset(write(tmp_path / "demo", "v2.1", lengths=(9,), cameras=("front",)))
    video = next(tmp_path.rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[:-400])
    with pytest.raises(DatasetError, match=r"episode_000000\.mp4"):
        list(dataset.episode(0).pictures(FRONT))
    video.write_bytes(b"")
    with pytest.raises(DatasetError, match="expected a video"):
        dataset.episode(0).pictures(FRONT)[0]


def test_video_settings_reach_the_encoder(tmp_path):
    sizes = []
    for crf in (10, 40):
        with (
            DatasetWriter(
                tmp_path / f"{crf}", features(("front",)), 30, video=VideoSettings(crf=crf)
            ) as writer,
            writer.episode("x") as episode,
        ):
            for index in range(10):
                episode.add(frame(0, index, ("front",)))
        sizes.append(next((tmp_path / f"{crf}").rglob("*.mp4")).stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]
