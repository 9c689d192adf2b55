"""A tiny dataset of a Franka, and settings that learn it in seconds."""

import json
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from labvla_data.dataset import ACTION, IMAGES, STATE, Column, DatasetWriter, Picture, of_cell
from labvla_policy.runtime.cell import load_cell
from labvla_sim.demonstrations.attempt import as_recorded
from labvla_train.log import LOG
from labvla_train.run import train
from labvla_train.settings import settings_from

SIZE, FPS = 32, 30
CAMERAS = ("front", "wrist")
TRUTH = ("x", "y", "still")
ROW = (0, -0.2, 0, -2.2, 0, 2.0, 0.78, 0.03)  # a state
INSTRUCTIONS = ("Press the start button", "Pick up the beaker")


def recorded_cell(cameras=CAMERAS):
    return as_recorded(load_cell("franka"), SIZE, cameras)


def write_dataset(
    folder,
    lengths=(14, 11, 12, 13),
    *,
    schema=True,
    truth=True,
    images="video",
    instructions=INSTRUCTIONS,
):
    """Write episodes of smooth motions."""
    cell = recorded_cell()
    names = tuple(cell.column_names)
    features = {
        STATE: Column("float32", names),
        ACTION: Column("float32", names),
        **{IMAGES + camera: Picture(SIZE, SIZE) for camera in CAMERAS},
    }
    if truth:
        features["truth"] = Column("float32", TRUTH)
    chance = np.random.default_rng(3)
    meaning = of_cell(cell) if schema else None
    with DatasetWriter(folder, features, FPS, images=images, schema=meaning) as writer:
        for number, length in enumerate(lengths):
            motion = _motion(chance, length + 1)
            task = instructions[number % len(instructions)]
            with writer.episode(task, {"task_name": task.split()[0].lower()}) as episode:
                for frame in range(length):
                    values = {
                        STATE: motion[frame],
                        ACTION: motion[frame + 1],
                        **{
                            IMAGES + camera: _picture(slot, number, frame)
                            for slot, camera in enumerate(CAMERAS)
                        },
                    }
                    if truth:
                        values["truth"] = np.array([frame, -number, 1.0], dtype=np.float32)
                    episode.add(values)
    return folder


def _motion(chance, frames):
    start = np.array([0, -0.2, 0, -2.2, 0, 2.0, 0.78, 0.02])
    step = chance.normal(0, 0.01, 8) * [1, 1, 1, 1, 1, 1, 1, 0.1]
    motion = start + np.arange(frames)[:, None] * step + chance.normal(0, 0.002, (frames, 8))
    motion[:, 7] = np.where(np.arange(frames) < frames // 2, 0.04, 0.0)
    return motion.astype(np.float32)


def _picture(slot, episode, frame):
    ramp = np.arange(SIZE * SIZE * 3).reshape(SIZE, SIZE, 3)
    return ((ramp // 40 + 20 * slot + 31 * episode + 3 * frame) % 256).astype(np.uint8)


def tiny(dataset, **changes):
    """Return settings; `changes` are sections, or entries of sections."""
    values = {
        "data": {"dataset": str(dataset), "held_out": 0.25, "stride": 2, "execute_rows": 3},
        "network": {
            "policy": {
                "image_resolution": [32, 32],
                "tokenizer_max_length": 8,
                "chunk_size": 6,
                "max_state_dim": 8,
                "max_action_dim": 8,
                "num_inference_steps": 3,
                "dit_num_layers": 2,
                "dit_num_heads": 2,
                "dit_head_dim": 16,
            },
            "backbone": {
                "camera_slots": 2,
                "hidden_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "eye_channels": [8, 8, 16],
            },
        },
        "augment": {
            "shift": 2,
            "brightness": 0.2,
            "contrast": 0.2,
            "tint": 0.1,
            "saturation": 0.2,
            "sharpness": 0.5,
            "state_noise": 0.03,
            "unknown_words": 0.1,
            "lost_words": 0.1,
        },
        "auxiliary": {"column": "truth", "things": {"thing": ["x", "y"]}},
        "optimizer": {
            "expert_rate": 1e-3,
            "backbone_rate": 1e-3,
            "floor": 1e-5,
            "warmup": 2,
        },
        "run": {
            "steps": 6,
            "batch": 4,
            "draws": 2,
            "precision": "float32",
            "average": 0.9,
            "delivered": "float32",
            "threads": 1,
            "save_every": 3,
            "log_every": 1,
            "measure_every": 3,
            "measured": 4,
        },
    }
    for section, entries in changes.items():
        if isinstance(entries, dict) and isinstance(values.get(section), dict):
            values[section] = values[section] | entries
        else:
            values[section] = entries
    return settings_from(values)


def go(folder, settings, until=None, stage="flow"):
    """Train, or go on."""
    return train(stage, settings, folder, beside=Path(), until=until)


def entries(folder):
    """Return the log without what the clock says."""
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    clock = {"time", "samples_per_second"}
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


def weights(checkpoint):
    """Return what the policy of a checkpoint is."""
    return load_file(checkpoint / "model.safetensors")


def pictures():
    """Return one of each camera."""
    chance = np.random.default_rng(0)
    return [chance.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8) for _ in CAMERAS]
