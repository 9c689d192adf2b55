"""Made-up motions: smooth columns, and a gripper that closes once."""

import numpy as np


def motions(count, rows=10, columns=8, seed=0):
    draw = np.random.default_rng(seed)
    time = np.linspace(0, 1, rows)[None, :, None]
    speed, bend = draw.normal(size=(2, count, 1, columns))
    chunks = speed * time + bend * np.square(time)
    chunks += 0.01 * draw.normal(size=chunks.shape)
    chunks[..., -1] = np.where(draw.uniform(size=(count, 1)) < time[..., 0], 1, -1)
    return np.clip(chunks, -1, 1)
