"""The copy holds exactly the episodes that were kept, and says what no longer holds."""

import json

import numpy as np
import pytest
from dataset_support import SOUND_LENGTHS, frame, write

from labvla_data.checks.clean import clean
from labvla_data.checks.scan import scan
from labvla_data.checks.stats import stats
from labvla_data.dataset import ACTION, IMAGES, STATE, DatasetError, open_dataset

FRONT = IMAGES + "front"


@pytest.fixture(scope="module", params=["alone", "shared"])
def dataset(request, sound, tmp_path_factory):
    """Episodes in files of their own, and several in one."""
    if request.param == "alone":
        return sound
    version = open_dataset(sound).version
    return write(tmp_path_factory.mktemp("shared") / "demo", version, lengths=SOUND_LENGTHS)


@pytest.mark.parametrize("drop", [(), (0,), (5,), (1, 2, 4), (0, 1, 2, 3, 4)])
def test_kept_episodes_are_as_they_were(dataset, tmp_path, drop):
    clean(dataset, tmp_path / "copy", drop, workers=1)
    before, after = open_dataset(dataset), open_dataset(tmp_path / "copy")
    kept = [number for number in range(len(SOUND_LENGTHS)) if number not in drop]
    assert [entry.index for entry in after.entries] == list(range(len(kept)))
    assert after.info["total_frames"] == sum(SOUND_LENGTHS[number] for number in kept)
    index = []
    for new, old in enumerate(kept):
        one, other = before.episode(old), after.episode(new)
        assert len(one) == len(other) == other.stored_length
        for name in (STATE, ACTION, "stamps", "intervention", "timestamp", "frame_index"):
            assert np.array_equal(one.column(name), other.column(name))
        assert one.tasks == other.tasks
        assert one.subtasks == other.subtasks
        assert np.array_equal(one.pictures(FRONT)[-1], other.pictures(FRONT)[-1])
        assert set(other.column("episode_index")) == {new}
        index += other.column("index").tolist()
        assert after.sidecar[new]["episode_index_before"] == old
        numbers = after.stats(new)
        assert numbers["episode_index"]["mean"].tolist() == [new]
        assert numbers["index"]["min"].tolist() == [index[-len(one)]]
        assert np.allclose(numbers[STATE]["mean"], before.stats(old)[STATE]["mean"])
    assert index == list(range(len(index)))
    assert scan(tmp_path / "copy", workers=1)["bad_episodes"] == []


def test_videos_are_links(dataset, tmp_path):
    clean(dataset, tmp_path / "copy", [1], workers=1)
    videos = list((tmp_path / "copy").rglob("*.mp4"))
    assert videos
    assert all(video.is_symlink() and video.resolve().is_relative_to(dataset) for video in videos)


def test_statistics_are_invalid_until_they_are_computed_anew(dataset, tmp_path):
    copy = tmp_path / "copy"
    done = clean(dataset, copy, [1, 3], workers=1)
    assert done["stats_invalidated"]
    assert open_dataset(copy).stats_invalidated
    assert open_dataset(copy).norm_stats is None
    assert (copy / "meta/stats.invalidated.json").exists()
    stats(copy, workers=1)
    repaired = open_dataset(copy)
    assert not repaired.stats_invalidated
    assert not (copy / "meta/stats.invalidated.json").exists()
    frames = sum(SOUND_LENGTHS[n] for n in (0, 2, 4, 5))
    assert repaired.norm_stats[STATE]["count"] == [frames]


def test_the_statistics_of_all_are_pooled_anew(dataset, tmp_path):
    if open_dataset(dataset).version != "v3.0":
        pytest.skip("version 2.1 pools them when it is loaded")
    clean(dataset, tmp_path / "copy", [0, 4], workers=1)
    kept = [n for n in range(len(SOUND_LENGTHS)) if n not in (0, 4)]
    states = np.array([frame(n, k, ())[STATE] for n in kept for k in range(SOUND_LENGTHS[n])])
    pooled = json.loads((tmp_path / "copy/meta/stats.json").read_text())[STATE]
    assert np.allclose(pooled["mean"], states.mean(axis=0), atol=1e-6)
    assert np.allclose(pooled["std"], states.std(axis=0), atol=1e-6)


def test_statistics_may_be_kept(dataset, tmp_path):
    done = clean(dataset, tmp_path / "copy", [1], preserve_stats=True, workers=1)
    assert not done["stats_invalidated"]
    kept = open_dataset(tmp_path / "copy")
    assert kept.norm_stats == open_dataset(dataset).norm_stats


def test_several_processes_write_the_same(dataset, tmp_path):
    for name, workers in (("one", 1), ("more", 3)):
        clean(dataset, tmp_path / name, [2], workers=workers)
    tables = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in find(tmp_path / name)}
        for name in ("one", "more")
    ]
    assert tables[0] == tables[1]


def find(folder):
    return sorted((folder / "data").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("drop", "message"),
    [([17], "there are no episodes"), (range(6), "nothing is left")],
)
def test_what_cannot_be_done(dataset, tmp_path, drop, message):
    with pytest.raises(DatasetError, match=message):
        clean(dataset, tmp_path / "copy", drop)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_replaced_only_when_asked(dataset, tmp_path):
    clean(dataset, tmp_path / "copy", [], workers=1)
    with pytest.raises(DatasetError, match="exists already"):
        clean(dataset, tmp_path / "copy", [1], workers=1)
    assert len(open_dataset(tmp_path / "copy")) == len(SOUND_LENGTHS)
    clean(dataset, tmp_path / "copy", [1], replace=True, workers=1)
    assert len(open_dataset(tmp_path / "copy")) == len(SOUND_LENGTHS) - 1
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
