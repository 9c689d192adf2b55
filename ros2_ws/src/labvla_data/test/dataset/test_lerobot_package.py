"""The real lerobot package reads every frame of what is written here, and its statistics agree.

Its releases pin other versions of PyTorch and NumPy, so each lives in an environment of its own:
`tools/lerobot_envs` makes them under out/lerobot, LABVLA_LEROBOT_033_PYTHON and
LABVLA_LEROBOT_044_PYTHON name others.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dataset_support import CAMERAS, write

from labvla_data.dataset import IMAGES, STATE, open_dataset

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[4]
RELEASES = {"v2.1": "0.3.3", "v3.0": "0.4.4"}
LENGTHS = (40, 25, 130)  # more than LeRobot takes for statistics of pictures without skipping some


def interpreter(release):
    variable = f"LABVLA_LEROBOT_{release.replace('.', '')}_PYTHON"
    python = Path(os.environ.get(variable, ROOT / "out" / "lerobot" / release / "bin" / "python"))
    if not python.is_file():
        pytest.skip(f"no environment with lerobot {release}: run tools/lerobot_envs, or {variable}")
    return python


def read_by_lerobot(release, folder, backend, cache):
    environment = {
        "PATH": os.environ["PATH"],
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache),
        "TMPDIR": str(cache),
    }
    done = subprocess.run(
        [interpreter(release), HERE / "lerobot_reader.py", folder, backend],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=900,
    )
    if "Could not load libtorchcodec" in done.stderr:
        pytest.skip("torchcodec finds no FFmpeg libraries (Debian: libavcodec)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.timeout(1000)
@pytest.mark.parametrize(
    ("images", "backend"), [("video", "pyav"), ("video", "torchcodec"), ("png", "pyav")]
)
@pytest.mark.parametrize("version", RELEASES)
def test_every_frame_and_the_statistics(tmp_path, version, images, backend):
    interpreter(RELEASES[version])
    folder = write(tmp_path / "demo", version, images, LENGTHS)
    seen = read_by_lerobot(RELEASES[version], folder, backend, tmp_path)
    ours = open_dataset(folder)

    assert seen["version"] == version
    assert (seen["frames"], seen["episodes"]) == (sum(LENGTHS), len(LENGTHS))
    assert (seen["chunk_shape"], seen["padded"]) == ([10, 8], 9)
    states = np.concatenate([episode.column(STATE) for episode in ours])
    assert seen["states"] == hashlib.sha256(states.astype("<f4").tobytes()).hexdigest()
    assert seen["tasks"] == [task for episode in ours for task in episode.tasks]
    if version == "v3.0":  # the earlier release knows no subtasks
        assert seen["subtasks"] == [step for episode in ours for step in episode.subtasks]
    flags = np.concatenate([episode.column("intervention") for episode in ours])
    assert seen["intervention"] == flags.tolist()
    for camera in CAMERAS:
        key = IMAGES + camera
        assert seen["pixel_shape"][key] == [3, 96, 128]
        means = [
            pixels.mean(axis=(0, 1)) / 255 for episode in ours for pixels in episode.pictures(key)
        ]
        # The decoders differ in how they turn chroma into colour, by about one level of 255.
        assert np.allclose(seen["pixels"][key], means, atol=1e-6 if images == "png" else 0.006)

    for key, recomputed in seen["stats_recomputed"].items():
        kept = seen["stats_kept"][key]
        picture = key.startswith(IMAGES)
        for name in ("mean", "std") if picture and images == "video" else recomputed:
            if name not in kept:
                assert name.startswith("q")  # the package computes them, but does not keep them
                assert version == "v2.1"
                continue
            tolerance = 0.01 if picture else 1e-3 * np.ptp(kept["max"] + kept["min"])
            assert np.allclose(kept[name], recomputed[name], atol=tolerance), (key, name)
