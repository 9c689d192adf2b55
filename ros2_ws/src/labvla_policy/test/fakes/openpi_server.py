"""A fake of a server of openpi's: keys of its own, no word about its policy, errors as texts."""

from __future__ import annotations

import contextlib
import threading
import traceback

import numpy as np
from original_server import packed, unpacked
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


class OpenPiServer:
    """As for DROID: two pictures, joints and gripper apart, rows that are joint velocities."""

    def __init__(self, velocity=0.05, rows=15, metadata=None):
        self.velocity, self.rows = velocity, rows
        self.requests = []
        self.headers = []
        self._metadata = metadata or {}
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None, max_size=None)
        self.uri = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()

    def _serve(self, connection):
        self.headers.append(dict(connection.request.headers))
        with contextlib.suppress(ConnectionClosed):
            connection.send(packed(self._metadata))
            for message in connection:
                try:
                    connection.send(packed({"actions": self.infer(unpacked(message))}))
                except ConnectionClosed:
                    raise
                except Exception:
                    connection.send(traceback.format_exc())
                    connection.close(1011, "Internal server error. Traceback included.")

    def infer(self, observation):
        self.requests.append(observation)
        assert observation["observation/image"].shape[2] == 3
        assert observation["observation/wrist_image"].shape[2] == 3
        joints, gripper = observation["observation/joint_position"], observation["observation/grip"]
        assert joints.shape == (7,)
        rows = np.zeros((self.rows, 8))
        rows[:, 0] = self.velocity
        rows[:, 7] = gripper[0]
        return rows
