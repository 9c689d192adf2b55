"""A faithful fake of the original LabVLA server, with its faults, and with worse ones on demand.

Written after the facts of its protocol, not with this stack's codec: what both must agree on is the
wire. Its habits that matter to a robot:

- pictures under other names are not seen; without any it answers zeros (float64), no error;
- a missing state is taken for zeros; a camera that is not there is masked;
- too many requests: a map {error: overload}; a failure: {error: internal_server_error}, then 1011;
- its handshake hook has the signature of an older library: /healthz answers 426, and with a token
  configured every connection fails with 500.

The network is replaced by a slow turn of the first joint about where it is.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgpack
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

CAMERAS = ("camera_1_rgb", "camera_2_rgb", "camera_3_rgb")
SPEED = 0.08  # rad/s
TURN = 0.2  # rad: beyond it the first joint comes back
NOISE = 1e-5  # rad; no network answers the same twice


def packed(value):
    def array(item):
        if isinstance(item, np.ndarray):
            kind = item.dtype.str
            return {
                b"__ndarray__": True, b"data": item.tobytes(), b"dtype": kind, b"shape": item.shape
            }  # fmt: skip
        raise TypeError(item)

    return msgpack.packb(value, default=array)


def unpacked(message):
    def array(found):
        if b"__ndarray__" in found:
            return np.ndarray(found[b"shape"], found[b"dtype"], found[b"data"])
        return found[b"data"] if b"__npgeneric__" in found else found

    return msgpack.unpackb(message, object_hook=array)


class OriginalServer:
    """Listens on a free port until it is closed; `misbehaviour` may be changed at any time."""

    def __init__(self, width=8, rows=50, rate=30.0, token="", workers=4, port=0):
        self.width, self.rows, self.rate = width, rows, rate
        self.misbehaviour = ""
        self.requests = []
        self.connections = 0
        self._token = token
        self._pool = ThreadPoolExecutor(workers)
        self._most_in_flight = 2 * workers
        self._in_flight = 0
        self._lock = threading.Lock()
        self._noise = np.random.default_rng(0)
        self._closing = threading.Event()
        self._server = serve(
            self._serve,
            "127.0.0.1",
            port,
            process_request=self._legacy_hook,
            compression=None,
            max_size=16 * 1024 * 1024,
            ping_interval=300,
            ping_timeout=300,
            close_timeout=1,
        )
        self.port = self._server.socket.getsockname()[1]
        self.uri = f"ws://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._pool.shutdown()

    def _legacy_hook(self, path, headers):
        """It means (path, headers) and is given (connection, request)."""
        if path == "/healthz":
            return 200, [], b"OK\n"
        if self._token and headers.get("Authorization") != f"Bearer {self._token}":
            return 401, [], b""
        return None

    def _serve(self, connection):
        self.connections += 1
        with contextlib.suppress(ConnectionClosed, OSError):
            connection.send(packed(self.metadata()))
            previous = None
            for message in connection:
                begin = time.monotonic()
                if not self._answer(connection, message, previous):
                    return
                previous = (time.monotonic() - begin) * 1000

    def metadata(self):
        return {
            "policy_type": "labvla",
            "action_dim": self.width,
            "chunk_size": self.rows,
            "model_chunk_size": 50,
            "output_chunk_size": self.rows,
            "state_dim": self.width,
            "max_state_dim": 32,
            "max_action_dim": 32,
            "num_inference_steps": 10,
            "num_cameras": 3,
        }

    def _answer(self, connection, message, previous):
        with self._lock:
            overloaded = self._in_flight >= self._most_in_flight
            self._in_flight += not overloaded
        if overloaded:
            return self._overload(connection)
        try:
            observation = unpacked(message)
            self.requests.append(observation)
            if self.misbehaviour:
                return getattr(self, f"_{self.misbehaviour}")(connection, observation)
            actions = self._pool.submit(self.infer, observation).result()
            connection.send(self._reply(actions, previous))
        except (ConnectionClosed, OSError):
            raise
        except Exception:  # the original tells the client nothing either
            return self._error(connection, {})
        finally:
            with self._lock:
                self._in_flight -= 1
        return True

    def _reply(self, actions, previous=None):
        timing = {"infer_ms": 1.0}
        server = {**timing, **({} if previous is None else {"prev_total_ms": previous})}
        return packed({"actions": actions, "policy_timing": timing, "server_timing": server})

    def infer(self, observation):
        seen = [self._picture(observation[n]) for n in CAMERAS if observation.get(n) is not None]
        if not seen:
            return np.zeros((self.rows, self.width))
        state = observation.get("state")
        state = np.zeros(self.width) if state is None else np.asarray(state, dtype=np.float32)
        actions = np.tile(state[: self.width], (self.rows, 1))
        way = -SPEED if state[0] > TURN else SPEED
        actions[:, 0] += way * np.arange(1, self.rows + 1) / self.rate
        actions += self._noise.normal(scale=NOISE, size=actions.shape)
        filling = ((0, 0), (0, max(0, 8 - self.width)))
        return np.pad(actions, filling).astype(np.float32)

    def _picture(self, image):
        if image.ndim != 3:
            raise ValueError(image.shape)
        if image.shape[0] == 3 and image.shape[2] != 3:
            image = image.transpose(1, 2, 0)
        if image.dtype.kind == "f":
            image = (np.clip(image, 0, 1) * 255).astype(np.uint8)
        return image

    # Misbehaviours: return whether the connection goes on

    def _hang(self, connection, observation):
        self._closing.wait(30)
        return False

    def _slow(self, connection, observation):
        actions = self.infer(observation)
        self._closing.wait(1.5)
        connection.send(self._reply(actions))
        return True

    def _overload(self, connection, observation=None):
        detail = "too many requests"
        connection.send(packed({"error": "overload", "detail": detail, "retry_after_ms": 100}))
        return True

    def _error(self, connection, observation):
        connection.send(packed({"error": "internal_server_error"}))
        connection.close(1011, "internal error")
        return False

    def _text(self, connection, observation):
        connection.send("Traceback (most recent call last):\n  ...\nValueError: out of memory")
        connection.close(1011)
        return False

    def _close_without_answer(self, connection, observation):
        connection.close(1011, "internal error")
        return False

    def _cut(self, connection, observation):
        message = self._reply(self.infer(observation))
        header = b"\x82\x7e" + struct.pack(">H", len(message))
        connection.socket.sendall(header + message[: len(message) // 2])
        connection.socket.shutdown(socket.SHUT_RDWR)
        return False

    def _stall(self, connection, observation):
        message = self._reply(self.infer(observation))
        header = b"\x82\x7e" + struct.pack(">H", len(message))
        connection.socket.sendall(header + message[: len(message) // 2])
        self._closing.wait(30)
        return False

    def _no_frame(self, connection, observation):
        connection.socket.sendall(b"\xff\xff" + b"HTTP/1.1 502 Bad Gateway")
        return True

    def _garbage(self, connection, observation):
        connection.send(np.random.default_rng(1).bytes(2000))
        return True

    def _truncated(self, connection, observation):
        connection.send(self._reply(self.infer(observation))[:-100])
        return True

    def _lies(self, connection, observation):
        array = {b"__ndarray__": True, b"data": b"", b"dtype": "|O", b"shape": [50, 8]}
        connection.send(msgpack.packb({"actions": array}))
        return True

    def _huge(self, connection, observation):
        connection.send(self._reply(np.zeros((500_000, self.width))))
        return True

    def _no_rows(self, connection, observation):
        connection.send(packed({"server_timing": {"infer_ms": 1.0}}))
        return True

    def _number(self, connection, observation):
        connection.send(packed(42))
        return True

    def _words(self, connection, observation):
        connection.send(packed({"actions": [["left"] * self.width] * self.rows}))
        return True

    def _flat(self, connection, observation):
        connection.send(self._reply(self.infer(observation)[0]))
        return True

    def _zeros(self, connection, observation):
        connection.send(self._reply(np.zeros((self.rows, self.width))))
        return True

    def _constant(self, connection, observation):
        actions = np.tile(np.asarray(observation["state"]), (self.rows, 1))
        actions[:, :7] += 0.1
        connection.send(self._reply(actions))
        return True

    def _jump(self, connection, observation):
        actions = self.infer(observation)
        actions[:, 3] += 0.5
        connection.send(self._reply(actions))
        return True

    def _not_a_number(self, connection, observation):
        actions = self.infer(observation)
        actions[3, 2] = np.nan
        connection.send(self._reply(actions))
        return True

    def _narrow(self, connection, observation):
        connection.send(self._reply(self.infer(observation)[:, :7]))
        return True

    def _wide(self, connection, observation):
        connection.send(self._reply(np.pad(self.infer(observation), ((0, 0), (0, 6)))))
        return True

    def _few_rows(self, connection, observation):
        connection.send(self._reply(self.infer(observation)[:3]))
        return True

    def _twice(self, connection, observation):
        for _ in range(2):
            connection.send(self._reply(self.infer(observation)))
        return True


# What a robot has to make of each, by the name of the event.
EXPECTED = {
    "hang": "server_timeout",
    "slow": "server_timeout",
    "stall": "server_timeout",
    "overload": "error_reply",
    "error": "error_reply",
    "text": "error_reply",
    "close_without_answer": "connection_lost",
    "cut": "connection_lost",
    "no_frame": "reply_malformed",
    "garbage": "reply_malformed",
    "truncated": "reply_malformed",
    "lies": "reply_malformed",
    "huge": "reply_malformed",
    "no_rows": "reply_incomplete",
    "number": "error_reply",
    "words": "prediction_shape",
    "flat": "prediction_shape",
    "zeros": "reply_zeros",
    "constant": "constant_targets",
    "jump": "first_row_jump",
    "not_a_number": "prediction_not_finite",
    "narrow": "prediction_width",
    "wide": "prediction_width",
    "few_rows": "reply_rows",
    "twice": "reply_unrequested",
}
