"""What is written comes back: both versions, both kinds of pictures, through one reader."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_support import CAMERAS, FPS, frame, positions, signal_to_noise, write

from labvla_data.dataset import ACTION, IMAGES, STATE, VERSIONS, open_dataset
from labvla_data.dataset.layout import V30

LENGTHS = (40, 25, 30)


@pytest.fixture(scope="module", params=[(v, i) for v in VERSIONS for i in ("video", "png")])
def dataset(request, tmp_path_factory):
    version, images = request.param
    folder = tmp_path_factory.mktemp("dataset") / "demo"
    write(folder, version, images, LENGTHS)
    return open_dataset(folder)


def test_columns_are_equal_bit_by_bit(dataset):
    assert [len(episode) for episode in dataset] == list(LENGTHS)
    for episode in dataset:
        wanted = [frame(episode.index, k) for k in range(len(episode))]
        for name in (STATE, ACTION, "stamps"):
            assert np.array_equal(episode.column(name), [row[name] for row in wanted])
        assert episode.column("intervention").tolist() == [r["intervention"] for r in wanted]


def test_counters_run_through_all_episodes(dataset):
    index = np.concatenate([episode.column("index") for episode in dataset])
    assert index.tolist() == list(range(sum(LENGTHS)))
    for episode in dataset:
        assert episode.column("frame_index").tolist() == list(range(len(episode)))
        assert set(episode.column("episode_index")) == {episode.index}
        wanted = (np.arange(len(episode)) / FPS).astype(np.float32)
        assert np.array_equal(episode.column("timestamp"), wanted)


def test_tasks_and_subtasks(dataset):
    for episode in dataset:
        assert set(episode.tasks) == {f"pick up beaker {episode.index % 2}"}
        assert episode.subtasks == ["reach"] * 10 + ["grasp"] * (len(episode) - 10)


def test_episodes_that_share_a_table_open_it_once(tmp_path, monkeypatch):
    write(tmp_path / "demo", VERSIONS[-1], "png", LENGTHS)
    opened = []
    unwatched = pq.ParquetFile.__init__

    def watched(file, source, **others):
        opened.append(source)
        unwatched(file, source, **others)

    dataset = open_dataset(tmp_path / "demo")
    monkeypatch.setattr(pq.ParquetFile, "__init__", watched)
    for episode in dataset:
        assert len(episode.column("action")) == len(episode.tasks)
    assert opened == [dataset.entries[0].table]


def test_what_is_known_of_an_episode_is_kept(dataset):
    assert dataset.sidecar[1] == {"episode_index": 1, "operator": "ada", "outcome": "success"}


def test_pictures(dataset):
    png = not dataset.videos
    for episode in dataset:
        for number, camera in enumerate(CAMERAS):
            seen = episode.pictures(IMAGES + camera)
            assert len(seen) == len(episode)
            for k in (0, 7, len(episode) - 1, 3):
                wanted = frame(episode.index, k)[IMAGES + camera]
                if png:
                    assert np.array_equal(seen[k], wanted)
                else:
                    assert signal_to_noise(seen[k], wanted) > 30
                    # nearer to its own picture than to its neighbours': no frame is shifted
                    later = frame(episode.index, k + 2)[IMAGES + camera]
                    assert signal_to_noise(seen[k], wanted) > signal_to_noise(seen[k], later)
            assert number < len(CAMERAS)


def test_meaning_of_the_columns(dataset):
    schema = dataset.schema
    assert schema is not None
    assert schema.slots == {IMAGES + name: slot for slot, name in enumerate(CAMERAS)}
    assert schema.delta_mask == (True,) * 7 + (False,)
    assert schema.gripper_action_dims == (7,)
    stored = json.loads((dataset.folder / "meta/labvla_schema.json").read_text())
    assert stored["state_keys"] == [STATE]
    assert stored["gripper_semantic"] == "width"


def test_statistics_of_an_episode(dataset):
    stats = dataset.stats(2)
    states = np.array([positions(2, k / FPS) for k in range(LENGTHS[2])], dtype=np.float64)
    assert np.allclose(stats[STATE]["mean"], states.mean(axis=0))
    assert np.allclose(stats[STATE]["std"], states.std(axis=0))
    assert stats[STATE]["count"].tolist() == [LENGTHS[2]]
    pixels = np.array([frame(2, k)[IMAGES + "side"] for k in range(LENGTHS[2])]) / 255
    side = stats[IMAGES + "side"]
    assert side["mean"].shape == (3, 1, 1)
    assert np.allclose(side["mean"].ravel(), pixels.mean(axis=(0, 1, 2)))
    assert np.allclose(side["std"].ravel(), pixels.std(axis=(0, 1, 2)))
    assert np.allclose(side["max"].ravel(), pixels.max(axis=(0, 1, 2)))
    assert ("q50" in side) == (dataset.version == "v3.0")


@pytest.mark.parametrize("images", ["video", "png"])
def test_files_of_version_3_stay_below_their_size(tmp_path, monkeypatch, images):
    monkeypatch.setattr(V30, "DATA_MB", 0)
    monkeypatch.setattr(V30, "VIDEO_MB", 0)
    dataset = open_dataset(write(tmp_path / "split", "v3.0", images, (4, 6, 5), CAMERAS[:1]))
    assert len(list(tmp_path.rglob("data/*/file-*.parquet"))) == 3
    for episode in dataset:
        wanted = [frame(episode.index, k) for k in range(len(episode))]
        assert np.array_equal(episode.column(STATE), [row[STATE] for row in wanted])
        shown = episode.pictures(IMAGES + "front")
        assert all(
            signal_to_noise(seen, row[IMAGES + "front"]) > 30
            for seen, row in zip(shown, wanted, strict=True)
        )
