"""assemble(t): which samples it takes, how it lays them out, and everything it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_support import (
    MS,
    T0,
    Bench,
    cell_of,
    posture,
    refusal_of,
    serialised_image,
    serialised_joints,
)

from labvla_policy.runtime.cell.contract import LAYOUTS
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.observation.digest import observation_digest
from labvla_policy.runtime.observation.rings import camera_rings, state_rings
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.types import CameraStamp

CAMERAS = ("front", "side", "wrist")


def test_a_complete_observation():
    bench = Bench()
    bench.everything(T0)
    seen = bench.assemble(T0 + 20 * MS)
    assert seen.stamp == T0
    assert seen.joint_names == bench.cell.joints
    np.testing.assert_array_equal(seen.positions, bench.positions)
    np.testing.assert_allclose(seen.grippers, [0.06])  # one finger at 30 mm
    assert seen.camera_stamps == tuple(CameraStamp(name, T0) for name in CAMERAS)
    assert seen.image_mask == (True, True, True)
    assert (seen.skew, seen.age) == (0, 20 * MS)
    newest = [bench.cameras[name].newest.raw for name in CAMERAS]
    for image, picture in zip(seen.images, newest, strict=True):
        np.testing.assert_array_equal(image, picture)
    assert seen.hash == observation_digest(newest, seen.state, seen.instruction)


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_state_columns_follow_the_contract(name):
    bench = Bench(name)
    bench.positions = np.arange(len(bench.cell.joints)) + 1.0
    ranges = bench.cell.arms[0].gripper.range
    bench.finger = 0.25 * ranges[0] + 0.75 * ranges[1]
    bench.everything(T0)
    state = bench.assemble(T0).state
    assert len(state) == LAYOUTS[bench.cell.policy.layout].width
    grippers = {arm.gripper_name: arm.gripper for arm in bench.cell.arms}
    for column, joint in enumerate(bench.cell.column_names):
        if joint is None:
            assert state[column] == 0.0
        elif joint in grippers:
            # Franka: 30 mm of one finger; Robotiq: the knuckle three quarters closed
            expected = 0.03 if name in {"franka", "dual_franka"} else 0.25
            assert state[column] == pytest.approx(expected)
        else:
            assert state[column] == bench.cell.joints.index(joint) + 1.0


def test_joints_are_taken_by_name():
    bench = Bench()
    bench.everything(T0)
    names = (*reversed(bench.cell.joints), "fr3_finger_joint1")
    bench.joints(T0 + MS, [*reversed(bench.positions), np.nan], names)
    bench.grippers(T0 + MS)
    for camera in CAMERAS:
        bench.frame(camera, T0 + MS)
    seen = bench.assemble(T0 + MS)
    assert seen.stamp == T0 + MS
    np.testing.assert_array_equal(seen.positions, bench.positions)


def test_the_reference_is_that_of_the_joint_states_time():
    bench = Bench()
    bench.everything(T0)
    asked = []
    seen = bench.assembler.assemble(T0 + 9 * MS, "stir", lambda at: asked.append(at) or np.ones(7))
    assert asked == [T0]
    np.testing.assert_array_equal(seen.reference, np.ones(7))
    assert bench.assemble(T0).reference is None


def test_nothing_newer_than_t_is_used():
    bench = Bench()
    bench.everything(T0)
    first = bench.assemble(T0 + 5 * MS)
    bench.everything(T0 + 10 * MS)
    again = bench.assemble(T0 + 5 * MS)
    assert (again.hash, again.stamp) == (first.hash, T0)


@given(
    offsets=st.lists(st.integers(0, 33 * MS), min_size=3, max_size=3),
    moment=st.integers(0, 33 * MS),
)
def test_free_running_cameras_always_find_a_set(offsets, moment):
    bench = Bench()
    period = 33 * MS
    phases = dict(zip(CAMERAS, offsets, strict=True))
    times = sorted((T0 + n * period + phases[c], c) for n in range(5) for c in CAMERAS)
    for stamp, camera in times:
        bench.frame(camera, stamp)
    for n in range(180):
        bench.joints(T0 + n * MS)
    bench.grippers(T0 + 100 * MS)
    seen = bench.assemble(T0 + 4 * period + moment)
    stamps = [stamp.stamp for stamp in seen.camera_stamps]
    # the joint state lies in the middle of the frames, so it adds nothing to the skew
    assert seen.skew <= max(stamps) - min(stamps) + MS
    assert abs(seen.stamp - (min(stamps) + max(stamps)) / 2) <= MS
    assert seen.skew <= 2 * period // 3 + 6 * MS  # two thirds of a period, and the slack


def test_reasons_of_missing_and_old_samples():
    bench = Bench()
    assert bench.refusal(T0).reason == "camera_missing"
    for camera in CAMERAS:
        bench.frame(camera, T0)
    assert bench.refusal(T0).reason == "joint_state_missing"
    bench.joints(T0)
    refusal = bench.refusal(T0)
    assert (refusal.reason, refusal.subject) == ("gripper_state_missing", "arm_gripper")
    bench.grippers(T0)
    assert bench.assemble(T0).stamp == T0


def test_frames_from_the_future_only():
    bench = Bench()
    bench.everything(T0)
    refusal = bench.refusal(T0 - MS)
    assert (refusal.reason, refusal.subject) == ("camera_missing", "front")


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_camera_that_stops(camera):
    bench = Bench()
    bench.everything(T0)
    for n in range(1, 30):
        stamp = T0 + n * 33 * MS
        bench.joints(stamp)
        bench.grippers(stamp)
        for other in CAMERAS:
            if other != camera:
                bench.frame(other, stamp)
    refusal = bench.refusal(stamp)
    assert (refusal.reason, refusal.subject) == ("camera_stale", camera)
    assert refusal.value == pytest.approx(29 * 0.033)


def test_joint_states_that_stop():
    bench = Bench()
    bench.everything(T0)
    later = T0 + 200 * MS
    bench.grippers(later)
    for camera in CAMERAS:
        bench.frame(camera, later)
    assert bench.refusal(later).reason == "joint_state_stale"


def test_gripper_states_that_stop():
    bench = Bench()
    bench.everything(T0)
    later = T0 + 301 * MS
    bench.joints(later)
    for camera in CAMERAS:
        bench.frame(camera, later)
    assert bench.refusal(later).reason == "gripper_state_stale"


def test_skew_between_cameras():
    bench = Bench()
    bench.everything(T0)
    bench.cameras["wrist"]._samples = ()
    bench.frame("wrist", T0 + 41 * MS)
    bench.joints(T0 + 41 * MS)
    refusal = bench.refusal(T0 + 41 * MS)
    assert (refusal.reason, refusal.value, refusal.limit) == ("skew", 0.041, 0.04)


def test_age_of_the_whole_set():
    bench = Bench()
    bench.everything(T0)
    assert bench.assemble(T0 + 150 * MS).age == 150 * MS
    late = Bench()
    late.everything(T0 + 10 * MS)
    late.states[late.cell.joint_states.topic]._samples = ()
    late.joints(T0 + 11 * MS)
    assert late.assemble(T0 + 160 * MS).age == 150 * MS
    # the joint state that belongs to the frames is too old itself, although newer ones exist
    gap = Bench()
    gap.joints(T0)
    gap.grippers(T0 + 10 * MS)
    for camera in CAMERAS:
        gap.frame(camera, T0 + 10 * MS)
    gap.joints(T0 + 155 * MS)
    assert gap.refusal(T0 + 155 * MS).reason == "observation_stale"


@pytest.mark.parametrize(
    ("change", "reason", "subject"),
    [
        (lambda n, q: (n, [*q[:3], np.nan, *q[4:]]), "joint_not_finite", "fr3_joint4"),
        (lambda n, q: (n[:-1], q[:-1]), "joint_missing", "fr3_joint7"),
        (lambda n, q: ((*n, n[0]), [*q, 0.0]), "joint_duplicated", "fr3_joint1"),
        (lambda n, q: (n, q[:-1]), "joint_state_width", ""),
    ],
)
def test_bad_joint_states(change, reason, subject):
    bench = Bench()
    bench.everything(T0)
    names, positions = change(bench.cell.joints, bench.positions)
    bench.joints(T0 + MS, positions, names)
    for camera in CAMERAS:
        bench.frame(camera, T0 + MS)
    refusal = bench.refusal(T0 + MS)
    assert (refusal.reason, refusal.subject) == (reason, subject)


def test_a_gripper_outside_of_its_range():
    bench = Bench()
    bench.finger = 0.05
    bench.everything(T0)
    refusal = bench.refusal(T0)
    assert (refusal.reason, refusal.subject) == ("gripper_state_range", "arm_gripper")


def test_a_black_picture_is_survived_once_and_refused_when_there_is_no_other():
    black = np.full((48, 64, 3), 7, np.uint8)
    bench = Bench()
    bench.everything(T0)
    bench.joints(T0 + 33 * MS)
    for camera in CAMERAS:
        bench.frame(camera, T0 + 33 * MS, black if camera == "side" else None)
    seen = bench.assemble(T0 + 40 * MS)
    assert CameraStamp("side", T0) in seen.camera_stamps
    refusal = bench.refusal(T0 + 160 * MS)  # the good one is too old now
    assert (refusal.reason, refusal.subject) == ("image_black", "side")


def test_a_frozen_camera_is_found_when_the_arm_moves():
    bench = Bench()
    still = np.full((48, 64, 3), 90, np.uint8)

    def step(n, moved, picture):
        stamp = T0 + n * 100 * MS
        bench.joints(stamp, bench.positions + moved)
        bench.grippers(stamp)
        for camera in CAMERAS:
            bench.frame(camera, stamp, picture if camera == "front" else None)
        return stamp

    for n in range(12):  # a scene without noise in which nothing moves
        bench.assemble(step(n, 0.0, still))
    refusal = bench.refusal(step(12, 0.04, still))
    assert (refusal.reason, refusal.subject) == ("camera_frozen", "front")
    assert bench.assemble(step(13, 0.05, None)).stamp
    # right after a change the same pixels are no fault yet
    bench.assemble(step(14, 0.07, still))
    bench.assemble(step(15, 0.09, still))


def test_a_frozen_camera_is_found_after_the_clock_was_set_back_too():
    bench = Bench()
    still = np.full((48, 64, 3), 90, np.uint8)

    def step(base, n):
        stamp = base + n * 100 * MS
        bench.joints(stamp, bench.positions + 0.01 * n)
        bench.grippers(stamp)
        for camera in CAMERAS:
            bench.frame(camera, stamp, still if camera == "front" else None)
        return stamp

    bench.assemble(step(T0, 0))
    for n in range(6):
        bench.assemble(step(T0 - 10_000 * MS, n))
    assert bench.refusal(step(T0 - 10_000 * MS, 6)).reason == "camera_frozen"


def test_frozen_joints_are_found_when_the_arm_was_told_to_move():
    bench = Bench()

    def step(n, commanded, measured=0.0):
        stamp = T0 + n * 100 * MS
        bench.joints(stamp, bench.positions + measured)
        bench.grippers(stamp)
        for camera in CAMERAS:
            bench.frame(camera, stamp)
        target = bench.positions + commanded
        return lambda: bench.assembler.assemble(stamp, "pick", lambda _: target)

    for n in range(12):  # a robot without noise that has nothing to do
        assert step(n, 0.001 * n)().stamp
    assert refusal_of(step(12, 0.07)).reason == "joint_state_frozen"
    assert step(13, 0.07, measured=0.01)().stamp
    # right after they moved, and without knowing what was commanded, the same joints are no fault
    assert step(14, 0.14, measured=0.01)().stamp
    bench.everything(T0 + 3000 * MS)
    assert bench.assemble(T0 + 3000 * MS).stamp


def test_a_wrist_camera_need_not_see_the_other_arm():
    bench = Bench("dual_arm")
    still = np.full((48, 64, 3), 90, np.uint8)
    right = np.array([0.0] * 6 + [1.0] * 6)

    def step(n, moved):
        stamp = T0 + n * 100 * MS
        bench.joints(stamp, bench.positions + moved)
        bench.grippers(stamp)
        for camera in bench.cameras:
            bench.frame(camera, stamp, still if camera == "left_wrist" else None)
        return stamp

    for n in range(12):
        bench.assemble(step(n, 0.01 * n * right))
    refusal = bench.refusal(step(12, 0.01 * 12 * right + 0.04))
    assert (refusal.reason, refusal.subject) == ("camera_frozen", "left_wrist")


@pytest.mark.parametrize("how", ["missing", "black", "skewed"])
def test_optional_cameras_are_masked(how):
    bench = Bench(optional_cameras=frozenset({"side"}))
    bench.joints(T0)
    bench.grippers(T0)
    for camera in ("front", "wrist"):
        bench.frame(camera, T0)
    if how == "black":
        bench.frame("side", T0, np.zeros((48, 64, 3), np.uint8))
    if how == "skewed":
        bench.frame("side", T0 - 60 * MS)
    seen = bench.assemble(T0)
    assert seen.image_mask == (True, False, True)
    assert [stamp.camera for stamp in seen.camera_stamps] == ["front", "wrist"]
    bench.frame("side", T0 + MS)
    assert bench.assemble(T0 + MS).image_mask == (True, True, True)
    assert bench.assemble(T0 + MS).hash != seen.hash


@pytest.mark.parametrize("name", ["franka", "dual_arm"])
def test_from_the_middlewares_bytes(name):
    """The rings of a cell take serialised messages; what comes out is what was sent."""
    cell = cell_of(name)
    cameras, states = camera_rings(cell), state_rings(cell)
    picture = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for camera in cell.policy_cameras:
        message = serialised_image(T0, "rgb8", picture, camera.frame_id)
        cameras[camera.name].push(message, cdr.read_stamp(message), T0)
    fingers = [(arm.gripper.state_topic, arm.gripper.joint) for arm in cell.arms]
    for topic, ring in states.items():
        names = [*cell.joints] if topic == cell.joint_states.topic else []
        values = [*posture(cell)] if names else []
        names += [joint for of, joint in fingers if of == topic]
        values += [0.03] * (len(names) - len(values))
        message = serialised_joints(T0, names, values)
        ring.push(message, cdr.read_stamp(message), T0)
    seen = Assembler(cell, states, cameras).assemble(T0, "stir")
    assert seen.stamp == T0
    np.testing.assert_array_equal(seen.positions, posture(cell))
    for image in seen.images:
        np.testing.assert_array_equal(image, picture)


def test_the_pictures_of_two_cameras_whose_topics_are_mixed_up_are_refused():
    cell = cell_of("franka")
    front, side = cell.cameras[:2]
    ring = camera_rings(cell)["front"]
    picture = np.zeros((480, 640, 3), np.uint8)
    for stamp, source in ((T0, front), (T0 + MS, side)):
        ring.push(serialised_image(stamp, "rgb8", picture, source.frame_id), stamp, stamp)
    own, foreign = ring.samples
    assert ring.value(own).shape == (480, 640, 3)
    refusal = refusal_of(lambda: ring.value(foreign))
    assert refusal.reason == "image_frame"
    assert "'front_color_optical_frame'" in refusal.detail
    assert "'side_color_optical_frame'" in refusal.detail


def test_a_cell_without_frame_ids_takes_every_header():
    cell = cell_of("franka")
    unnamed = tuple(replace(camera, frame_id=None) for camera in cell.cameras)
    ring = camera_rings(replace(cell, cameras=unnamed))["front"]
    ring.push(serialised_image(T0, "rgb8", np.zeros((480, 640, 3), np.uint8)), T0, T0)
    assert ring.value(ring.samples[0]).shape == (480, 640, 3)


def test_jpeg_cameras_get_compressed_messages():
    cell = cell_of("franka")
    first = replace(cell.cameras[0], encoding="jpeg", frame_id=None)
    ring = camera_rings(replace(cell, cameras=(first, *cell.cameras[1:])))["front"]
    ring.push(serialised_image(T0, "rgb8", np.zeros((480, 640, 3), np.uint8)), T0, T0)
    # a raw picture where a compressed one was declared
    assert refusal_of(lambda: ring.value(ring.newest)).reason in {
        "message_corrupt",
        "image_encoding",
    }


def test_latency_of_the_cell_is_subtracted_by_its_rings():
    cell = cell_of("franka")
    first = replace(cell.cameras[0], latency=0.025)
    ring = camera_rings(replace(cell, cameras=(first, *cell.cameras[1:])))["front"]
    ring.push(b"", T0, T0)
    assert ring.newest.stamp == T0 - 25 * MS


def test_rings_of_a_cell_cover_what_an_observation_may_use():
    for name in ("franka", "dual_arm"):
        cell = cell_of(name)
        cameras, states = camera_rings(cell), state_rings(cell)
        assert list(cameras) == [camera.name for camera in cell.policy_cameras]
        assert set(states) == {
            cell.joint_states.topic,
            *(arm.gripper.state_topic for arm in cell.arms),
        }
        capacity = states[cell.joint_states.topic]._capacity
        assert capacity / cell.joint_states.rate >= 0.15
        assert len(posture(cell)) == len(cell.joints)
