"""Small datasets whose contents are known: a dot that moves through smooth pictures."""

import numpy as np

from labvla_data.dataset import ACTION, IMAGES, STATE, Column, DatasetWriter, Picture, of_cell
from labvla_policy.runtime.cell import load_cell

HEIGHT, WIDTH = 96, 128
CAMERAS = ("front", "side", "wrist")
FPS = 30
SOUND_LENGTHS = (45, 50, 55, 60, 48, 52)
CELL = load_cell("franka")
NAMES = tuple(name or f"unused_{i}" for i, name in enumerate(CELL.column_names))


def features(cameras=CAMERAS):
    return {
        STATE: Column("float32", NAMES),
        ACTION: Column("float32", NAMES),
        "stamps": Column("int64", ("state", *cameras)),
        "intervention": Column("bool", ("intervention",)),
        **{IMAGES + camera: Picture(HEIGHT, WIDTH) for camera in cameras},
    }


def picture(episode, frame, camera, height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[:height, :width]
    shade = 60 + 80 * x / width + 60 * y / height + 10 * camera
    pixels = np.stack([shade, 0.8 * shade, 0.6 * shade + 5 * episode], axis=-1)
    centre = (height / 2 + 20 * np.sin(frame / 9), 20 + (frame * 1.5) % (width - 40))
    pixels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 100] = (200, 60, 50)
    pixels[-24:, -24:] = 255 * ((x + y)[-24:, -24:, None] // 8 % 2)  # something with sharp edges
    return pixels.astype(np.uint8)


def positions(episode, time):
    """Joints and gripper of an episode's motion at a time (s)."""
    phase = 0.7 * episode + np.arange(7)
    joints = 0.3 * np.sin(0.9 * time + phase)
    return np.append(joints, 0.02 + 0.02 * np.cos(0.5 * time + episode)).astype(np.float32)


def frame(episode, index, cameras=CAMERAS):
    return {
        STATE: positions(episode, index / FPS),
        ACTION: positions(episode, (index + 1) / FPS),
        "stamps": 1_732_190_000_000_000_000 + np.arange(len(cameras) + 1) + index * 33_333_333,
        "intervention": index >= 20,
        **{IMAGES + name: picture(episode, index, k) for k, name in enumerate(cameras)},
    }


def write(
    folder, version="v3.0", images="video", lengths=(40, 25, 30), cameras=CAMERAS, schema=True
):
    """Write a dataset of such episodes; cameras may be left out."""
    known = of_cell(CELL) if schema and cameras == CAMERAS else None
    with DatasetWriter(
        folder, features(cameras), FPS, version=version, images=images, schema=known
    ) as writer:
        for number, length in enumerate(lengths):
            metadata = {"operator": "ada", "outcome": "success"}
            with writer.episode(f"pick up beaker {number % 2}", metadata) as episode:
                for index in range(length):
                    step = "reach" if index < 10 else "grasp"
                    episode.add(frame(number, index, cameras), subtask=step)
    return folder


def signal_to_noise(one, other):
    """Peak signal to noise ratio of two pictures, in dB."""
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))
