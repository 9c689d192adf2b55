"""Statistics are the same whoever computes them, and refused where too much cannot be read."""

import json

import pytest
from dataset_support import SOUND_LENGTHS
from spoiling import copied, table_of

from labvla_data.checks.stats import CANONICAL, stats
from labvla_data.dataset import STATE, DatasetError, open_dataset


def test_they_equal_those_of_the_writer(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    written = open_dataset(folder).norm_stats
    done = stats(folder, workers=2)
    assert done["stats"] == written == open_dataset(folder).norm_stats
    assert done["frames"] == sum(SOUND_LENGTHS)
    if open_dataset(folder).version == "v2.1":
        assert json.loads((folder / "meta/stats.json").read_text()) == written


def test_another_chunk(sound, tmp_path):
    out = tmp_path / "stats.json"
    before = (sound / "meta/norm_stats.json").read_bytes()
    stats(sound, chunk=10, out=out, workers=1)
    found = json.loads(out.read_text())
    assert found["_chunk_size"] == 10
    rows = sum(min(10, length - t) for length in SOUND_LENGTHS for t in range(length))
    assert found["action"]["count"] == [rows]
    assert (sound / "meta/norm_stats.json").read_bytes() == before


def test_without_quantiles(sound, tmp_path):
    found = stats(sound, quantiles=False, out=tmp_path / "stats.json", workers=1)["stats"]
    assert "q01" not in found[STATE]
    assert found[STATE]["mean"] == pytest.approx(open_dataset(sound).norm_stats[STATE]["mean"])


def test_canonical_grippers(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    stats(folder, canonical_gripper=0.04, workers=1)
    found = json.loads((folder / CANONICAL).read_text())
    for key in (STATE, "action", "action_abs"):
        assert (found[key]["q01"][7], found[key]["q99"][7]) == (0.0, 0.04)
        assert found[key]["q01"][:7] == open_dataset(folder).norm_stats[key]["q01"][:7]


def test_too_much_cannot_be_read(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    table_of(folder, 3).write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="only 250 of 310 frames can be read"):
        stats(folder, workers=1)


def test_a_schema_of_another_robot(sound, tmp_path):
    schema = json.loads((sound / "meta/labvla_schema.json").read_text())
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({**schema, "delta_mask": [True] * 13 + [False]}))
    with pytest.raises(DatasetError, match=r"its actions have 8 columns, those of the schema 14"):
        stats(sound, schema=path)
    path.write_text(json.dumps({**schema, "state_keys": ["observation.effort"]}))
    with pytest.raises(DatasetError, match=r"names observation\.effort"):
        stats(sound, schema=path)


def test_a_dataset_that_does_not_say_what_its_columns_mean(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    for name in ("labvla_manifest.json", "labvla_schema.json"):
        (folder / "meta" / name).unlink()
    with pytest.raises(DatasetError, match="name a schema file"):
        stats(folder)
    found = stats(folder, schema=sound / "meta/labvla_schema.json", workers=1)["stats"]
    assert found == open_dataset(sound).norm_stats
