"""A camera that was pushed is found out by one look at the board in its old place."""

from dataclasses import replace

import numpy as np
import pytest
from rendered_board import robot_views

from labvla_data.calibration.board import Board
from labvla_data.calibration.drift import drift
from labvla_data.calibration.errors import CalibrationError
from labvla_data.calibration.rigid import step


@pytest.fixture(scope="module")
def calibrated(wrist):
    """The wrist camera with what its calibration gave."""
    outcome = wrist.calibrate()
    return replace(wrist.camera, mount=outcome.mount, calibration=outcome.calibration)


def fresh_views(bench, renderer, pushed=None, place=None, count=1):
    truth = bench.truth if pushed is None else step(bench.truth, np.array(pushed))
    place = bench.place if place is None else place
    return robot_views(
        renderer, Board(), bench.cell, bench.camera, truth, bench.board_on, place, count, seed=9
    )


@pytest.mark.parametrize("count", [1, 3])
def test_a_camera_that_stayed_is_within_what_is_allowed(wrist, calibrated, rendered_board, count):
    found = drift(wrist.cell, calibrated, fresh_views(wrist, rendered_board, count=count))
    assert found.within
    assert found.views == count
    assert found.residual < 0.5


def test_a_camera_that_was_turned_by_half_a_degree_is_found_out(wrist, calibrated, rendered_board):
    turn = np.deg2rad(0.5)
    found = drift(
        wrist.cell, calibrated, fresh_views(wrist, rendered_board, [0, turn, 0, 0, 0, 0], count=3)
    )
    assert not found.within
    assert found.turned == pytest.approx(turn, rel=0.3)


def test_a_camera_that_was_pushed_by_4_mm_is_found_out(wrist, calibrated, rendered_board):
    pushed = fresh_views(wrist, rendered_board, [0, 0, 0, 0.004, 0, 0], count=3)
    found = drift(wrist.cell, calibrated, pushed)
    assert not found.within
    assert found.at_the_board == pytest.approx(0.004, rel=0.3)


def test_a_camera_without_a_calibration_is_refused(wrist):
    with pytest.raises(CalibrationError, match="labvla calibrate camera franka wrist"):
        drift(wrist.cell, wrist.camera, wrist.views)


def test_a_board_that_is_not_there_is_told_with_its_place(wrist, calibrated, rendered_board):
    views = fresh_views(wrist, rendered_board)
    black = tuple(replace(view, pixels=view.pixels * 0) for view in views.items)
    with pytest.raises(CalibrationError, match=r"put it where it stood .*bench, 0\.\d"):
        drift(wrist.cell, calibrated, replace(views, items=black))


def test_pictures_of_another_resolution_need_their_own_camera_info(
    wrist, calibrated, rendered_board
):
    views = fresh_views(wrist, rendered_board)
    half = tuple(replace(view, pixels=view.pixels[::2, ::2].copy()) for view in views.items)
    with pytest.raises(CalibrationError, match="640 x 480 as at the calibration"):
        drift(wrist.cell, calibrated, replace(views, items=half))
