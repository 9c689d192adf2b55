"""A camera that is pushed in the running cell is noticed by the doctor: the board tells."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from listening import ANSWERED, Cell

from labvla_bringup.graph import Graph
from labvla_msgs.srv import ResetScene
from labvla_policy.runtime.cell import load_cell
from labvla_sim.scene.board import place_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

CAMERA = "wrist"


@pytest.fixture(scope="module")
def my_cell(tmp_path_factory):
    path = tmp_path_factory.mktemp("cell") / "franka.yaml"
    shutil.copy(load_cell("franka").origin.file, path)
    return path


@pytest.fixture(scope="module")
def labvla(bring_up, my_cell):
    return bring_up(str(my_cell), "--pacing", "lockstep", "--no-recorder", "--board", "bench")


def put_up(seed):
    """Another scene: its cameras are shifted otherwise, and things stand elsewhere."""
    with Graph() as graph:
        cell = Cell(graph)
        request = ResetScene.Request(task="press", seed=seed)
        cell.until(
            lambda: graph.call(ResetScene, "sim/reset", request, ANSWERED).accepted, ANSWERED
        )


def calibrate_by_one_view(labvla, my_cell):
    _, place = place_of(load_cell(my_cell), "bench")
    numbers = [*place.position, *np.rad2deg(place.rpy)]
    at = ",".join(f"{number:.6f}" for number in numbers)
    done = subprocess.run(
        [
            sys.executable, "-m", "labvla_bringup.cli", "calibrate", "camera", str(my_cell), CAMERA,
            f"--board-at={at}", "--views", "1",
        ],
        cwd=labvla.folder, input="\n", capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def drift(labvla, my_cell):
    _, report = labvla.json("doctor", str(my_cell), "--cameras")
    return next(check for check in report["checks"] if check["name"] == "camera_drift")


def test_the_doctor_notices_a_camera_that_was_pushed(labvla, my_cell):
    put_up(3)
    assert labvla("move", "ready").returncode == 0
    calibrate_by_one_view(labvla, my_cell)
    assert "calibration" in Path(my_cell).read_text()
    found = drift(labvla, my_cell)
    assert found["result"] == "pass", found
    put_up(4)
    assert labvla("move", "ready").returncode == 0
    found = drift(labvla, my_cell)
    assert found["result"] == "fail", found
    assert CAMERA in found["detail"]
    assert "px from where it should be" in found["detail"]
