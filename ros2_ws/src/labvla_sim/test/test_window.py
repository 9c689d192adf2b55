"""A window shows the cell where there is a display; elsewhere it says what is missing."""

import os
import shutil
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from labvla_sim import display

XVFB = shutil.which("Xvfb")
SIZE = (800, 600)
PATIENCE = 60.0  # s

# Shows two scenes for a while each, as the node does, and says what it has done.
SHOW = """
import sys, time
from labvla_policy.runtime.cell import load_cell
from labvla_sim.plant import SimCell
from labvla_sim.plant.hot_plate_device import HotPlateState
from labvla_sim.tasks import sample_episode
from labvla_sim.window import CellWindow, SceneName

cell = load_cell("franka")
window = CellWindow(cell)
sim = SimCell(cell)
for task, seed in (("pick", 3), ("press", 1)):
    episode = sample_episode(cell, task, seed)
    sim.reset(episode.scene, episode.joints)
    name = SceneName(task, seed, "id")
    window.show(name, sim.snapshot().positions, HotPlateState(0.0, False, True, 60.0))
    print("shown", task, flush=True)
    sys.stdin.readline()
    assert not window.closed_by_hand
try:
    window.show(name, sim.snapshot().positions[:-1], HotPlateState(0.0, False, True, 60.0))
except ValueError as error:
    print(error, flush=True)
window.close()
print("closed", flush=True)
"""


class Screen:
    """A display of its own, whose pixels can be read."""

    def __init__(self, folder):
        self._folder = folder
        read, write = os.pipe()
        self._server = subprocess.Popen(
            [
                *(XVFB, "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24"),
                *("-fbdir", str(folder), "-nolisten", "tcp"),
            ],
            pass_fds=(write,),
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as told:
            self.name = f":{told.readline().strip()}"

    def pixels(self):
        """Return what is on the screen, from Xvfb's own file (X window dump, 32 bits a pixel)."""
        data = (self._folder / "Xvfb_screen0").read_bytes()
        header = struct.unpack(">25I", data[:100])
        begin = header[0] + 12 * header[19]
        pixels = np.frombuffer(data, np.uint8, SIZE[0] * SIZE[1] * 4, begin)
        return pixels.reshape(SIZE[1], SIZE[0], 4)[..., :3]

    def close(self):
        self._server.terminate()
        self._server.wait(10)


@pytest.fixture
def screen(tmp_path):
    if XVFB is None:
        pytest.skip("Xvfb is not installed (apt: xvfb)")
    screen = Screen(tmp_path)
    yield screen
    screen.close()


@pytest.mark.timeout(240)
def test_a_window_shows_one_scene_after_the_other_and_closes_cleanly(screen):
    window = subprocess.Popen(
        [sys.executable, "-c", SHOW],
        env={**os.environ, "DISPLAY": screen.name},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen = []
    for task in ("pick", "press"):
        assert window.stdout.readline() == f"shown {task}\n"
        deadline = time.monotonic() + PATIENCE
        while (picture := screen.pixels()).std() < 20 or any(
            np.array_equal(picture, other) for other in seen
        ):
            assert time.monotonic() < deadline, "nothing is on the screen"
            time.sleep(0.2)
        seen.append(picture)
        window.stdin.write("\n")
        window.stdin.flush()
    rest, _ = window.communicate(timeout=PATIENCE)
    complaint, end = rest.splitlines()
    assert "is this window of the same version" in complaint
    assert end == "closed"
    assert window.returncode == 0


def test_without_a_display_the_reason_says_what_to_do(monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    assert "DISPLAY" in display.why_no_window()
    assert "leave --window out" in display.why_no_window()


def test_a_display_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":4711")
    assert "the display :4711" in display.why_no_window()


def test_without_glfw_it_is_named(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "glfw", None)  # as if it were not installed
    assert "GLFW" in display.why_no_window()


def test_on_a_display_nothing_is_missing(screen, monkeypatch):
    monkeypatch.setenv("DISPLAY", screen.name)
    assert display.why_no_window() == ""
