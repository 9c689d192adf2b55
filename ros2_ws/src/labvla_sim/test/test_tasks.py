"""Episodes are drawn inside their ranges, and judges believe nothing but the thing itself."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labvla_policy.runtime.cell import load_cell
from labvla_sim.experts import drive, make_expert
from labvla_sim.experts.impostors import IMPOSTORS
from labvla_sim.plant.hot_plate_device import HotPlateState
from labvla_sim.plant.truth import BodyPose, Touch, Truth
from labvla_sim.scene import Beaker, Place, SceneDescription
from labvla_sim.scene.hot_plate import DEVICE, HEIGHT, TOP_CENTRE, TOP_RADIUS
from labvla_sim.tasks import TASKS, VARIATIONS, sample_episode
from labvla_sim.tasks.absence import ALONE, AbsenceJudge
from labvla_sim.tasks.pick import PickJudge
from labvla_sim.tasks.press import PressJudge
from labvla_sim.tasks.registry import new_judge
from labvla_sim.tasks.sampling import sample_scene, top_in_reach
from labvla_sim.tasks.transport import TransportJudge

CELL = load_cell("franka")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(TASKS)),
    st.sampled_from(sorted(VARIATIONS)),
    st.integers(0, 2**31 - 1),
)
def test_an_episode_lies_inside_its_ranges(task, variation, seed):
    episode = sample_episode(CELL, task, seed, variation)
    ranges, known = VARIATIONS[variation], VARIATIONS["id"]
    places = {
        **{beaker.name: beaker.place for beaker in episode.scene.beakers},
        **({"hot_plate": episode.scene.hot_plate.place} if episode.scene.hot_plate else {}),
    }
    target = TASKS[task].target
    assert set(places) == {"beaker", "hot_plate"} - ({target} if variation == "absent" else set())
    for name, place in places.items():
        assert getattr(ranges, name).contains(place.x, place.y, place.yaw)
    if variation in ("ood", "ood_layout"):
        place = places[target]
        assert not getattr(known, target).contains(place.x, place.y, place.yaw)
    if task == "transport" and variation != "swapped":
        assert top_in_reach(CELL, episode.scene.hot_plate)
    unheard = variation in ("ood", "ood_wording")
    assert episode.instruction in (TASKS[task].held_out if unheard else TASKS[task].wordings)
    limits = CELL.arms[0].operating_limits
    assert (np.array(episode.joints) >= limits.position_lower).all()
    assert (np.array(episode.joints) <= limits.position_upper).all()
    assert ranges.clutter_count[0] <= len(episode.scene.clutter) <= ranges.clutter_count[1]
    json.dumps(episode.as_dict())


def test_the_ranges_are_as_wide_as_promised():
    for region in (VARIATIONS["id"].beaker, VARIATIONS["id"].hot_plate):
        assert np.ptp(region.x) == pytest.approx(0.25)
        assert np.ptp(region.y) == pytest.approx(0.25)
    ood = VARIATIONS["ood"]
    assert ood.hot_plate.yaw == pytest.approx((-np.pi / 4, np.pi / 4))
    assert (ood.camera_position, ood.camera_angle) == pytest.approx((0.02, np.deg2rad(2)))


def looks(scene):
    """Every surface of a scene with its colour."""
    yield from (("bench", scene.look.bench), ("mat", scene.look.mat), ("wall", scene.look.wall))
    yield from (("glass", scene.beakers[0].tint), ("liquid", scene.beakers[0].liquid_colour))
    yield from (("device", scene.hot_plate.body_colour), ("button", scene.hot_plate.button_colour))
    yield from (("clutter", thing.colour) for thing in scene.clutter)


def test_what_is_held_out_for_evaluation_is_never_drawn_in_training():
    train, ood = VARIATIONS["train"], VARIATIONS["ood"]
    assert not set(train.clutter_kinds) >= set(ood.clutter_kinds)
    for task, seed in ((task, seed) for task in TASKS for seed in range(300)):
        episode = sample_episode(CELL, task, seed, "train")
        for surface, colour in looks(episode.scene):
            assert not ood.colours.covers(surface, colour, 0.04), (seed, surface, colour)
        assert {thing.kind for thing in episode.scene.clutter} <= set(train.clutter_kinds)
        assert episode.instruction not in TASKS[task].held_out
    for span in ("brightness", "azimuth", "elevation", "warmth"):
        inner, outer = getattr(train.lighting, span), getattr(ood.lighting, span)
        assert outer[0] <= inner[0] < inner[1] < outer[1], span
    assert train.camera_position < ood.camera_position
    assert train.camera_angle < ood.camera_angle


def test_held_out_colours_would_be_drawn_if_nothing_kept_them_out():
    colours = replace(VARIATIONS["train"].colours, held_out=None)
    free = replace(VARIATIONS["train"], colours=colours)
    random, ood = np.random.default_rng(0), VARIATIONS["ood"].colours
    scenes = [sample_scene(CELL, free, VARIATIONS["id"], "beaker", random) for _ in range(100)]
    assert any(ood.covers(*look) for scene in scenes for look in looks(scene))


def test_training_looks_vary_in_every_episode():
    scenes = [sample_episode(CELL, "pick", seed, "train").scene for seed in range(60)]
    for surface in ("bench", "mat", "wall", "device", "button"):
        colours = np.array([dict(looks(scene))[surface] for scene in scenes])
        assert (np.ptp(colours, axis=0) > 0.35).all(), surface


def test_seeds_tasks_and_variations_are_independent():
    own = [variation for variation in VARIATIONS if variation != "swapped"]
    scenes = {
        sample_episode(CELL, task, seed, variation).scene
        for task in TASKS
        for variation in own
        for seed in range(3)
    }
    assert len(scenes) == len(TASKS) * len(own) * 3


def test_a_variation_of_one_thing_leaves_the_others_as_they_are():
    known, ood = VARIATIONS["id"], VARIATIONS["ood"]
    allowed = {
        "ood_layout": {"beaker", "hot_plate", "target_outside"},
        "ood_looks": {"colours", "lighting"},
        "ood_camera": {"camera_position", "camera_angle"},
        "ood_wording": {"held_out_wordings"},
        "ood_clutter": {"clutter_count", "clutter_kinds"},
    }
    for name, changed in allowed.items():
        one = VARIATIONS[name]
        found = {
            field.name
            for field in fields(one)
            if getattr(one, field.name) != getattr(known, field.name)
        }
        assert found == changed | {"name"}
    assert VARIATIONS["ood_looks"].colours == ood.colours
    assert not set(VARIATIONS["ood_clutter"].clutter_kinds) & set(VARIATIONS["train"].clutter_kinds)
    assert VARIATIONS["ood_layout"].beaker == known.beaker.widened(0.05)
    assert VARIATIONS["ood_layout"].hot_plate == known.hot_plate.widened(0.05)
    scenes = [sample_episode(CELL, "pick", seed, "ood_clutter").scene for seed in range(20)]
    assert {len(scene.clutter) for scene in scenes} == {2}


@pytest.mark.parametrize(
    ("task", "other"), [("press", "pick"), ("pick", "press"), ("transport", "pick")]
)
def test_swapped_is_the_other_tasks_episode_with_this_tasks_words(task, other):
    for seed in range(5):
        swapped = sample_episode(CELL, task, seed, "swapped")
        usual = sample_episode(CELL, other, seed, "id")
        assert (swapped.scene, swapped.joints, swapped.widths) == (
            usual.scene,
            usual.joints,
            usual.widths,
        )
        assert swapped.instruction in TASKS[task].wordings


def test_the_plate_can_be_reached_in_the_scenes_that_transport_is_swapped_into():
    swapped = (sample_episode(CELL, "transport", seed, "swapped") for seed in range(500))
    assert all(top_in_reach(CELL, episode.scene.hot_plate) for episode in swapped)


def test_a_task_needs_what_it_is_about():
    scene = sample_episode(CELL, "transport", 0).scene
    assert TASKS["transport"].possible_in(scene)
    for missing in ({"hot_plate": None}, {"beakers": ()}):
        bare = replace(scene, **missing)
        assert not TASKS["transport"].possible_in(bare)
        assert isinstance(new_judge("transport", bare, state()), AbsenceJudge)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="expected a task"):
        sample_episode(CELL, "dance", 0)
    with pytest.raises(ValueError, match="expected a variation"):
        sample_episode(CELL, "pick", 0, "odd")


# The judges, on states made by hand

SCENE = SceneDescription(beakers=(Beaker("beaker", "100ml", Place(0.5, -0.2)),))
PADS = ("left_pad", "right_pad")


def state(height=0.0, tilt=0.0, width=0.050, parts=PADS, travel=0.0, running=False, on="beaker"):
    cosine, sine = np.cos(tilt), np.sin(tilt)
    pose = BodyPose(
        np.array([0.5, -0.2, height]),
        np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]),
    )
    tool = np.eye(4)
    tool[:3, 3] = (0.5, -0.2, height + 0.04)
    return Truth(
        time=0.0,
        joints=np.zeros(7),
        velocities=np.zeros(7),
        widths=np.array([width]),
        tools=tool[None],
        bodies={"beaker": pose},
        touches=tuple(Touch("arm", part, on, 5.0) for part in parts),
        hot_plate=HotPlateState(travel, travel > 0.004, running, 22.0),
    )


def judged(judge, *looks):
    for truth, count in looks:
        for _ in range(count):
            judge.look(truth)
    return judge.verdict


def at(time, on="beaker", parts=()):
    return replace(state(parts=parts, on=on), time=time)


def looked(judge, when, looks=620):
    for look in range(looks):
        judge.look(when(look / 60))
    return judge.verdict


def test_where_the_object_is_missing_nothing_else_may_be_touched():
    verdict = looked(AbsenceJudge(), at)
    assert (verdict.success, verdict.phase) == (True, ALONE)
    verdict = looked(AbsenceJudge(), lambda t: at(t, "hot_plate", PADS if t == 5.0 else ()))
    assert not verdict.success
    assert "hot_plate" in verdict.reason
    assert looked(AbsenceJudge(), lambda t: at(t, "world", PADS)).success, "the bench is no object"
    assert not looked(AbsenceJudge(), at, 590).success, "not before its time"


def test_a_held_beaker_counts_after_a_second_not_before():
    start = state(parts=())
    assert not judged(PickJudge(SCENE, start), (state(0.12), 59)).success
    assert judged(PickJudge(SCENE, start), (state(0.12), 60)).success


@pytest.mark.parametrize(
    "almost",
    [
        state(0.095),
        state(0.12, parts=("left_pad",)),
        state(0.12, parts=()),
        state(0.12, parts=(*PADS, "arm")),
        state(0.12, width=0.003),
        state(0.12, tilt=np.deg2rad(20)),
    ],
    ids=["too low", "one finger", "thrown", "leaning on the hand", "by the rim", "tilted"],
)
def test_almost_held_is_not_held(almost):
    assert not judged(PickJudge(SCENE, state(parts=())), (almost, 600)).success


def test_the_second_must_be_in_one_piece():
    start = state(parts=())
    verdict = judged(
        PickJudge(SCENE, start), (state(0.12), 59), (state(0.09), 1), (state(0.12), 59)
    )
    assert not verdict.success


def test_success_is_final_and_logged():
    verdict = judged(PickJudge(SCENE, state(parts=())), (state(0.12), 60), (state(parts=()), 60))
    assert verdict.success
    assert [event.name for event in verdict.events] == [
        "held", "raised", "success", "no longer held", "no longer raised",
    ]  # fmt: skip


def pressed(**changes):
    given = {"travel": 0.005, "running": True, "parts": ("left_pad",), "on": "hot_plate_button"}
    return state(**{**given, **changes})


def test_a_press_counts_when_the_plate_has_run_for_a_second():
    assert not judged(PressJudge(SCENE, state()), (pressed(), 59)).success
    assert judged(PressJudge(SCENE, state()), (pressed(), 60)).success


@pytest.mark.parametrize(
    "almost",
    [pressed(running=False), pressed(travel=0.003), pressed(parts=())],
    ids=["does not start", "not far enough", "pressed by something else"],
)
def test_almost_pressed_is_not_pressed(almost):
    assert not judged(PressJudge(SCENE, state()), (almost, 600)).success


PLATE = BodyPose(np.array([0.5, 0.24, 0.0]), np.eye(3))
FITS = TOP_RADIUS - 0.025  # m that the 100 ml beaker may be off the middle


def on_plate(off=0.0, above=0.0, **changes):
    """The beaker over the plate, untouched unless said otherwise."""
    truth = state(**{"parts": (), **changes})
    middle = PLATE.position + TOP_CENTRE
    pose = replace(truth.bodies["beaker"], position=middle + np.array([0.0, off, above]))
    tools = truth.tools.copy()
    tools[0, :3, 3] = pose.position + np.array([0.0, 0.0, 0.04])
    return replace(truth, bodies={"beaker": pose, DEVICE: PLATE}, tools=tools)


HELD_ABOVE = on_plate(above=0.03, parts=PADS)
PUT_DOWN = on_plate(parts=PADS)


def put_there(*looks):
    return judged(TransportJudge(SCENE, state()), (HELD_ABOVE, 30), (PUT_DOWN, 30), *looks)


def test_a_beaker_counts_when_it_has_stood_on_the_plate_by_itself_for_a_second():
    assert not put_there((on_plate(), 59)).success
    verdict = put_there((on_plate(), 60))
    assert (verdict.success, verdict.phase) == (True, TASKS["transport"].done)
    assert [event.name for event in verdict.events] == [
        "held", "above the plate", "no longer held", "no longer above the plate", "on the plate",
        "success",
    ]  # fmt: skip
    assert put_there((on_plate(FITS - 0.001), 60)).success, "anywhere on the plate"


@pytest.mark.parametrize(
    ("almost", "said"),
    [
        (PUT_DOWN, "held above the hot plate"),
        (HELD_ABOVE, "held above the hot plate"),
        (on_plate(0.3, parts=PADS), "held, and"),
        (on_plate(parts=("arm",)), "still touches"),
        (on_plate(parts=("left_pad",)), "still touches"),
        (on_plate(FITS + 0.001), "44 mm off its middle, expected at most 43 mm"),
        (on_plate(TOP_RADIUS + 0.025, -HEIGHT), "93 mm off"),
        (on_plate(above=0.01), "does not stand on the hot plate"),
        (on_plate(tilt=np.deg2rad(20)), "upright"),
        (on_plate(tilt=np.deg2rad(90)), "upright"),
    ],
    ids=[
        "never let go", "held over it", "held beside", "leaning on the hand", "a finger at it",
        "over the edge", "against the plate", "in the air", "tilted", "laid down",
    ],
)  # fmt: skip
def test_almost_put_down_is_not_put_down(almost, said):
    verdict = put_there((almost, 600))
    assert not verdict.success
    assert said in verdict.reason


def test_what_is_dropped_or_was_never_brought_there_is_not_put_down():
    high = on_plate(above=0.025, parts=PADS)
    verdict = judged(TransportJudge(SCENE, state()), (high, 30), (on_plate(), 600))
    assert not verdict.success
    assert "dropped" in verdict.reason
    assert not judged(TransportJudge(SCENE, state()), (on_plate(), 600)).success


def test_a_beaker_that_slides_over_the_plate_is_not_put_down_until_it_rests():
    sliding = [(on_plate(0.0005 * look), 1) for look in range(80)]
    assert not put_there(*sliding).success
    resting = on_plate(0.0005 * 79)
    assert not put_there(*sliding, (resting, 53)).success
    assert put_there(*sliding, (resting, 60)).success


# The judges, on the simulation

CASES = [(task, name) for task in sorted(IMPOSTORS) for name in sorted(IMPOSTORS[task])]
# s of simulated time: all attempts are over
LONG_ENOUGH = {"press": 9.0, "pick": 9.0, "transport": 12.0}
TELLING = {  # what shows that an attempt really came close
    "LowLift": "held",
    "ShortHold": "raised",
    "RimPinch": "raised",
    "TiltedLift": "raised",
    "HalfPress": "button touched",
    "HoldsAbove": "above the plate",
    "HoldsOn": "above the plate",
    "Drops": "above the plate",
    "OverTheEdge": "held",
    "PutsBeside": "held",
}


def attempts(trial, task, name, count):
    successes, close = 0, 0
    for seed in range(count):
        episode = trial.reset(task, 1000 + seed)
        planner = IMPOSTORS[task][name](trial.sim.cell, episode.scene, seed)
        outcome = drive(trial, planner.plan, limit=LONG_ENOUGH[task])
        successes += outcome.success
        close += any(event.name == TELLING.get(name) for event in outcome.events)
    return successes, close


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("pick", "RimPinch"),
        ("pick", "ShortHold"),
        ("press", "HalfPress"),
        ("transport", "HoldsOn"),
        ("transport", "OverTheEdge"),
        ("transport", "Drops"),
    ],
)
def test_an_impostor_comes_close_and_is_refused(trial, task, name):
    successes, close = attempts(trial, task, name, 1)
    assert (successes, close) == (0, 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("task", "name"), CASES)
def test_no_impostor_succeeds_in_fifty(trial, task, name):
    successes, close = attempts(trial, task, name, 50)
    assert successes == 0
    if name in TELLING:
        assert close > 40


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_trial_needs_a_reset(trial, task):
    with pytest.raises(RuntimeError, match="call reset first"):
        _ = trial.episode
    trial.reset(task, 0)
    assert trial.episode.task == task
    assert not trial.verdict.success


def test_a_press_judge_needs_a_hot_plate():
    with pytest.raises(ValueError, match="hot plate"):
        PressJudge(replace(SCENE, hot_plate=None), state())
    with pytest.raises(ValueError, match="to put the beaker on"):
        TransportJudge(replace(SCENE, hot_plate=None), state())


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_same_episode_ends_the_same_way_to_the_bit(trial, task):
    ends = []
    for _ in range(2):
        episode = trial.reset(task, 8)
        expert = make_expert(CELL, task, episode.scene)
        outcome = drive(trial, expert.plan)
        ends.append((outcome, trial.sim.snapshot().positions))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
