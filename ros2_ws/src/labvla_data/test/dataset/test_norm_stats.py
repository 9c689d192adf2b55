"""Normalisation statistics are what the contract says, whoever computes them and in which order."""

import numpy as np
import pytest
from dataset_support import CELL, FPS, positions, write

from labvla_data.dataset import norm_stats, open_dataset
from labvla_data.dataset.norm_stats import ABSOLUTE, DELTA, STATE, Recipe

RNG = np.random.default_rng(7)
MASK = (True, True, False)


def motion(frames):
    states = RNG.normal(size=(frames, 3))
    return states, states + RNG.normal(0.1, 0.2, size=(frames, 3))


def straightforward(motions, mask, chunk):
    """The definition, as loops."""
    delta, absolute = [], []
    for states, actions in motions:
        for t in range(len(states)):
            for k in range(min(chunk, len(states) - t)):
                absolute.append(actions[t + k])
                delta.append(actions[t + k] - np.where(mask, states[t], 0.0))
    return {
        STATE: np.concatenate([states for states, _ in motions]),
        DELTA: np.array(delta),
        ABSOLUTE: np.array(absolute),
    }


@pytest.mark.parametrize("chunk", [1, 5, 50])
def test_they_follow_the_definition(chunk):
    motions = [motion(30), motion(8), motion(1)]
    wanted = straightforward(motions, MASK, chunk)
    stats = norm_stats.compute(lambda: iter(motions), Recipe(MASK, chunk))
    assert stats["_chunk_size"] == chunk
    for key, rows in wanted.items():
        assert stats[key]["count"] == [len(rows)]
        assert np.allclose(stats[key]["mean"], rows.mean(axis=0))
        assert np.allclose(stats[key]["std"], rows.std(axis=0))
        assert np.allclose(stats[key]["min"], rows.min(axis=0))
        assert np.allclose(stats[key]["max"], rows.max(axis=0))
        bin_width = np.ptp(rows, axis=0) / norm_stats.BINS
        for name, quantile in (("q01", 0.01), ("q99", 0.99)):
            below = np.sort(rows, axis=0)[max(int(np.ceil(quantile * len(rows))) - 1, 0)]
            assert np.all(np.abs(stats[key][name] - below) <= 1.001 * bin_width)


def test_the_order_of_the_episodes_does_not_matter():
    motions = [motion(20), motion(40), motion(10)]
    recipe = Recipe(MASK)
    one = norm_stats.compute(lambda: iter(motions), recipe)
    other = norm_stats.compute(lambda: iter(motions[::-1]), recipe)
    for key in (STATE, DELTA, ABSOLUTE):
        assert all(np.allclose(one[key][name], other[key][name]) for name in one[key])


def test_a_column_that_never_moves():
    states = np.zeros((10, 3))
    stats = norm_stats.compute(lambda: iter([(states, states + 0.5)]), Recipe(MASK))
    assert stats[DELTA]["q01"] == stats[DELTA]["q99"] == [0.5] * 3
    assert stats[DELTA]["std"] == [0.0] * 3


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_dataset_carries_them(tmp_path, version):
    dataset = open_dataset(write(tmp_path / "demo", version, lengths=(30, 20)))
    assert dataset.norm_stats is not None
    motions = [
        tuple(
            np.array([positions(e, (k + ahead) / FPS) for k in range(length)], dtype=np.float64)
            for ahead in (0, 1)
        )
        for e, length in enumerate((30, 20))
    ]
    mask = [column != 7 for column in range(8)]
    wanted = straightforward(motions, mask, 50)
    for key, rows in wanted.items():
        assert np.allclose(dataset.norm_stats[key]["mean"], rows.mean(axis=0), atol=1e-6)
    assert CELL.policy.action_space == "delta_from_observation"
