"""`labvla bench sim`: its result is complete, and who is compared does the same work."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from labvla_bringup import cli

ROOT = Path(__file__).resolve().parents[4]
sys.path.append(str(ROOT))

from benchmarks.sim.naive import NaiveLoop  # noqa: E402
from benchmarks.sim.timing import least  # noqa: E402
from labvla_bringup.bench_cell import bench_cell  # noqa: E402
from labvla_policy.runtime.cell import load_cell  # noqa: E402
from labvla_sim.plant import CellRenderer, SimCell  # noqa: E402
from labvla_sim.tasks import Trial  # noqa: E402


@pytest.fixture(scope="module")
def cell():
    return bench_cell(load_cell("franka"))


@pytest.fixture
def snapshot(cell):
    trial = Trial(SimCell(cell))
    trial.reset("pick", 0)
    return trial.sim.snapshot()


def test_every_work_has_its_turn_in_every_round():
    done = []
    works = {name: lambda times, name=name: done.append((name, times)) for name in "ab"}
    seconds = least(works, 5, 3)
    assert done == [("a", 1), ("b", 1), *[("a", 5), ("b", 5)] * 3]
    assert seconds.keys() == {"a", "b"}
    assert all(0 <= taken < 1 for taken in seconds.values())


def test_the_naive_loop_sees_what_the_cell_draws(cell, snapshot):
    loop, renderer = NaiveLoop(snapshot, cell, (64, 64), False), CellRenderer(cell, sizes=(64, 64))
    loop.step(1)
    ours = renderer.render(snapshot)
    for camera in cell.cameras:
        theirs = loop.draw(camera.name)
        difference = np.abs(ours[camera.name].astype(int) - theirs.astype(int))
        assert np.mean(difference) < 3.0
    loop.close()
    renderer.close()


def test_the_naive_loop_moves_the_arm(cell, snapshot):
    loop = NaiveLoop(snapshot, cell, None, default_look=False)
    before = loop.positions
    loop.step(100)
    moved = np.abs(loop.positions - before).max()
    assert 1e-5 < moved < 0.5


@pytest.mark.long
def test_the_result_is_complete(tmp_path):
    assert cli.main(["bench", "sim", "--quick", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "bench_sim.json").read_text())
    parts = {row["part"] for row in result["rows"]}
    assert parts == {"physics", "pictures", "publishing", "episodes", "real time", "memory"}
    assert result.keys() >= {"machine", "versions", "date", "notes"}
    times = [row["times_real_time"] for row in result["rows"] if row["part"] == "episodes"]
    assert all(time > 0 for time in times)
    assert all(row["success"] == row["episodes"] for row in result["rows"] if "success" in row)
