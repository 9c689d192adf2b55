"""Things are moved under the arm's hands: exactly as far as drawn, and visibly."""

import numpy as np
import pytest

from labvla_policy.runtime.cell import load_cell
from labvla_sim.experts import drive, make_expert
from labvla_sim.plant import CellRenderer
from labvla_sim.scene.hot_plate import BUTTON
from labvla_sim.tasks import sample_episode
from labvla_sim.tasks.disturbance import DISTANCE, WINDOW, sample_target_move
from labvla_sim.tasks.registry import TASKS
from labvla_sim.tasks.sampling import target_has_room

CELL = load_cell("franka")
OPEN = [0.08]


def wait(sim, seconds):
    for _ in range(round(seconds * 1e3)):
        sim.step(np.zeros(7), OPEN)


@pytest.mark.parametrize("thing", ["beaker", "hot_plate"])
def test_a_thing_slides_as_far_as_it_should_and_stays_upright(trial, thing):
    trial.reset("press", 4)
    sim = trial.sim
    wait(sim, 0.5)
    before = sim.truth().bodies
    sim.slide(thing, [-0.03, 0.02], 0.4)
    wait(sim, 0.2)
    half = sim.truth().bodies[thing].position - before[thing].position
    np.testing.assert_allclose(half[:2], [-0.015, 0.01], atol=1e-3)
    wait(sim, 0.8)
    after = sim.truth().bodies
    moved = after[thing].position - before[thing].position
    np.testing.assert_allclose(moved, [-0.03, 0.02, 0.0], atol=5e-4)
    assert after[thing].tilt < 1e-3
    resting = sim.truth().bodies[thing].position
    wait(sim, 0.5)
    np.testing.assert_allclose(sim.truth().bodies[thing].position, resting, atol=1e-5)


def test_the_button_goes_with_its_device_and_still_works(trial):
    episode = trial.reset("press", 4)
    sim = trial.sim
    wait(sim, 0.5)  # asleep by now
    before = sim.truth().bodies[BUTTON].position
    sim.slide("hot_plate", [0.02, -0.03], 0.3)
    wait(sim, 0.5)
    moved = sim.truth().bodies[BUTTON].position - before
    np.testing.assert_allclose(moved, [0.02, -0.03, 0.0], atol=2e-4)
    assert drive(trial, make_expert(CELL, "press", episode.scene).plan).success


def test_a_slide_is_seen_and_forgotten_with_the_scene(trial):
    trial.reset("press", 4)
    sim = trial.sim
    renderer = CellRenderer(CELL, cameras=["front"], sizes=(160, 120))
    first = renderer.render(sim.snapshot())["front"]
    wait(sim, 0.2)
    quiet = renderer.render(sim.snapshot())["front"]
    sim.slide("hot_plate", [0.05, 0.0], 0.1)
    wait(sim, 0.2)
    slid = renderer.render(sim.snapshot())["front"]
    trial.reset("press", 4)
    again = renderer.render(sim.snapshot())["front"]
    renderer.close()
    changed = (slid != quiet).any(axis=2).mean()
    assert changed > 5 * (first != quiet).any(axis=2).mean()
    assert changed > 0.005
    np.testing.assert_array_equal(again, first)


def test_what_does_not_stand_on_the_bench_cannot_be_slid(sim):
    for body in ("arm/hand", BUTTON, "world"):
        with pytest.raises(ValueError, match="stands on the bench"):
            sim.slide(body, [0.01, 0.0], 0.1)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_target_moves_into_free_reachable_room_in_every_episode(task):
    starts, moved = [], set()
    for seed in range(40):
        episode = sample_episode(CELL, task, seed)
        move = sample_target_move(CELL, episode)
        assert move == sample_target_move(CELL, episode)
        assert np.hypot(*move.offset) == pytest.approx(DISTANCE)
        for name in TASKS[task].objects:
            plate = name == "hot_plate"
            thing = episode.scene.hot_plate if plate else episode.scene.beaker("beaker")
            assert target_has_room(CELL, episode.scene, name, thing.place)
        starts.append(move.start)
        moved.add(move.body)
    assert WINDOW[0] <= min(starts) < 1.0
    assert 2.0 < max(starts) <= WINDOW[1]
    assert moved == set(TASKS[task].objects)


def test_a_hot_plate_that_is_moved_during_the_approach_is_still_pressed(trial):
    episode = trial.reset("press", 4)

    def disturb(trial):
        if trial.sim.ticks == 1500:
            trial.sim.slide("hot_plate", [-0.04, 0.03], 0.4)

    outcome = drive(trial, make_expert(CELL, "press", episode.scene).plan, on_tick=disturb)
    assert "the hot plate was moved" in outcome.replans
    assert outcome.success
