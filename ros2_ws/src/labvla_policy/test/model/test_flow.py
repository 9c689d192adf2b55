"""Flow matching: which way time runs, which times are drawn, how the sampler steps."""

import pytest
import torch

from labvla_policy.model import flow
from labvla_policy.model.flow import TimeSampling

CPU = torch.device("cpu")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_time_runs_from_noise_to_data():
    actions, noise = torch.full((2, 3, 4), 5.0), torch.full((2, 3, 4), -1.0)
    noisy = flow.interpolate(actions, noise, torch.tensor([0.0, 1.0]))
    assert torch.equal(noisy[0], noise[0])
    assert torch.equal(noisy[1], actions[1])
    assert torch.equal(flow.target_velocity(actions, noise), actions - noise)


def test_given_rows_lead_are_clean_and_differ_from_chunk_to_chunk():
    actions = torch.full((200, 6, 4), 5.0)
    drawn = flow.with_given_rows(flow.draw(actions, TimeSampling(), seeded(0)), 3, seeded(1))
    given = drawn.time == 1
    assert set(given.sum(dim=1).tolist()) == {0, 1, 2, 3}
    assert torch.equal(given, given.long().cummin(dim=1).values.bool())
    noisy = flow.interpolate(actions, drawn.noise, drawn.time)
    assert torch.equal(noisy[given], actions[given])
    assert not torch.equal(noisy[~given], actions[~given])


def test_most_drawn_times_are_near_the_noise():
    times = TimeSampling().draw(20_000, seeded(0), CPU)
    assert times.min() >= 0
    assert times.max() <= 0.999
    assert times.mean() == pytest.approx(0.4, abs=0.01)
    assert (times < 0.25).float().mean() == pytest.approx(1 - 0.75**1.5, abs=0.01)


def test_scale_and_offset_of_the_times():
    times = TimeSampling(scale=0.5, offset=0.25).draw(1000, seeded(0), CPU)
    assert times.min() >= 0.25
    assert times.max() <= 0.75


def test_one_seed_gives_one_draw():
    actions = torch.zeros(3, 4, 5)
    first, again = (flow.draw(actions, TimeSampling(), seeded(7)) for _ in range(2))
    other = flow.draw(actions, TimeSampling(), seeded(8))
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.time, again.time)
    assert not torch.equal(first.noise, other.noise)
    assert not torch.equal(first.time, other.time)


def test_drawing_times_leaves_other_chance_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    TimeSampling().draw(10, seeded(1), CPU)
    assert torch.equal(torch.rand(3), expected)


def test_the_sampler_steps_evenly_from_zero():
    seen = []

    def velocity(chunk, time):
        seen.append(time.tolist())
        return torch.ones_like(chunk) * 2

    noise = torch.zeros(2, 3, 4, dtype=torch.bfloat16)
    chunk = flow.euler(velocity, noise, 4)
    assert seen == [[0.0, 0.0], [0.25, 0.25], [0.5, 0.5], [0.75, 0.75]]
    assert chunk.dtype == torch.float32
    assert torch.allclose(chunk, torch.full((2, 3, 4), 2.0))


def test_padding_and_weights_of_the_loss():
    predicted, target = torch.zeros(1, 2, 4), torch.ones(1, 2, 4)
    target[0, 1] = 100.0  # a padded row
    target[0, 0, 2:] = 50.0  # padded columns
    is_pad = torch.tensor([[False, True]])
    assert flow.flow_loss(predicted, target, is_pad, torch.tensor([1.0, 3.0])).item() == 2.0
