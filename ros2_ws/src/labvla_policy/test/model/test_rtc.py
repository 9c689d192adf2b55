"""Chunks that continue what is executed meanwhile, against flows whose every answer is known."""

import pytest
import torch
from gaussian_flow import GaussianFlow, follow, noise_for
from rtc_figures import Fixed

from labvla_policy.model.rtc import Conditioned, Continuation, Guided, row_weights

STEPS = 10


def at(time, count):
    return torch.full((count,), time, dtype=torch.float64)


def continue_rows(flow, leading, known=None):
    rows, columns = flow.mean.shape
    frozen = len(leading) if known is None else known
    made = Continuation.of(leading, frozen, rows, columns)
    return Continuation(made.target.double(), made.weight.double(), made.frozen)


def test_the_flow_of_the_tests_leads_to_its_data():
    flow = GaussianFlow.smooth(12, 2, reach=4.0, level=0.5)
    chunks = follow(flow.velocity, noise_for(flow, 4000, 0), 100)
    assert (chunks.mean(dim=0) - 0.5).abs().max() < 0.06
    covariance = torch.cov(chunks.flatten(1).T)
    assert (covariance - flow.covariance).abs().max() < 0.1


@pytest.mark.parametrize("products", [1, 2])
def test_the_pull_is_exact_where_the_data_are_standard_normal(products):
    """There the way to known data is a straight line, (target - x) / (1 - t): another weight, or a
    time that is counted from the data, would miss it."""
    flow = GaussianFlow.independent(6, 2)
    target = torch.linspace(-2, 2, 12, dtype=torch.float64).view(6, 2)
    guided = Guided(flow.velocity, continue_rows(flow, target), 1e-6, products)
    chunk = noise_for(flow, 3, 0)
    for time in (0.12, 0.3, 0.5, 0.8, 0.88):  # where the weight is not bounded
        expected = (target - chunk) / (1 - time)
        torch.testing.assert_close(guided(chunk, at(time, 3)), expected, rtol=1e-6, atol=1e-6)


def test_the_pull_is_exact_along_any_one_direction_of_the_data():
    """Data on a line: the posterior's spread there is not what unit data would have, and the pull
    has to know it."""
    mean = torch.zeros(4, 1, dtype=torch.float64)
    along = torch.tensor([[1.0, -0.5, 2.0, 0.3]], dtype=torch.float64)
    flow = GaussianFlow(mean, along.T @ along)
    target = 1.5 * along.view(4, 1)
    chunk = noise_for(flow, 2, 1)
    for time in (0.3, 0.6):
        guided = Guided(flow.velocity, continue_rows(flow, target), 1e-6)(chunk, at(time, 2))
        expected = (target - chunk) / (1 - time)
        torch.testing.assert_close(
            guided.flatten(1) @ along.T, expected.flatten(1) @ along.T, rtol=1e-6, atol=1e-6
        )


