"""Run by another Python: reads a dataset with the real lerobot package, prints what it saw."""

import hashlib
import json
import sys

import numpy as np
from lerobot.datasets import lerobot_dataset
from lerobot.datasets.compute_stats import aggregate_stats, get_feature_stats


def read(root, backend):
    dataset = lerobot_dataset.LeRobotDataset(
        "labvla/test",
        root=root,
        video_backend=backend,
        delta_timestamps={"action": [k / 30 for k in range(10)]},
    )
    # Not `for item in dataset`: whether its length is right is part of the question.
    items = [dataset[index] for index in range(len(dataset))]
    states = np.stack([item["observation.state"].numpy() for item in items])
    return {
        "version": lerobot_dataset.CODEBASE_VERSION,
        "frames": len(items),
        "episodes": dataset.num_episodes,
        "states": hashlib.sha256(states.astype("<f4").tobytes()).hexdigest(),
        "chunk_shape": list(items[0]["action"].shape),
        "padded": int(items[-1]["action_is_pad"].sum()),
        "tasks": [item["task"] for item in items],
        "subtasks": [item.get("subtask") for item in items],
        "intervention": [bool(item["intervention"]) for item in items],
        "pixels": {
            key: [[round(float(item[key][c].mean()), 6) for c in range(3)] for item in items]
            for key in dataset.meta.camera_keys
        },
        "pixel_shape": {key: list(items[0][key].shape) for key in dataset.meta.camera_keys},
        "stats_kept": plain(dataset.meta.stats),
        "stats_recomputed": plain(recomputed(dataset, items)),
    }


def recomputed(dataset, items):
    """The package's own statistics of what it has just read, pooled as it pools them."""
    numbers = np.array([int(item["episode_index"]) for item in items])
    episodes = []
    for number in sorted(set(numbers)):
        mine = [item for item, n in zip(items, numbers, strict=True) if n == number]
        stats = {}
        for key in ("observation.state", "timestamp", "index"):
            values = np.stack([np.atleast_1d(item[key].numpy()) for item in mine])
            stats[key] = get_feature_stats(values, axis=0, keepdims=False)
        for key in dataset.meta.camera_keys:
            pictures = np.stack([item[key].numpy() for item in mine])
            kept = get_feature_stats(pictures, axis=(0, 2, 3), keepdims=True)
            stats[key] = {k: v if k == "count" else np.squeeze(v, axis=0) for k, v in kept.items()}
        episodes.append(stats)
    return aggregate_stats(episodes)


def plain(stats):
    return {key: {k: np.asarray(v).tolist() for k, v in s.items()} for key, s in stats.items()}


if __name__ == "__main__":
    json.dump(read(sys.argv[1], sys.argv[2]), sys.stdout)
