"""Runs in the stock client's own environment: asks a server, compares every answer, reports.

python -I stock_client.py URI REQUESTS [API_KEY]
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy

CAMERAS = ("camera_1_rgb", "camera_2_rgb", "camera_3_rgb")


def main(uri, requests, key=None):
    client = WebsocketClientPolicy(uri, api_key=key)
    chance = np.random.default_rng(0)
    scenes = chance.integers(0, 256, (4, 3, 224, 224, 3), dtype=np.uint8)
    wrong = 0
    begin = time.monotonic()
    for number in range(int(requests)):
        scene, state = scenes[number % 4], chance.normal(size=8).astype(np.float32)
        prompt = f"pick up beaker {number}"
        observation = {**dict(zip(CAMERAS, scene, strict=True)), "state": state, "prompt": prompt}
        rows = client.infer(observation)["actions"]
        slope = sum(picture.mean() for picture in scene)
        expected = state + np.arange(50)[:, None] * slope + len(prompt)
        wrong += not (rows.dtype == np.float32 and np.allclose(rows, expected, rtol=1e-6))
    seconds = time.monotonic() - begin
    refusals = []
    for spoilt in ({"state": state[:7]}, {"prompt": ""}, {"camera_1_rgb": scene[0][..., :1]}):
        try:
            client.infer({**observation, **spoilt})
        except RuntimeError as error:
            refusals.append(str(error))
    after = client.infer(observation)["actions"].shape  # the connection goes on
    report = {
        "requests": int(requests),
        "wrong": wrong,
        "seconds": seconds,
        "metadata": client.get_server_metadata(),
        "refusals": refusals,
        "shape_after_refusals": list(after),
        "versions": {name: version(name) for name in ("openpi-client", "numpy", "websockets")},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