def test_the_pull_points_along_the_vector_jacobian_product_of_the_estimate():
    flow = GaussianFlow.smooth(5, 2, reach=2.0)
    leading = torch.ones(2, 2, dtype=torch.float64)
    continuation = continue_rows(flow, leading)
    chunk, time = noise_for(flow, 1, 3), 0.4
    guided = Guided(flow.velocity, continuation, 1e-6, products=1)(chunk, at(time, 1))
    pull = (guided - flow.velocity(chunk, at(time, 1))).flatten()

    def estimate(x):
        return x + (1 - time) * flow.velocity(x, at(time, 1))

    jacobian = torch.autograd.functional.jacobian(estimate, chunk).view(10, 10)
    missing = (continuation.weight * (continuation.target - estimate(chunk))).flatten()
    product = jacobian.T @ missing
    torch.testing.assert_close(pull / pull.norm(), product / product.norm())
    # as strong as the posterior's own spread along what is missing says
    expected = missing @ missing / (missing @ product) / (1 - time)
    assert float(pull.norm() / product.norm()) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("products", "most"), [(1, 0.45), (2, 0.25), (6, 0.06)], ids=["one", "two", "six"]
)
def test_guided_chunks_approach_the_conditional_mean(products, most):
    """What follows known rows is known in the mean. Six products solve the system of six rows, and
    what is left is ten Euler steps' and chance; with fewer the distance that is left was measured
    (0.30, 0.15 and 0.03 of the way from the mean of all chunks), and has a margin."""
    flow = GaussianFlow.smooth(20, 1, reach=25.0)
    left, way = [], []
    for seed in range(6):
        leading = flow.draw(1, seed)[0, :6]
        expected, _ = flow.given(leading)
        noise = noise_for(flow, 400, seed)
        continuation = continue_rows(flow, leading)
        guided = follow(Guided(flow.velocity, continuation, 1 / STEPS, products), noise, STEPS)
        plain = follow(flow.velocity, noise, STEPS)
        left.append((guided.mean(dim=0) - expected)[6:12])
        way.append((plain.mean(dim=0) - expected)[6:12])
        assert (guided[:, :6] - leading).square().mean().sqrt() < 0.12
    assert torch.stack(left).norm() < most * torch.stack(way).norm()
    assert torch.stack(way).square().mean().sqrt() > 0.5  # without guidance: as far as chunks go


def test_guided_chunks_are_about_as_sure_as_the_truth():
    """Measured: 0.9 to 1.5 times the spread that chunks with these first rows really have."""
    flow = GaussianFlow.smooth(20, 1, reach=3.0)
    leading = flow.draw(1, seed=4)[0, :6]
    _, spread = flow.given(leading)
    guided = Guided(flow.velocity, continue_rows(flow, leading), 1 / STEPS)
    chunks = follow(guided, noise_for(flow, 600, 5), STEPS)
    ratio = chunks.std(dim=0)[8:14] / spread[8:14]
    assert (ratio < 2.0).all()
    assert (ratio > 0.6).all()


@pytest.mark.parametrize("apart", [0.0, 3.0])
def test_chunks_of_strongly_correlated_data_stay_smooth(apart):
    """Where a few directions hold all of the variance, a fixed weight corrects each of them many
    times over: rows then differ more than the data's ever do, and the seam opens."""
    flow = GaussianFlow.smooth(50, 8, reach=20.0, across=0.9)
    plans = flow.draw(24, seed=1) + apart
    shape = Continuation.of(plans[0, :25], 8, 50, 8)
    continuation = Continuation(plans, shape.weight.double(), shape.frozen)
    noise = noise_for(flow, 24, 2)

    def seam(velocity):
        chunks = follow(velocity, noise, STEPS)
        return float((chunks[:, 8] - plans[:, 7]).square().mean().sqrt())

    ours = seam(Guided(flow.velocity, continuation, 1 / STEPS))
    assert ours < 1.5 * float(plans.diff(dim=1).square().mean().sqrt())
    assert seam(Fixed(flow.velocity, continuation, 5.0)) > 2 * ours


