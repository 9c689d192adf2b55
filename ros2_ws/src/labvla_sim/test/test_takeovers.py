"""Demonstrations that a policy begins, and the expert brings to a good end."""

from dataclasses import replace

import numpy as np
import pytest

from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import NANOSECONDS
from labvla_sim.demonstrations.attempt import as_recorded, demonstrate
from labvla_sim.demonstrations.command import Wish, generate
from labvla_sim.demonstrations.course import sample_takeover
from labvla_sim.demonstrations.leader import make_leader
from labvla_sim.demonstrations.reasons import Refused
from labvla_sim.tasks import sample_episode

CELL = as_recorded(load_cell("franka"), 64, ("front", "wrist"))
FIRST = 100  # seed


@pytest.fixture(scope="module")
def leader(tmp_path_factory):
    return make_leader("labvla-mini", CELL, tmp_path_factory.mktemp("led"))


@pytest.fixture(scope="module")
def shown(leader):
    """Return the first demonstration that the policy has left to be done."""
    for seed in range(FIRST, FIRST + 30):
        try:
            return seed, demonstrate(CELL, "pick", seed, leader=leader)
        except Refused:
            continue  # the policy was done first
    raise AssertionError("the policy has left nothing to show")


def test_the_takeover_follows_from_the_episode_alone():
    episodes = [sample_episode(CELL, "pick", seed, "train") for seed in range(40)]
    times = [sample_takeover(CELL, episode).kick.time for episode in episodes]
    assert times == [sample_takeover(CELL, episode).kick.time for episode in episodes]
    assert min(times) < 5 < max(times) <= 14


def test_only_the_expert_is_recorded_and_from_rest(shown):
    _, found = shown
    assert found.course.kind == "led"
    first = found.moments[0].seen
    assert first.stamp > found.course.kick.time * NANOSECONDS
    begins = np.searchsorted(found.motion.stamps, first.stamp)
    assert np.abs(found.motion.velocities[begins]).max() < 0.02
    assert found.result.success


def test_the_policy_has_led_until_then(shown, leader):
    seed, found = shown
    alone = demonstrate(CELL, "pick", seed)
    count = round(found.course.kick.time * 900)  # cycles, within its part
    led, own = (one.motion.positions[:count] for one in (found, alone))
    assert np.abs(led[-1] - led[0]).max() > 0.01
    shared = min(len(led), len(own))
    assert np.abs(led[:shared] - own[:shared]).max() > 0.01
    again = demonstrate(CELL, "pick", seed, leader=leader)
    assert np.array_equal(again.motion.positions, found.motion.positions)


def test_a_dataset_says_who_has_led(tmp_path):
    wish = Wish(("pick",), 1, 3, size=64, cameras=("front", "wrist"), led_by="labvla-mini")
    report = generate(load_cell("franka"), wish, tmp_path / "demos", workers=1)
    assert report["courses"] == {"led": 1}
    with pytest.raises(Exception, match="led_by"):
        generate(load_cell("franka"), replace(wish, led_by=None), tmp_path / "demos", workers=1)
