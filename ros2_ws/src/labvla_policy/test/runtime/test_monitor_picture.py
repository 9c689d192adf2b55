"""What people see is what the cell file, the plan and the controller say: computed, not guessed."""

from dataclasses import replace

import numpy as np
import pytest
from runtime_support import cell_of, posture

from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.monitor import paths, surroundings
from labvla_policy.runtime.monitor.marks import Board, Mark, Shape
from labvla_policy.runtime.monitor.picture import Picture, PictureSettings
from labvla_policy.runtime.monitor.skeleton import limbs_of
from labvla_policy.runtime.monitor.standing import Incident, PolicyState, RobotState
from labvla_policy.runtime.reference import Mode, Reference
from labvla_policy.runtime.types import NANOSECONDS, Prediction

T = 100 * NANOSECONDS
CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")


def state(q, t=T, mode=Mode.TRACKING, **more):
    return Reference(t, q, np.zeros(len(q)), 0, mode, **more)


def plan(cell, t=T, rows=30, names=None, dt=1 / 30):
    """From the posture ready on, every joint by 0.3 rad."""
    targets = posture(cell) + np.linspace(0, 0.3, rows)[:, np.newaxis]
    return Prediction(t, dt, names or cell.joints, targets, (), np.empty((rows, 0)))


def layer(marks, name):
    return [mark for mark in marks if mark.layer == name]


def tool_of(cell, arm, q):
    first = sum(len(a.joints) for a in cell.arms[: cell.arms.index(arm)])
    own = q[first : first + len(arm.joints)]
    return (arm.base.matrix() @ CHAINS[arm.kind].forward(own) @ arm.tcp.matrix())[:3, 3]


def picture_with_plan(name, **settings):
    cell = cell_of(name)
    picture = Picture(cell, PictureSettings(**settings))
    picture.state(state(posture(cell)))
    picture.plan(plan(cell), T)
    return cell, picture


@pytest.mark.parametrize("name", CELLS)
def test_a_plan_leads_every_tool_from_here_to_where_its_last_row_is(name):
    cell, picture = picture_with_plan(name)
    marks = picture.marks(T)
    for arm in cell.arms:
        dots, line = layer(marks, f"{arm.name}/plan")
        assert (dots.shape, line.shape) == (Shape.SPHERES, Shape.LINE)
        np.testing.assert_allclose(dots.points[0], tool_of(cell, arm, posture(cell)), atol=1e-12)
        np.testing.assert_allclose(
            dots.points[-1], tool_of(cell, arm, posture(cell) + 0.3), atol=1e-12
        )
        assert dots.colours[0] == paths.SOON
        assert dots.colours[-1] == paths.LATE
        assert len(dots.colours) == len(dots.points) == 30


@pytest.mark.parametrize("name", CELLS)
def test_the_ghost_has_the_gates_own_shape_at_the_last_row(name):
    cell, picture = picture_with_plan(name)
    marks = picture.marks(T)
    for limb in limbs_of(cell):
        ghost = layer(marks, f"{limb.arm.name}/ghost")
        cylinders = [mark for mark in ghost if mark.shape is Shape.CYLINDER]
        bodies = limb.bodies(posture(cell) + 0.3)
        assert len(cylinders) == len(bodies) == len(limb.capsules)
        for mark, (start, end, radius) in zip(cylinders, bodies, strict=True):
            half = np.array([0, 0, mark.size[2] / 2, 1])
            np.testing.assert_allclose((mark.pose @ half)[:3], end, atol=1e-9)
            np.testing.assert_allclose((mark.pose @ (half * [1, 1, -1, 1]))[:3], start, atol=1e-9)
            np.testing.assert_allclose(
                mark.pose[:3, :3] @ mark.pose[:3, :3].T, np.eye(3), atol=1e-9
            )
            assert mark.size[0] == mark.size[1] == 2 * radius
        assert all(0 < mark.colour[3] < 0.5 for mark in ghost)  # translucent


