"""The plant is reproducible, tells no lies across threads, and fails on request."""

import threading
import time

import mujoco
import numpy as np
import pytest

from labvla_policy.runtime.controller_settings import effort_settings
from labvla_sim.benchmark import measure
from labvla_sim.plant import CellRenderer, Pacer, SimCell
from labvla_sim.plant.faults import (
    CAMERA_FAULTS,
    JOINT_FAULTS,
    LATE,
    CameraFaults,
    Frame,
    JointFaults,
    JointReading,
)
from labvla_sim.plant.stamps import StampClock
from labvla_sim.tasks import sample_episode


def run(cell, seed, ticks=400):
    sim = SimCell(cell)
    episode = sample_episode(cell, "pick", seed)
    sim.reset(episode.scene, np.array(episode.joints), np.array(episode.widths), seed)
    random = np.random.default_rng(1)
    rows = []
    for _ in range(ticks):
        sim.step(random.normal(0.0, 5.0, 7), random.uniform(0.0, 0.08, 1))
        state = sim.state()
        rows.append(
            np.concatenate([state.positions, state.velocities, state.efforts, state.widths])
        )
    return np.array(rows), sim.snapshot().positions


def test_the_same_seed_gives_the_same_bits(cell):
    (first, end_one), (second, end_two) = run(cell, 3), run(cell, 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(end_one, end_two)


def test_a_reset_leaves_nothing_behind(cell):
    sim = SimCell(cell)
    episode = sample_episode(cell, "press", 5)
    sim.push("arm/hand", [30, 0, 0, 0, 0, 0], 10.0)
    for _ in range(300):
        sim.step(np.full(7, 3.0), [0.0])
    after = []
    for fresh in (sim, SimCell(cell)):
        fresh.reset(episode.scene, np.array(episode.joints), np.array(episode.widths), 5)
        for _ in range(200):
            fresh.step(np.zeros(7), [0.08])
        after.append(fresh.state().positions)
    np.testing.assert_array_equal(*after)


def test_the_clock_never_goes_back(sim):
    for _ in range(10):
        sim.step(np.zeros(7), [0.08])
    before = sim.stamp
    sim.reset(sim.scene.description)
    assert sim.stamp == before
    assert sim.ticks == 0


def test_the_same_snapshot_gives_the_same_picture(cell, sim):
    pictures = []
    for _ in range(2):
        renderer = CellRenderer(cell, sizes=(64, 48))
        pictures.append(renderer.render(sim.snapshot()))
        renderer.close()
    for name in pictures[0]:
        np.testing.assert_array_equal(pictures[0][name], pictures[1][name])


def test_pictures_keep_their_pixels_when_the_next_ones_are_drawn(cell, sim):
    renderer = CellRenderer(cell, cameras=["wrist"], sizes=(64, 48))
    first = renderer.render(sim.snapshot())["wrist"]
    kept = first.copy()
    for _ in range(100):
        sim.step(np.full(7, 10.0), [0.0])
    second = renderer.render(sim.snapshot())["wrist"]
    renderer.close()
    np.testing.assert_array_equal(first, kept)
    assert (first != second).any()


def test_an_unknown_camera_is_refused(cell):
    with pytest.raises(ValueError, match="expected cameras of"):
        CellRenderer(cell, cameras=["top"])


def test_a_second_thread_draws_while_the_plant_runs_and_resets(cell, sim):
    stop, pictures, failures = threading.Event(), [], []

    def draw():
        try:
            renderer = CellRenderer(cell, cameras=["front"], sizes=(64, 48))
            while not stop.is_set():
                pictures.append(renderer.render(sim.snapshot())["front"])
            renderer.close()
        except Exception as error:  # reported by the assertion below
            failures.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    deadline = time.monotonic() + 20.0
    for seed in range(3):
        sim.reset(sample_episode(sim.cell, "pick", seed).scene)
        drawn = len(pictures)
        while len(pictures) < drawn + 2 and not failures and time.monotonic() < deadline:
            for _ in range(20):
                sim.step(np.zeros(7), [0.08])
    stop.set()
    thread.join(10.0)
    assert not failures
    assert len(pictures) >= 6


def test_a_push_moves_the_arm_only_as_long_as_it_lasts(sim):
    start = sim.truth().joints
    sim.push("arm/hand", [40, 0, 0, 0, 0, 0], 0.05)
    for _ in range(50):
        sim.step(np.zeros(7), [0.08])
    pushed = sim.truth()
    assert np.abs(pushed.joints - start).max() > 1e-3
    assert np.abs(sim._data.xfrc_applied).max() > 0
    sim.step(np.zeros(7), [0.08])
    assert np.abs(sim._data.xfrc_applied).max() == 0


def test_the_cells_springs_do_not_let_the_arm_swing(cell, sim):
    """What stiffness and damping do to all joints together, at the posture where work begins."""
    joints = effort_settings(cell)["joints"]
    springs = [joint["impedance"] for joint in joints]
    stiffness = np.diag([spring["stiffness"] for spring in springs])
    damping = np.diag([2 * np.sqrt(s["stiffness"] * s["inertia"]) for s in springs])
    model, data, columns = sim.scene.model, sim._data, sim._at.velocities
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    inverse = np.linalg.inv(inertia[np.ix_(columns, columns)])
    motion = np.block([[np.zeros((7, 7)), np.eye(7)], [-inverse @ stiffness, -inverse @ damping]])
    modes = np.linalg.eigvals(motion)
    ratios = -modes.real / np.abs(modes)
    assert ratios.min() > 0.65


def test_an_obstacle_pushes_back_only_while_the_arm_is_in_it(sim):
    with pytest.raises(ValueError, match="expected a moving body"):
        sim.block("arm/hand", 1.0)
    with pytest.raises(KeyError, match="third_hand"):
        sim.block("third_hand", 1.0)
    torque = np.array([0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # forward and down
    for _ in range(100):
        sim.step(torque, [0.08])
    sim.block("arm/hand", 0.8)
    forces = []
    for _ in range(900):
        sim.step(torque, [0.08])
        forces.append(sum(t.force for t in sim.touches() if t.body == "obstacle"))
    assert forces[0] == 0.0, "there is a gap before it"
    assert 5.0 < max(forces) < 500.0
    assert forces[-1] == 0.0, "its time is over"


def test_a_clock_that_was_set_goes_on_from_there():
    clock = StampClock(1000)
    clock.set_forward(-300)
    assert [clock.stamp(t) for t in (0, 5)] == [700, 705]


def frames(stamp, value):
    return {
        name: Frame(stamp, np.full((8, 10, 3), value + offset, np.uint8))
        for offset, name in enumerate(("front", "side"))
    }


@pytest.mark.parametrize("kind", CAMERA_FAULTS)
def test_a_camera_fault_does_what_it_says_and_only_to_its_camera(kind):
    faults = CameraFaults()
    faults.apply(frames(1, 10))
    faults.set("front", kind, "side")
    taken = frames(2, 20)
    given = faults.apply(taken)
    np.testing.assert_array_equal(given["side"].image, taken["side"].image)
    if kind == "drop":
        assert "front" not in given
        return
    frame = given["front"]
    assert frame.stamp == (2 - LATE if kind == "late" else 2)
    assert frame.source == ("side" if kind == "rewire" else "")
    assert frame.encoding == ("bgr8" if kind == "encode" else "rgb8")
    assert frame.missing == (120 if kind == "cut" else 0)
    if kind == "resize":
        assert frame.image.shape == (4, 5, 3)
    elif kind == "corrupt":
        assert len(np.unique(frame.image)) > 10
    else:
        shown = {"freeze": 10, "swap": 21, "rewire": 21, "black": 0}.get(kind, 20)
        assert (frame.image == shown).all()
    faults.clear()
    np.testing.assert_array_equal(faults.apply(taken)["front"].image, taken["front"].image)


def reading(stamp):
    values = np.arange(7.0) + stamp
    return JointReading(stamp, tuple("abcdefg"), values, values * 2, values * 3)


@pytest.mark.parametrize("kind", JOINT_FAULTS)
def test_a_joint_fault_does_what_it_says(kind):
    faults = JointFaults()
    faults.apply(reading(1))
    faults.set(kind, 2)
    given = faults.apply(reading(5))
    if kind == "stall":
        assert given is None
    elif kind == "repeat":
        assert given.stamp == 5
        np.testing.assert_array_equal(given.positions, reading(1).positions)
    elif kind == "nan":
        assert np.isnan(given.positions[2])
        assert np.isfinite(np.delete(given.positions, 2)).all()
    elif kind == "late":
        assert given.stamp == 5 - LATE
    elif kind == "narrow":
        assert (len(given.names), len(given.positions)) == (7, 6)
    else:
        expected = dict(zip("abcdefg", reading(5).positions, strict=True))
        assert given.names != tuple("abcdefg")
        assert dict(zip(given.names, given.positions, strict=True)).items() <= expected.items()
        assert len(given.names) == {"reorder": 7, "missing": 6, "duplicate": 8}[kind]
    faults.clear()
    assert faults.apply(reading(6)).stamp == 6


def test_unknown_faults_are_refused():
    with pytest.raises(ValueError, match="camera fault"):
        CameraFaults().set("front", "melt")
    with pytest.raises(ValueError, match="joint fault"):
        JointFaults().set("melt")


class Wall:
    """A clock that only moves when told, or slept on."""

    def __init__(self):
        self.now = 100.0

    def sleep(self, seconds):
        self.now += seconds


def test_the_pacer_holds_back_and_lets_catch_up():
    wall = Wall()
    pacer = Pacer(clock=lambda: wall.now, sleep=wall.sleep)
    pacer.wait(0.0)
    pacer.wait(0.5)
    assert wall.now == pytest.approx(100.5)
    wall.now += 0.1  # a hiccup
    pacer.wait(0.51)
    assert wall.now == pytest.approx(100.6), "late: no sleep"
    pacer.wait(0.7)
    assert wall.now == pytest.approx(100.7), "caught up"
    assert pacer.lost == 0.0
    assert pacer.worst_lag == pytest.approx(0.09)


def test_the_pacer_gives_up_a_long_debt_and_says_so():
    wall = Wall()
    pacer = Pacer(clock=lambda: wall.now, sleep=wall.sleep)
    pacer.wait(0.0)
    wall.now += 5.0
    pacer.wait(0.001)
    assert pacer.lost == pytest.approx(4.999)
    pacer.wait(0.101)
    assert wall.now == pytest.approx(105.1)


def test_the_benchmark_reports_what_it_did(cell):
    row = measure(cell, 0.5, (32, 24))
    assert row.cameras == 3
    assert 0 < row.real_time_factor < 1.02
    assert 0 < row.camera_rate <= 30.0
    assert row.tick_us > 0


def test_things_are_put_where_a_snapshot_had_them(cell):
    episode = sample_episode(cell, "pick", 5)
    start = np.array(episode.joints), np.array(episode.widths)
    worked, fresh = SimCell(cell), SimCell(cell)
    worked.reset(episode.scene, *start)
    worked.slide("beaker", (0.03, -0.02), 0.2)
    for _ in range(300):
        worked.step(np.full(7, 0.5), [0.02])
    fresh.reset(episode.scene, *start)
    before = fresh.truth().bodies["beaker"].position
    fresh.place(worked.snapshot().positions)
    there, here = worked.truth(), fresh.truth()
    assert np.array_equal(here.joints, there.joints)
    assert np.array_equal(here.bodies["beaker"].position, there.bodies["beaker"].position)
    assert np.linalg.norm(here.bodies["beaker"].position - before) > 0.02
    assert not here.velocities.any()


def test_a_hot_plate_goes_on_as_it_was_once(cell):
    sim = SimCell(cell)
    for running, temperature in ((True, 80.0), (False, None)):
        sim.reset(sample_episode(cell, "press", 5).scene)
        sim.set_hot_plate(running, temperature)
        sim.step(np.zeros(7), [0.02])
        plate = sim.snapshot().hot_plate
        assert plate.running is running
        assert plate.temperature == pytest.approx(temperature or 22.0, abs=0.1)


@pytest.mark.parametrize("spoil", [lambda p: p[:-1], lambda p: p * np.nan])
def test_positions_of_another_scene_are_refused(sim, spoil):
    before = sim.snapshot().positions
    with pytest.raises(ValueError, match=f"expected {len(before)} finite positions"):
        sim.place(spoil(before))
    assert np.array_equal(sim.snapshot().positions, before)
