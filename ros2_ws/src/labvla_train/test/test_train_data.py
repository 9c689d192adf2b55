"""What is learnt from a dataset, and which datasets are refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from train_support import INSTRUCTIONS, write_dataset

from labvla_data.dataset import ACTION, STATE, open_dataset
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.pipeline.vectors import make_plan
from labvla_train.batches import chunk_of
from labvla_train.demonstrations import read_demonstrations
from labvla_train.errors import TrainError
from labvla_train.frames import DecodedFrames, cached_frames
from labvla_train.samples import Order, split

CHUNK = 6


def read(folder, truth=None):
    return read_demonstrations([folder], CHUNK, truth)


def test_numbers_words_and_truth_are_those_of_the_dataset(dataset):
    found = read(dataset, "truth")
    stored = open_dataset(dataset)
    assert [len(one) for one in found.episodes] == [14, 11, 12, 13]
    assert np.array_equal(found.episodes[1].states, stored.episode(1).column(STATE))
    assert np.array_equal(found.episodes[1].actions, stored.episode(1).column(ACTION))
    assert found.episodes[2].truth[:, 0].tolist() == list(range(12))
    assert found.instructions == tuple(sorted(INSTRUCTIONS))
    assert [one.task for one in found.episodes] == ["press", "pick", "press", "pick"]


def test_slots_of_missing_cameras_are_closed(dataset):
    # The cell has a side camera between these two.
    assert read(dataset).schema.image_mapping == {
        "observation.images.front": "observation.images.image0",
        "observation.images.wrist": "observation.images.image1",
    }


def test_a_policy_may_see_fewer_cameras_in_another_order(dataset):
    assert read_demonstrations([dataset], CHUNK, None, ["wrist"]).cameras == (
        "observation.images.wrist",
    )
    assert read_demonstrations([dataset], CHUNK, None, ["wrist", "front"]).cameras == (
        "observation.images.wrist",
        "observation.images.front",
    )
    with pytest.raises(TrainError, match=r"data.cameras: expected some of front, wrist, got top"):
        read_demonstrations([dataset], CHUNK, None, ["front", "top"])


def test_several_datasets_are_learnt_from_as_one(dataset, tmp_path):
    other = write_dataset(tmp_path / "other", (9, 10))
    alone, both = read(dataset), read_demonstrations([dataset, other], CHUNK)
    assert [(one.source, one.episode) for one in both.episodes[-3:]] == [(0, 3), (1, 0), (1, 1)]
    assert both.digest not in (alone.digest, read(other).digest)
    # Statistics are those of all numbers.
    actions = np.concatenate([one.actions for one in both.episodes])
    assert both.stats.feature("action_abs").mean == pytest.approx(actions.mean(axis=0), abs=0.02)
    assert not np.array_equal(both.stats.feature(STATE).mean, alone.stats.feature(STATE).mean)


def test_datasets_that_do_not_mean_the_same_are_not_mixed(dataset, tmp_path):
    other = write_dataset(tmp_path / "other")
    info = json.loads((other / "meta/info.json").read_text())
    (other / "meta/info.json").write_text(json.dumps({**info, "fps": 15}))
    with pytest.raises(
        TrainError, match=r"other: data.also: frames a second: expected 30.* got 15"
    ):
        read_demonstrations([dataset, other], CHUNK)


def test_deltas_are_measured_over_the_policys_own_chunk(dataset):
    found = read(dataset)
    assert found.stats.chunk_size == CHUNK
    assert open_dataset(dataset).norm_stats["_chunk_size"] != CHUNK


def test_rows_are_relative_to_the_measured_state_and_the_gripper_is_not(dataset):
    found = read(dataset)
    config = ModelConfig(chunk_size=CHUNK, n_action_steps=CHUNK, gripper_action_dims=(7,))
    plan = make_plan(config, found.schema, found.stats)
    one = found.episodes[0]
    actions, _ = chunk_of(one.actions, 3, CHUNK, held=False)
    rows = plan.denormalised(plan.network_actions(actions, one.states[3]))
    assert np.allclose(rows[:, :7], one.actions[3:9, :7] - one.states[3, :7], atol=1e-5)
    assert np.allclose(rows[:, 7], one.actions[3:9, 7], atol=1e-5)


def test_beyond_the_end_rows_are_masked_or_stand_still():
    actions = np.arange(10, dtype=np.float32)[:, None]
    rows, beyond = chunk_of(actions, 7, 5, held=False)
    assert rows.ravel().tolist() == [7, 8, 9, 9, 9]
    assert beyond.tolist() == [False, False, False, True, True]
    assert not chunk_of(actions, 7, 5, held=True)[1].any()


def without_manifest(folder):
    for name in ("labvla_manifest.json", "labvla_schema.json"):
        (folder / "meta" / name).unlink()


def without_stats(folder):
    (folder / "meta" / "norm_stats.json").unlink()


def with_stats_of_other_episodes(folder):
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stats_invalidated": True}))


def with_another_camera_in_the_schema(folder):
    path = folder / "meta" / "labvla_manifest.json"
    manifest = json.loads(path.read_text())
    images = {"observation.images.top": "observation.images.image0"}
    path.write_text(json.dumps(manifest | {"images": images}))


def with_wider_actions_in_the_schema(folder):
    path = folder / "meta" / "labvla_manifest.json"
    manifest = json.loads(path.read_text())
    manifest["action"] |= {"dims": [9], "delta": [True] * 8 + [False], "gripper_dims": [8]}
    path.write_text(json.dumps(manifest | {"arm_layout": {}}))


def with_nan(folder):
    path = next((folder / "data").rglob("*.parquet"))
    table = pq.read_table(path)
    states = table.column(STATE).to_pylist()
    states[3][2] = float("nan")
    place = table.schema.get_field_index(STATE)
    column = pa.array(states, table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (with_nan, "episode 0: observation.state: holds NaN or infinity in frame 3"),
        (without_manifest, "expected meta/labvla_manifest.json"),
        (without_stats, "it has no statistics: run `labvla data stats`"),
        (with_stats_of_other_episodes, "episodes were taken out since its statistics were made"),
        (with_another_camera_in_the_schema, "expected pictures observation.images.top"),
        (with_wider_actions_in_the_schema, "action: expected 9 columns, got 8"),
    ],
)
def test_datasets_that_would_teach_something_wrong_are_refused(tmp_path, spoil, complaint):
    folder = write_dataset(tmp_path / "demos", (8, 8))
    spoil(folder)
    with pytest.raises(TrainError, match=complaint):
        read(folder)


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(TrainError, match="expected a dataset"):
        read(tmp_path)


def test_a_truth_that_nobody_knows_is_refused(tmp_path):
    folder = write_dataset(tmp_path / "demos", (8, 8), truth=False)
    with pytest.raises(TrainError, match=r"auxiliary.column: expected one of .*, got truth"):
        read(folder, "truth")


def test_whole_episodes_are_held_out():
    parts = split([10, 20, 30, 40], stride=3, share=0.25, seed=5)
    learnt, held = ({one.demonstration for one in part} for part in (parts.learnt, parts.held_out))
    assert len(held) == 1
    assert not learnt & held
    assert {one.frame % 3 for one in parts.learnt} == {0}
    with pytest.raises(TrainError, match="all of them are held out"):
        split([10], 1, 1.0, 0)


def test_every_sample_is_learnt_once_before_any_is_learnt_again():
    order = Order(10, batch=4, seed=1)
    seen = np.concatenate([order.of_step(step) for step in range(5)])
    assert sorted(seen[:10]) == list(range(10)) == sorted(seen[10:])
    assert not np.array_equal(seen[:10], seen[10:])
    # A run that goes on asks for step 3 first.
    assert np.array_equal(Order(10, 4, 1).of_step(3), order.of_step(3))


def test_cached_pictures_are_the_decoded_ones(dataset, tmp_path):
    opened = open_dataset(dataset)
    cameras = ("observation.images.front", "observation.images.wrist")
    decoded = DecodedFrames(opened, cameras)
    cached = cached_frames(opened, cameras, 2, tmp_path / "cache", workers=1)
    for episode, frame in ((0, 0), (1, 4), (3, 12)):
        assert np.array_equal(cached(episode, frame), decoded(episode, frame))


def test_a_cache_goes_on_where_it_was_interrupted(dataset, tmp_path):
    opened, folder = open_dataset(dataset), tmp_path / "cache"
    cameras = ("observation.images.front",)
    whole = cached_frames(opened, cameras, 2, folder, workers=1)(2, 4)
    done = np.fromfile(folder / "episodes.done", dtype=np.uint8)
    done[2] = 0  # as if it had ended before
    done.tofile(folder / "episodes.done")
    told = []
    cached_frames(opened, cameras, 2, folder, workers=1, progress=lambda *of: told.append(of))
    assert told == [(0, 1), (1, 1)]
    assert np.array_equal(cached_frames(opened, cameras, 2, folder)(2, 4), whole)


def test_a_cache_of_other_pictures_is_refused(dataset, tmp_path):
    opened, cameras = open_dataset(dataset), ("observation.images.front",)
    cached_frames(opened, cameras, 2, tmp_path / "cache", workers=1)
    with pytest.raises(TrainError, match="its pictures are of other data"):
        cached_frames(opened, cameras, 3, tmp_path / "cache", workers=1)