def test_rows_that_are_past_are_not_shown_and_after_the_last_there_is_nothing():
    _, picture = picture_with_plan("franka")
    assert len(layer(picture.marks(T + NANOSECONDS // 2), "arm/plan")[0].points) == 15
    assert layer(picture.marks(T + NANOSECONDS), "arm/plan") == []
    assert layer(picture.marks(T + NANOSECONDS), "arm/ghost") == []


def test_joints_in_another_order_are_the_same_plan():
    cell, picture = picture_with_plan("dual_franka")
    before = layer(picture.marks(T), "right/plan")[0].points
    turned = plan(cell)
    order = np.random.default_rng(0).permutation(len(cell.joints))
    picture.plan(
        replace(
            turned,
            joint_names=tuple(cell.joints[i] for i in order),
            joint_targets=turned.joint_targets[:, order],
        ),
        T,
    )
    np.testing.assert_array_equal(layer(picture.marks(T), "right/plan")[0].points, before)


@pytest.mark.parametrize(
    "broken",
    [
        {"joint_names": ("a", "b", "c", "d", "e", "f", "g")},
        {"joint_targets": np.full((30, 7), np.nan)},
        {"dt": 0.0},
        {"joint_targets": np.empty((0, 7))},
    ],
)
def test_what_is_no_plan_for_this_cell_is_not_drawn_and_the_one_before_is_gone(broken):
    cell, picture = picture_with_plan("franka")
    picture.plan(replace(plan(cell), **broken), T)
    assert layer(picture.marks(T), "arm/plan") == []


@pytest.mark.parametrize("mode", [Mode.STOPPED, Mode.STOPPING, Mode.HOLD, Mode.FAULT])
def test_a_plan_that_the_controller_does_not_follow_vanishes(mode):
    cell, picture = picture_with_plan("franka")
    picture.state(state(posture(cell), T + 1, mode))
    assert layer(picture.marks(T + NANOSECONDS // 10), "arm/plan")  # it may be on its way
    later = T + NANOSECONDS // 4
    picture.state(state(posture(cell), later, mode))
    assert layer(picture.marks(later), "arm/plan") == []
    picture.state(state(posture(cell), later + 1, Mode.TRACKING))
    assert layer(picture.marks(later + 1), "arm/plan") == []  # of another plan


def test_a_long_plan_stays_small_and_keeps_both_ends():
    cell, picture = picture_with_plan("franka")
    picture.plan(plan(cell, rows=1000), T)
    points = layer(picture.marks(T), "arm/plan")[0].points
    assert len(points) == paths.MOST_ROWS
    np.testing.assert_allclose(points[-1], tool_of(cell, cell.arms[0], posture(cell) + 0.3))


def test_what_was_done_fades_and_is_forgotten():
    cell = cell_of("franka")
    picture = Picture(cell, PictureSettings(trail=2.0))
    for k in range(3000):  # 60 s at 50 Hz
        t = T + k * 20_000_000
        picture.state(state(posture(cell) + 1e-4 * k, t, measured=posture(cell) + 1e-4 * k))
    (line,) = layer(picture.marks(t), "arm/done")
    assert 50 < len(line.points) <= paths.MOST_POINTS + 1
    np.testing.assert_allclose(line.points[-1], tool_of(cell, cell.arms[0], posture(cell) + 0.2999))
    fade = [colour[3] for colour in line.colours]
    assert fade == sorted(fade)
    assert fade[0] < 0.1 < 0.9 < fade[-1]
    assert layer(picture.marks(t + 3 * NANOSECONDS), "arm/done") == []


def test_the_measured_joints_are_drawn_not_the_commanded():
    cell = cell_of("franka")
    picture = Picture(cell, PictureSettings(bodies=True))
    picture.state(state(posture(cell), measured=posture(cell) + 0.2))
    drawn = layer(picture.marks(T), "arm/body")
    start, end, _ = limbs_of(cell)[0].bodies(posture(cell) + 0.2)[-1]
    cylinders = [mark for mark in drawn if mark.shape is Shape.CYLINDER]
    np.testing.assert_allclose(cylinders[-1].pose[:3, 3], (start + end) / 2)


def test_a_clock_that_was_set_back_begins_a_new_trail():
    cell = cell_of("franka")
    picture = Picture(cell)
    picture.state(state(posture(cell), T))
    picture.state(state(posture(cell) + 0.1, T - 50 * NANOSECONDS))
    assert layer(picture.marks(T - 50 * NANOSECONDS), "arm/done") == []


@pytest.mark.parametrize("name", CELLS)
def test_the_gates_boxes_are_where_the_cell_says(name):
    cell = cell_of(name)
    marks = Picture(cell).marks(T)
    (tool,) = layer(marks, "boxes/tool")
    np.testing.assert_allclose(tool.points.min(axis=0), cell.workspace.tool.lower)
    np.testing.assert_allclose(tool.points.max(axis=0), cell.workspace.tool.upper)
    edges = tool.points.reshape(12, 2, 3)
    assert np.all(np.count_nonzero(np.diff(edges, axis=1)[:, 0], axis=1) == 1)
    assert len({tuple(sorted(map(tuple, edge))) for edge in edges}) == 12
    boxes = layer(marks, "boxes/keep_out")
    for mark, box in zip(boxes, cell.workspace.keep_out, strict=True):
        np.testing.assert_allclose(mark.pose[:3, 3] - np.array(mark.size) / 2, box.lower)
        np.testing.assert_allclose(mark.pose[:3, 3] + np.array(mark.size) / 2, box.upper)
    assert [m.text for m in layer(marks, "boxes/names")] == [
        b.name for b in cell.workspace.keep_out
    ]


@pytest.mark.parametrize("name", CELLS)
def test_a_camera_s_view_has_its_own_angle_and_looks_where_it_is_mounted(name):
    cell = cell_of(name)
    picture = Picture(cell)
    picture.state(state(posture(cell)))
    views = layer(picture.marks(T), "cameras/view")
    assert len(views) == len(cell.cameras)
    for mark, camera in zip(views, cell.cameras, strict=True):
        assert np.all(mark.points[:, 0] >= 0)  # forwards
        far = mark.points[mark.points[:, 0] > 0]
        assert np.max(far[:, 2] / far[:, 0]) == pytest.approx(np.tan(camera.vertical_fov / 2))
        assert np.ptp(far[:, 1]) / np.ptp(far[:, 2]) == pytest.approx(camera.width / camera.height)


def test_a_camera_on_the_hand_follows_it_and_is_not_drawn_before_the_arm_is_known():
    cell = cell_of("franka")
    picture = Picture(cell)
    names = [mark.text for mark in layer(picture.marks(T), "cameras/names")]
    assert names == ["front", "side"]
    picture.state(state(posture(cell)))
    wrist = layer(picture.marks(T), "cameras/view")[-1]
    arm, mount = cell.arms[0], cell.cameras[-1].mount
    flange = arm.base.matrix() @ CHAINS[arm.kind].forward(posture(cell))
    np.testing.assert_allclose(wrist.pose, flange @ mount.matrix())
    assert len(layer(picture.marks(T + NANOSECONDS), "cameras/view")) == 2  # it fell silent


def words(picture, t=T):
    (mark,) = layer(picture.marks(t), "status")
    return mark


def active(**more):
    told = PolicyState(T, "active", True, "pick up the beaker", "policy", "")
    return replace(told, **more)


def test_the_text_says_who_moves_and_what_for():
    _, picture = picture_with_plan("franka")
    picture.policy(active(), ())
    assert words(picture).text.splitlines() == [
        "policy: active, policy moves",
        "“pick up the beaker”",
        "controller: tracking",
    ]


def test_silence_is_told():
    picture = Picture(cell_of("franka"))
    assert words(picture).text.splitlines() == ["policy: silent", "controller: silent"]
    picture.policy(active(), ())
    picture.robot(RobotState(T, True, "ready"))
    assert "robot: ready" in words(picture).text
    later = words(picture, T + 3 * NANOSECONDS).text
    assert "policy: silent" in later
    assert "robot: silent" in later


def test_a_latched_stop_says_what_to_do():
    _, picture = picture_with_plan("franka")
    before = words(picture).colour
    picture.policy(active(state="stopped", moves=False), ())
    told = words(picture)
    assert "STOP LATCHED: labvla recover" in told.text
    assert told.colour != before


def test_the_last_refusal_is_told_with_its_cause_for_a_while():
    picture = Picture(cell_of("franka"))
    picture.incident(Incident(T, "gate", "workspace", "arm", "row 3 takes the tool 12 mm out " * 9))
    told = words(picture, T + 3 * NANOSECONDS).text.splitlines()
    assert "3 s ago: gate workspace (arm)" in told
    assert max(map(len, told)) <= 60
    assert "workspace" not in words(picture, T + 31 * NANOSECONDS).text


def test_a_camera_without_pictures_is_marked():
    picture = Picture(cell_of("franka"))
    picture.policy(active(), {"side"})
    front, side = layer(picture.marks(T), "cameras/view")
    assert (front.colour, side.colour) == (surroundings.CAMERA, surroundings.CAMERA_LOST)


@pytest.mark.parametrize("name", CELLS)
def test_every_mark_has_a_name_of_its_own(name):
    _, picture = picture_with_plan(name, bodies=True)
    keys = [mark.key for mark in picture.marks(T)]
    assert len(keys) == len(set(keys))


def mark(number, stays=False):
    return Mark("a", number, Shape.BOX, (1, 1, 1, 1), (1, 1, 1), stays=stays)


def test_what_stays_is_told_once_and_again_now_and_then():
    board = Board(repeat=1.0)
    standing, moving = mark(0, stays=True), mark(1)
    assert board.update([standing, moving], 0.0) == ([standing, moving], [])
    assert board.update([standing, moving], 0.5) == ([moving], [])
    assert board.update([standing, moving], 1.0) == ([standing, moving], [])


def test_what_is_not_told_any_more_is_taken_away_once():
    board = Board(repeat=1.0)
    board.update([mark(0), mark(1)], 0.0)
    assert board.update([mark(1)], 0.1)[1] == [("a", 0)]
    assert board.update([mark(1)], 0.2)[1] == []


def test_two_marks_of_one_name_are_a_mistake():
    with pytest.raises(ValueError, match="same layer and number"):
        Board(repeat=1.0).update([mark(0), mark(0)], 0.0)
