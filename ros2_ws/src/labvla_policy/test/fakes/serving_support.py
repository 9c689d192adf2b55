"""A policy that is a function, a server around it, and clients that speak the protocol by hand."""

import contextlib
import http.client
import threading
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from websockets.sync.client import connect

from labvla_policy.openpi.codec import decode, encode
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.openpi.names import CAMERAS, SUBPROTOCOL
from labvla_policy.serving.background import in_background
from labvla_policy.serving.policy import PolicyAnswer
from labvla_policy.serving.settings import ServerSettings

TOKEN = "0123456789abcdef-of-the-test"
WAIT = 30.0  # s; far more than anything takes, so that a slow machine does not fail a test
ROWS, WIDTH = 50, 8


@dataclass
class FunctionPolicy:
    """Test double: rows are a known function of everything in the request.

    Row k is the state, plus k times the mean of each picture, plus the length of the prompt.
    """

    extensions: tuple[str, ...] = ()
    prefix_rows: int | None = None
    prompt_limit: int | None = 48
    count_tokens: object = lambda prompt: len(prompt.split())
    spoil: object = None  # called with the rows; what it returns or raises is the answer
    gate: threading.Event = field(default_factory=threading.Event)  # closed: infer waits
    asked: deque = field(default_factory=lambda: deque(maxlen=64))  # pictures are large
    count: int = 0
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self):
        self.gate.set()
        self.metadata = Metadata(
            policy_type="function",
            action_dim=WIDTH,
            state_dim=WIDTH,
            chunk_size=ROWS,
            num_cameras=3,
            action_space="absolute",
            control_rate=30.0,
            row_offset=1,
            prompt_tokens=self.prompt_limit,
            extensions=self.extensions,
            prefix_rows=self.prefix_rows,
        )

    def prompt_tokens(self, prompt):
        return self.count_tokens(prompt)

    def infer(self, request):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(request)
        self.count += 1
        assert self.gate.wait(WAIT)
        rows = expected_rows(request.images, request.state, request.prompt)
        self.at_once -= 1
        continued = 0 if request.prefix is None else len(request.prefix.rows)
        return PolicyAnswer(self.spoil(rows) if self.spoil else rows, continued)


def expected_rows(images, state, prompt):
    slope = sum(image.mean() for image in images if image is not None)
    return state + np.arange(ROWS)[:, None] * slope + len(prompt)


def request(scene=0, **changes):
    """A complete request; a change to None leaves the key out."""
    rng = np.random.default_rng(scene)
    pictures = {name: rng.integers(0, 256, (24, 32, 3), dtype=np.uint8) for name in CAMERAS}
    whole = {**pictures, "state": rng.normal(size=WIDTH), "prompt": "pick up the beaker", **changes}
    return {key: value for key, value in whole.items() if value is not None}


def answer_to(asked):
    """What the function policy says to a request of `request`."""
    return expected_rows([asked[name] for name in CAMERAS], asked["state"], asked["prompt"]).astype(
        np.float32
    )


@contextlib.contextmanager
def serving(policy=None, **settings):
    """A server on a free port; gives policy and address."""
    policy = policy or FunctionPolicy()
    with in_background(policy, ServerSettings(port=0, **settings)) as port:
        yield policy, f"ws://127.0.0.1:{port}"


class Client:
    """Speaks the protocol by hand."""

    def __init__(self, uri, extensions=False, **options):
        self._stack = contextlib.ExitStack()
        self.socket = self._stack.enter_context(
            connect(
                uri,
                compression=None,
                proxy=None,
                max_size=None,
                subprotocols=[SUBPROTOCOL] if extensions else None,
                open_timeout=WAIT,
                **options,
            )
        )
        self.metadata = decode(self.socket.recv(WAIT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def send(self, asked):
        self.socket.send(asked if isinstance(asked, bytes | str) else encode(asked))

    def receive(self):
        message = self.socket.recv(WAIT)
        return message if isinstance(message, str) else decode(message)

    def ask(self, asked):
        self.send(asked)
        return self.receive()


def until(condition):
    """Wait until a condition holds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def http_get(uri, path):
    """Status and text of a plain request."""
    host = uri.removeprefix("ws://")
    connection = http.client.HTTPConnection(host, timeout=WAIT)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()
