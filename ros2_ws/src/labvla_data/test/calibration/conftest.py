"""One renderer for all tests of a folder, and the cell that they are about."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from rendered_board import RenderedBoard, place_in_view, robot_views

from labvla_data.calibration.board import Board
from labvla_data.calibration.camera import Plan, calibrate
from labvla_data.calibration.frames import board_frame, optical_of
from labvla_data.calibration.rigid import change_between, step
from labvla_data.calibration.views import Views
from labvla_policy.runtime.cell import Camera, Cell, load_cell

# How far the real camera is from where the cell file has it: three angles, three lengths.
MOUNTED_ASKEW = np.array([0.03, -0.02, 0.025, 0.008, -0.006, 0.011])


@dataclass(frozen=True, eq=False)
class Bench:
    """A camera that is not quite where the cell file says, and what it sees."""

    cell: Cell
    camera: Camera
    board_on: str
    place: np.ndarray
    truth: np.ndarray
    views: Views

    @property
    def plan(self):
        return Plan(board=Board(), board_on=self.board_on)

    def calibrate(self, views=None, **changes):
        plan = Plan(**{**vars(self.plan), **changes})
        return calibrate(self.cell, self.camera, views or self.views, plan, "2026-11-21")

    def error(self, outcome):
        """Return mm and degrees between what came out and the truth."""
        change = change_between(self.truth, optical_of(outcome.mount))
        return 1000 * np.linalg.norm(change[3:]), np.rad2deg(np.linalg.norm(change[:3]))


def _bench(renderer, cell, camera_name, distance, count):
    camera = next(camera for camera in cell.cameras if camera.name == camera_name)
    board_on = board_frame(cell, camera)
    place = place_in_view(cell, camera, board_on, distance)
    truth = step(optical_of(camera.mount), MOUNTED_ASKEW)
    draw = partial(robot_views, board=Board(), cell=cell, camera=camera, truth=truth)
    views = draw(renderer, board_on=board_on, place=place, count=count)
    return Bench(cell, camera, board_on, place, truth, views)


@pytest.fixture(scope="session")
def rendered_board():
    renderer = RenderedBoard()
    yield renderer
    renderer.close()


@pytest.fixture(scope="session")
def wrist(rendered_board):
    """The Franka's wrist camera over a board on the bench."""
    return _bench(rendered_board, load_cell("franka"), "wrist", 0.4, 15)


@pytest.fixture(scope="session")
def front(rendered_board):
    """The Franka's front camera before a board in the gripper."""
    return _bench(rendered_board, load_cell("franka"), "front", 0.45, 18)
