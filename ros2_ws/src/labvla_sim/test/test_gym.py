"""The Gymnasium face keeps Gymnasium's contract and does the tasks."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import labvla_sim.gym  # noqa: F401  # registers
from labvla_sim.experts import make_expert

IDS = ("LabvlaPress-v0", "LabvlaPick-v0", "LabvlaTransport-v0")


@pytest.fixture(params=IDS)
def env(request):
    made = gymnasium.make(request.param, image_size=(32, 24), render_mode="rgb_array")
    yield made.unwrapped
    made.close()


def test_the_environment_checker_has_no_complaint(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Joint targets are radians: scaling them is a policy's business.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
        check_env(env)


def test_a_seed_gives_the_same_episode(env):
    first, _ = env.reset(seed=7)
    again, _ = env.reset(seed=7)
    other, _ = env.reset(seed=8)
    np.testing.assert_array_equal(first["images"]["front"], again["images"]["front"])
    assert (first["images"]["front"] != other["images"]["front"]).any()
    assert first["instruction"] == again["instruction"]


def test_an_expert_earns_the_reward_through_actions_alone():
    env = gymnasium.make("LabvlaPress-v0", image_size=(32, 24)).unwrapped
    env.reset(seed=3)
    expert = make_expert(env.cell, "press", env.trial.episode.scene)
    for _ in range(600):
        plan = expert.plan(env.trial.sim.truth())
        _, reward, terminated, truncated, info = env.step(
            np.concatenate([plan.joints[0], plan.widths[0]])
        )
        if terminated or truncated:
            break
    env.close()
    assert (reward, terminated, info["success"]) == (1.0, True, True)


def test_time_advances_by_the_row_rate(env):
    env.reset(seed=1)
    start = env.trial.sim.state()
    for _ in range(30):
        env.step(np.concatenate([start.positions, start.widths]))
    assert env.trial.time == pytest.approx(1.0, abs=0.002)