def test_a_network_whose_jacobian_is_wrong_is_not_driven_away():
    """A network's Jacobian is not symmetric, and may even point the wrong way; what it is asked to
    continue must not become worse than it would be without guidance."""
    flow = GaussianFlow.smooth(12, 2, reach=6.0)
    twist = torch.randn(24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def velocity(chunk, time):
        bent = (chunk.flatten(1) @ (twist - twist.T) / 8).view_as(chunk)
        return flow.velocity(chunk, time) + 0.3 * torch.sin(bent)

    leading = flow.draw(1, seed=3)[0, :5]
    continuation = continue_rows(flow, leading)
    noise = noise_for(flow, 100, 0)
    plain = follow(velocity, noise, STEPS)
    guided = follow(Guided(velocity, continuation, 1 / STEPS), noise, STEPS)
    assert torch.isfinite(guided).all()
    assert continuation.distance(guided).mean() < 0.2 * continuation.distance(plain).mean()
    assert guided.abs().max() < 2 * plain.abs().max()


def test_nothing_to_continue_changes_nothing():
    flow = GaussianFlow.smooth(8, 2, reach=3.0)
    nothing = Continuation.nothing(8, 2, torch.device("cpu"))
    chunk = noise_for(flow, 2, 0)
    for time in (0.0, 0.1, 0.9):
        guided = Guided(flow.velocity, nothing, 1 / STEPS)(chunk, at(time, 2))
        torch.testing.assert_close(guided, flow.velocity(chunk, at(time, 2)), rtol=0, atol=0)


def test_every_chunk_of_a_batch_is_guided_by_itself():
    flow = GaussianFlow.smooth(8, 2, reach=3.0)
    continuation = continue_rows(flow, torch.ones(3, 2, dtype=torch.float64))
    noise = noise_for(flow, 3, 0)
    guided = Guided(flow.velocity, continuation, 1 / STEPS)
    together = follow(guided, noise, STEPS)
    alone = torch.cat([follow(guided, one[None], STEPS) for one in noise])
    torch.testing.assert_close(together, alone)


def test_columns_that_are_not_known_are_left_alone():
    """Padding columns are noise to the network: what they hold must not be pulled anywhere."""
    continuation = Continuation.of(torch.ones(4, 8), frozen=4, rows=10, columns=32)
    assert continuation.weight[:4, :8].eq(1).all()
    assert not continuation.weight[:, 8:].any()
    assert not continuation.weight[4:].any()


def test_weights_fall_from_the_frozen_rows_to_the_end_of_the_known_ones():
    weights = row_weights(50, known=25, frozen=8)
    assert weights[:8].eq(1).all()
    assert (weights[7:26].diff() < 0).all()
    assert weights[8] < 1
    assert weights[24] > 0
    assert not weights[25:].any()


@pytest.mark.parametrize(("shape", "frozen"), [((51, 8), 4), ((10, 33), 4), ((10, 8), 11)], ids=str)
def test_more_than_a_chunk_holds_cannot_be_continued(shape, frozen):
    with pytest.raises(ValueError, match="expected at most 50 rows x 32 columns"):
        Continuation.of(torch.ones(shape), frozen, 50, 32)


def test_distance_prefers_the_chunk_that_continues():
    continuation = Continuation.of(torch.ones(6, 2), frozen=3, rows=10, columns=4)
    near, far = torch.ones(10, 4), torch.zeros(10, 4)
    near[6:] = 100.0  # after the known rows a chunk is free
    near[:, 2:] = 100.0  # as it is in columns that nobody knows
    distances = continuation.distance(torch.stack([near, far]))
    assert distances[0] == 0
    assert distances[1] > 0


def test_a_conditioned_network_gets_clean_rows_with_time_one_and_returns_them_exactly():
    seen = []

    def velocity(chunk, times):
        seen.append((chunk, times))
        return torch.ones_like(chunk)

    continuation = Continuation.of(torch.full((5, 2), 0.7), frozen=3, rows=6, columns=4)
    noise = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    conditioned = Conditioned(velocity, continuation, 1 / STEPS)
    chunk = follow(conditioned, noise.double(), STEPS)
    torch.testing.assert_close(chunk[:, :3, :2], torch.full((2, 3, 2), 0.7).double())
    assert not chunk[:, :3, 2:].abs().gt(1e-12).any()
    torch.testing.assert_close(chunk[:, 3:], noise[:, 3:].double() + 1)
    for step, (given, times) in enumerate(seen):
        assert given[:, :3, :2].sub(0.7).abs().max() < 1e-6
        assert times[:, :3].eq(1).all()
        assert times[:, 3:].sub(step / STEPS).abs().max() < 1e-12
