"""Smoothing: what a chunk means stays, what no two rows agree on goes."""

import json
import shutil

import numpy as np
import pytest

from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.errors import CheckpointError, ConfigError
from labvla_policy.model.inference import load_policy
from labvla_policy.model.pipeline.smoothing import smoother

ROWS, WINDOW = 32, 9


def shake(rows):
    return np.abs(np.diff(rows, 2, axis=0)).mean()


def test_parabolas_pass_unchanged():
    t = np.linspace(0, 1, ROWS)[:, None]
    motion = np.hstack([0.3 + 0 * t, 2 * t - 1, t**2 - t])
    assert smoother(ROWS, WINDOW) @ motion == pytest.approx(motion, abs=1e-5)


def test_noise_of_single_rows_goes():
    noise = np.random.default_rng(0).normal(0, 0.01, (ROWS, 7))
    assert shake(smoother(ROWS, WINDOW) @ noise) < 0.25 * shake(noise)


@pytest.fixture
def checkpoint(tmp_path):
    def made(window):
        folder = tmp_path / str(window)
        shutil.copytree(find_checkpoint("labvla-mini").root, folder)
        config = json.loads((folder / "config.json").read_text())
        config["control"].pop("smooth_rows", None)
        if window is not None:
            config["control"]["smooth_rows"] = window
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return made


def test_joints_are_smoothed_and_the_gripper_is_not(checkpoint):
    images = [np.full((128, 128, 3), level, np.uint8) for level in (90, 160)]
    state = [0, -0.2, 0, -2.2, 0, 2.0, 0.78, 0.02]
    raw, smooth = (
        load_policy(checkpoint(window)).predict(images, state, "Pick up the beaker", seed=1)
        for window in (None, WINDOW)
    )
    assert np.array_equal(raw.chunk, smooth.chunk)
    assert np.array_equal(raw.actions[:, 7], smooth.actions[:, 7])
    assert shake(smooth.actions[:, :7]) < 0.5 * shake(raw.actions[:, :7])
    assert smooth.actions[:, :7] == pytest.approx(
        smoother(ROWS, WINDOW) @ raw.actions[:, :7], abs=1e-5
    )


@pytest.mark.parametrize("window", [3, 8, 0])
def test_a_window_that_makes_no_sense_is_refused(checkpoint, window):
    with pytest.raises(ConfigError, match=f"smooth_rows: expected an odd number.*got {window}"):
        load_policy(checkpoint(window))


def test_a_window_wider_than_the_chunk_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match="at most the 32 rows of a chunk, got 33"):
        load_policy(checkpoint(33))
