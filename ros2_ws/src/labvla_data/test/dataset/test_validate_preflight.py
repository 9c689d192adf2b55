"""Validators and preflight: each stands in the way for its own reason, and for no other."""

import json
from dataclasses import replace

import numpy as np
import pytest
from dataset_support import CELL
from spoiling import (
    change_column,
    change_info,
    change_video,
    copied,
    drop_column,
    drop_rows,
    table_of,
    video_of,
)

from labvla_data.checks.clean import clean
from labvla_data.checks.preflight import Plan, preflight
from labvla_data.checks.validate import validate
from labvla_data.dataset import IMAGES, open_dataset
from labvla_data.dataset.robot_schema import of_cell
from labvla_policy.runtime.cell import load_cell

FRONT = IMAGES + "front"


def issues(report):
    return {(issue["check"], issue["severity"]) for issue in report["issues"]}


def test_a_sound_dataset(sound):
    assert validate(sound) == {"root": str(sound), "ok": True, "issues": []}
    report = preflight([sound], Plan(cell=CELL))
    assert report["ok"]
    assert report["issues"] == []


def other_rate(folder):
    change_video(folder, 0, FRONT, lambda frames: frames, fps=20)


def other_times(folder):
    change_column(folder, 0, "timestamp", lambda v: v * 1.5)


@pytest.mark.parametrize(
    ("spoil", "found", "ok"),
    [
        (lambda f: change_info(f, fps=None), {("fps_consistency", "HIGH")}, False),
        (lambda f: change_info(f, fps=-1), {("fps_consistency", "HIGH")}, False),
        (other_rate, {("fps_consistency", "MED")}, True),
        (other_times, {("fps_consistency", "MED")}, True),
        (lambda f: drop_column(f, 0, "timestamp"), {("timestamp_column", "MED")}, True),
        (lambda f: table_of(f, 0).write_bytes(b""), {("frame_count", "HIGH")}, False),
        (lambda f: video_of(f, 0, FRONT).write_bytes(b""), {("frame_count", "HIGH")}, False),
        (lambda f: drop_rows(f, 0, 3), {("frame_count", "grave")}, None),
        (lambda f: change_video(f, 0, FRONT, lambda v: v[:-4]), {("frame_count", "grave")}, None),
        (lambda f: change_video(f, 0, FRONT, lambda v: v[:-1]), {("frame_count", "LOW")}, True),
    ],
)
def test_validators(sound, tmp_path, spoil, found, ok):
    folder = copied(sound, tmp_path / "demo")
    spoil(folder)
    grave = "HIGH" if open_dataset(sound).version == "v2.1" else "MED"
    report = validate(folder)
    assert issues(report) == {(check, grave if s == "grave" else s) for check, s in found}
    assert report["ok"] == (ok if ok is not None else grave == "MED")


def test_no_table_at_all(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    for path in (folder / "data").rglob("*.parquet"):
        path.unlink()
    assert ("timestamp_column", "HIGH") in issues(validate(folder))


def without_stats(folder):
    (folder / "meta/norm_stats.json").unlink()


def changed_stats(change):
    def spoil(folder):
        path = folder / "meta/norm_stats.json"
        stats = json.loads(path.read_text())
        change(stats)
        path.write_text(json.dumps(stats))

    return spoil


def changed_manifest(change):
    def spoil(folder):
        path = folder / "meta/labvla_manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return spoil


def wrong_total(folder):
    change_info(folder, total_frames=12)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (without_stats, "no normalisation statistics"),
        (wrong_total, "info.json says 12 frames"),
        (changed_stats(lambda s: s.pop("action")), "lack action"),
        (changed_stats(lambda s: s["action"].pop("q99")), "lack action.q99"),
        (changed_stats(lambda s: s.update(_chunk_size=10)), "chunks of 10 rows"),
        (changed_stats(lambda s: s["action"]["std"].pop()), "action.std has 7 numbers"),
        (changed_stats(lambda s: s["action"].update(q01=[float("nan")] * 8)), "is not finite"),
        (changed_manifest(lambda m: m["state"].update(keys=["effort"])), "names effort"),
        (changed_manifest(lambda m: m["action"].update(delta=[True])), "a delta mask of 1"),
        (
            changed_manifest(lambda m: m["images"].update({IMAGES + "top": "x.image2"})),
            "maps observation.images.top",
        ),
        (changed_manifest(lambda m: m.update(version=7)), "expected version 1"),
        (lambda f: (f / "meta/info.json").write_text("{"), "expected JSON"),
    ],
)
def test_preflight_refuses(sound, tmp_path, spoil, text):
    folder = copied(sound, tmp_path / "demo")
    spoil(folder)
    report = preflight([folder], Plan())
    assert not report["ok"]
    assert text in report["issues"][0]["detail"]
    assert report["issues"][0]["severity"] == "HIGH"


def test_statistics_of_dropped_episodes(sound, tmp_path):
    clean(sound, tmp_path / "copy", [0], workers=1)
    report = preflight([tmp_path / "copy"], Plan())
    assert "run `labvla data stats`" in report["issues"][0]["detail"]
    external = {"copy": sound / "meta/norm_stats.json"}
    assert preflight([tmp_path / "copy"], Plan(external_stats=external))["ok"]


def test_absolute_actions_need_their_own_statistics(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    changed_stats(lambda s: s.pop("action_abs"))(folder)
    assert preflight([folder], Plan("delta"))["ok"]
    assert not preflight([folder], Plan("abs"))["ok"]


def test_a_column_that_would_explode(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")

    def still(stats):
        stats["action"]["std"][2] = 1e-7

    changed_stats(still)(folder)
    assert issues(preflight([folder], Plan())) == {("stats", "MED")}


def test_datasets_that_do_not_go_together(sound, tmp_path):
    other = copied(sound, tmp_path / "other")
    changed_manifest(lambda m: m["action"].update(dims=[14]))(other)
    report = preflight([sound, other], Plan())
    assert any("other widths" in issue["detail"] for issue in report["issues"])
    other = copied(sound, tmp_path / "velocity")
    changed_manifest(lambda m: m.update(gripper_semantic="velocity"))(other)
    report = preflight([sound, other], Plan())
    assert any("mean different things" in issue["detail"] for issue in report["issues"])


def test_the_cell_of_the_dataset(sound):
    assert issues(preflight([sound], Plan(cell=load_cell("dual_arm")))) >= {("cell", "HIGH")}
    ur5e = preflight([sound], Plan(cell=load_cell("ur5e")))
    assert any("other names" in issue["detail"] for issue in ur5e["issues"])
    faster = replace(CELL, policy=replace(CELL.policy, row_rate=15.0))
    assert any(
        "another speed" in i["detail"] for i in preflight([sound], Plan(cell=faster))["issues"]
    )


def test_joints_in_another_order(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    info = json.loads((folder / "meta/info.json").read_text())
    names = info["features"]["action"]["names"]
    names[0], names[1] = names[1], names[0]
    change_info(folder, features=info["features"])
    report = preflight([folder], Plan(cell=CELL))
    assert not report["ok"]
    assert "another order" in report["issues"][0]["detail"]


def test_every_cell_has_a_schema():
    for name in ("franka", "ur5e", "dual_arm", "dual_franka"):
        schema = of_cell(load_cell(name))
        assert len(schema.delta_mask) == sum(schema.action_dims)
        assert not any(np.array(schema.delta_mask)[list(schema.gripper_action_dims)])
