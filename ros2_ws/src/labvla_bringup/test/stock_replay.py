"""Runs in the stock client's own environment: asks known questions in turn, compares each answer.

python -I stock_replay.py URI REQUESTS API_KEY QUESTIONS.npz
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy

CAMERAS = ("camera_1_rgb", "camera_2_rgb", "camera_3_rgb")


def main(uri, requests, key, file):
    known = np.load(file)
    questions = [
        {
            **dict(zip(CAMERAS, pictures, strict=True)),
            "state": state,
            "prompt": str(prompt),
            "seed": int(seed),
        }
        for pictures, state, prompt, seed in zip(
            known["pictures"], known["states"], known["prompts"], known["seeds"], strict=True
        )
    ]
    actions = known["actions"]
    client = WebsocketClientPolicy(uri, api_key=key)
    wrong = 0
    begin = time.monotonic()
    for number in range(int(requests)):
        index = number % len(questions)
        rows, expected = client.infer(questions[index])["actions"], actions[index]
        same = rows.shape == expected.shape and np.allclose(rows, expected, rtol=1e-4, atol=1e-5)
        wrong += not same
    report = {
        "requests": int(requests),
        "questions": len(questions),
        "wrong": wrong,
        "seconds": time.monotonic() - begin,
        "version": version("openpi-client"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
