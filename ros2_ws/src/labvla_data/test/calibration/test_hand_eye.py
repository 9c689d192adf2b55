"""A camera's pose is found to a fraction of a millimetre from rendered views of a board."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from rendered_board import RenderedBoard, robot_views

from labvla_data.calibration.board import Board
from labvla_data.calibration.detection import UnusableError, detect
from labvla_data.calibration.errors import CalibrationError, NotAccurateError
from labvla_data.calibration.frames import optical_of
from labvla_data.calibration.rigid import change_between, pose_of
from labvla_data.calibration.views import Views, read_views, write_views
from labvla_policy.runtime.cell import Pose


def spoiled(views, change):
    """Return views whose pictures went through a function."""
    return replace(
        views, items=tuple(replace(view, pixels=change(view.pixels)) for view in views.items)
    )


def moved_joint(view, by):
    """Return a view with the joint states of another moment."""
    return replace(view, joints={name: q + by for name, q in view.joints.items()})


@pytest.mark.parametrize("which", ["wrist", "front"])
def test_the_pose_is_found_within_a_millimetre_and_a_tenth_of_a_degree(which, request):
    bench = request.getfixturevalue(which)
    outcome = bench.calibrate()
    millimetres, degrees = bench.error(outcome)
    assert millimetres < 0.6
    assert degrees < 0.06
    assert outcome.solution.residual < 0.4
    assert outcome.solution.left_out == ()
    assert outcome.moved[0] == pytest.approx(0.0149, abs=0.001)


@pytest.mark.parametrize("which", ["wrist", "front"])
def test_the_mount_is_spelled_like_the_one_that_stood_there(which, request):
    bench = request.getfixturevalue(which)
    assert bench.calibrate().mount.rpy == pytest.approx(bench.camera.mount.rpy, abs=0.25)


@pytest.mark.parametrize("which", ["wrist", "front"])
def test_the_stated_uncertainty_is_about_as_large_as_the_error(which, request):
    bench = request.getfixturevalue(which)
    outcome = bench.calibrate()
    millimetres, degrees = bench.error(outcome)
    solution = outcome.solution
    assert 0.02 < millimetres / (1000 * solution.position_error) < 4
    assert 0.02 < degrees / np.rad2deg(solution.rotation_error) < 4


def test_noise_blur_and_bad_light_cost_little(wrist):
    random = np.random.default_rng(1)
    shade = np.linspace(0.35, 1.0, wrist.views.size[0])[:, None]

    def poor(pixels):
        soft = cv2.GaussianBlur(pixels, (0, 0), 1.0) * shade
        return np.clip(soft + random.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)

    outcome = wrist.calibrate(spoiled(wrist.views, poor))
    millimetres, degrees = wrist.error(outcome)
    assert millimetres < 1.0
    assert degrees < 0.1


def test_a_board_at_a_known_place_needs_no_motion(front, rendered_board):
    still = robot_views(
        rendered_board, Board(), front.cell, front.camera, front.truth, front.board_on,
        front.place, count=1, spread=0.0,
    )  # fmt: skip
    outcome = front.calibrate(still, board_at=Pose.from_matrix(front.place))
    millimetres, degrees = front.error(outcome)
    assert millimetres < 2.0
    assert degrees < 0.3
    assert outcome.solution.position_error is None


def test_intrinsics_are_estimated_from_the_views(wrist):
    declared = wrist.views.camera_info
    outcome = wrist.calibrate(replace(wrist.views, camera_info=None), estimate_intrinsics=True)
    assert outcome.calibration.lens.focal[0] == pytest.approx(declared["k"][0], rel=0.01)
    assert outcome.lens_residual < 0.3
    assert wrist.error(outcome)[0] < 3.0


def test_a_view_with_the_joints_of_another_moment_is_named_and_left_out(wrist):
    items = list(wrist.views.items)
    items[4] = moved_joint(items[4], 0.05)
    outcome = wrist.calibrate(replace(wrist.views, items=tuple(items)))
    assert outcome.solution.left_out == ("view_004",)
    assert outcome.solution.view_residuals["view_004"] > 5
    assert wrist.error(outcome)[0] < 1.0


def test_pictures_that_cannot_be_used_are_named_and_the_others_do(wrist):
    items = list(wrist.views.items)
    items[1] = replace(items[1], pixels=np.zeros_like(items[1].pixels))
    items[3] = replace(items[3], pixels=items[3].pixels // 12)
    outcome = wrist.calibrate(replace(wrist.views, items=tuple(items)))
    assert set(outcome.unusable) == {"view_001", "view_003"}
    assert wrist.error(outcome)[0] < 0.6


def blurred(pixels):
    return cv2.GaussianBlur(pixels, (0, 0), 2.2)


def shaken(pixels):
    return cv2.blur(pixels, (7, 1))


def dim(pixels):
    return pixels // 12


def half_hidden(pixels):
    hidden = pixels.copy()
    hidden[:, 260:] = 90
    return hidden


def overexposed(pixels):
    return np.clip(pixels.astype(int) + 235, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (blurred, "blurred"),
        (shaken, "blurred"),
        (dim, "contrast"),
        (half_hidden, "corners are seen"),
        (overexposed, "contrast|seen"),
        (np.zeros_like, "not seen"),
    ],
)
def test_a_bad_picture_is_refused_with_its_reason(rendered_board, spoil, reason):
    board = Board()
    near = pose_of(np.array([0.1, 0.2, 0.0]), np.array([-0.11, -0.07, 0.25]))
    picture = rendered_board.draw(near)
    assert len(detect(board, picture).ids) == board.corners
    with pytest.raises(UnusableError, match=reason):
        detect(board, spoil(picture))


def test_too_few_views_are_refused(wrist):
    with pytest.raises(CalibrationError, match="at least 6 good views, got 5"):
        wrist.calibrate(replace(wrist.views, items=wrist.views.items[:5]))


def test_turning_about_one_axis_only_is_refused(wrist, rendered_board):
    last = wrist.cell.arms[0].joints[-1]
    start = wrist.views.items[0]
    items = []
    for turn in range(8):
        joints = {**start.joints, last: start.joints[last] + 0.1 * turn}
        items.append(replace(start, name=f"turn_{turn}", joints=joints))
    with pytest.raises(CalibrationError, match="about any other"):
        wrist.calibrate(replace(wrist.views, items=tuple(items)))


def test_a_board_that_the_printer_has_scaled_is_noticed(wrist):
    renderer = RenderedBoard(printed_scale=0.97)
    try:
        views = robot_views(
            renderer,
            Board(),
            wrist.cell,
            wrist.camera,
            wrist.truth,
            wrist.board_on,
            wrist.place,
            12,
        )
    finally:
        renderer.close()
    with pytest.raises(NotAccurateError, match=r"squares are 29\.1.*-3\.0"):
        wrist.calibrate(views)


@pytest.mark.parametrize(
    "other",
    [
        Board(dictionary="4X4_100"),
        Board(columns=6, rows=4),
        Board(columns=9, rows=6, square=0.025, marker=0.018),
    ],
    ids=["dictionary", "fewer squares", "more squares"],
)
def test_another_board_is_refused(wrist, other):
    with pytest.raises(CalibrationError, match="another board"):
        wrist.calibrate(board=other)


def test_views_that_contradict_each_other_are_refused(wrist):
    random = np.random.default_rng(2)
    items = tuple(moved_joint(view, random.normal(0, 0.1)) for view in wrist.views.items)
    with pytest.raises((CalibrationError, NotAccurateError)):
        wrist.calibrate(replace(wrist.views, items=items))


def test_pictures_of_another_size_than_camera_info_are_refused(wrist):
    half = spoiled(wrist.views, lambda pixels: np.ascontiguousarray(pixels[::2, ::2]))
    with pytest.raises(CalibrationError, match="camera_info is for pictures of 640 x 480"):
        wrist.calibrate(half)


def test_pictures_of_two_sizes_are_refused(wrist):
    items = list(wrist.views.items)
    items[2] = replace(items[2], pixels=items[2].pixels[:400])
    with pytest.raises(CalibrationError, match="one size"):
        wrist.calibrate(replace(wrist.views, items=tuple(items)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distortion_model": "equidistant", "d": [0.0] * 4}, "distortion model"),
        ({"d": [0.0] * 3}, "5 distortion coefficients"),
        ({"k": [0.0] * 9}, "focal lengths above 0"),
        ({"k": [1.0]}, "expected width"),
    ],
)
def test_a_camera_info_that_says_nothing_useful_is_refused(wrist, change, message):
    info = {**wrist.views.camera_info, **change}
    with pytest.raises(CalibrationError, match=message):
        wrist.calibrate(replace(wrist.views, camera_info=info))


def test_views_without_camera_info_need_estimated_intrinsics(wrist):
    with pytest.raises(CalibrationError, match="--intrinsics"):
        wrist.calibrate(replace(wrist.views, camera_info=None))


def test_a_missing_joint_is_named(wrist):
    items = tuple(
        replace(view, joints={"fr3_joint1": view.joints["fr3_joint1"]})
        for view in wrist.views.items
    )
    with pytest.raises(CalibrationError, match=r"view_000: fr3_joint2 is missing"):
        wrist.calibrate(replace(wrist.views, items=items))


def test_views_of_another_camera_are_refused(wrist):
    with pytest.raises(CalibrationError, match="these are of 'side'"):
        wrist.calibrate(replace(wrist.views, camera="side"))


def test_saved_views_give_the_same_answer(wrist, tmp_path):
    write_views(tmp_path / "views", wrist.views)
    again = wrist.calibrate(read_views(tmp_path / "views"))
    change = change_between(optical_of(wrist.calibrate().mount), optical_of(again.mount))
    assert np.abs(change).max() < 1e-9


def test_a_folder_that_has_views_is_not_written_over(wrist, tmp_path):
    one = replace(wrist.views, items=wrist.views.items[:1])
    write_views(tmp_path, one)
    with pytest.raises(CalibrationError, match="has views already"):
        write_views(tmp_path, one)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "views.json").unlink(), "there is none"),
        (lambda f: (f / "views.json").write_text("{"), "expected JSON"),
        (lambda f: (f / "views.json").write_text('{"format": 9}'), "format 1"),
        (lambda f: (f / "views.json").write_text('{"format": 1}'), "key is missing"),
        (lambda f: (f / "view_000.png").write_bytes(b"no picture"), "cannot be read"),
        (lambda f: (f / "view_000.png").unlink(), "cannot be read"),
    ],
)
def test_a_damaged_folder_is_refused(wrist, tmp_path, spoil, message):
    write_views(tmp_path, Views("wrist", None, wrist.views.items[:1]))
    spoil(tmp_path)
    with pytest.raises(CalibrationError, match=message):
        read_views(tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        {"columns": 2},
        {"rows": 31},
        {"square": 30.0},
        {"marker": 0.030},
        {"marker": 0.001},
        {"dictionary": "8X8_50"},
        {"columns": 20, "rows": 20},
    ],
)
def test_a_board_that_cannot_be_is_refused(bad):
    with pytest.raises(CalibrationError, match="board: "):
        Board(**bad)
