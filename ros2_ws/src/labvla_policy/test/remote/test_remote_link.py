"""The connection itself, with servers that no library would let one write."""

import contextlib
import socket
import threading
import time

import pytest
from websockets.utils import accept_key

from labvla_policy.engines.remote.link import Link
from labvla_policy.engines.remote.options import RemoteOptions
from labvla_policy.openpi.codec import encode
from labvla_policy.runtime.refusal import Refused

METADATA = encode({"policy_type": "labvla"})


@contextlib.contextmanager
def bare_server(talk):
    """A listening socket; `talk` gets each connection on a thread of its own."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def accept():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        talk(connection, over)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            uri = f"ws://127.0.0.1:{listening.getsockname()[1]}"
            yield Link(RemoteOptions.parse({"uri": uri, "deadline": "0.3"}))
        finally:
            over.set()
            thread.join()


def shake_hands(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
    )


def greet(connection):
    shake_hands(connection)
    connection.sendall(b"\x82" + bytes([len(METADATA)]) + METADATA)


def reason(action):
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.refusal.reason


def test_a_server_that_does_not_read():
    def deaf(connection, over):
        greet(connection)
        over.wait(20)

    with bare_server(deaf) as link:
        assert link.open(10.0) == {"policy_type": "labvla"}
        begin = time.monotonic()
        assert reason(lambda: link.ask(b"x" * 50_000_000, 0.3)) == "server_timeout"
        assert time.monotonic() - begin < 10
        assert not link.is_open


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (lambda connection, over: over.wait(5), "server_unreachable"),  # never shakes hands
        (lambda connection, over: connection.sendall(b"SSH-2.0-x\r\n\r\n"), "server_unreachable"),
        (lambda connection, over: None, "server_unreachable"),  # hangs up
        (lambda connection, over: (shake_hands(connection), over.wait(5)), "server_timeout"),
        (lambda connection, over: shake_hands(connection), "connection_lost"),
        (
            lambda connection, over: (shake_hands(connection), connection.sendall(b"\x82\x01\xc1")),
            "reply_malformed",
        ),
        (
            lambda connection, over: (shake_hands(connection), connection.sendall(b"\x81\x02no")),
            "error_reply",
        ),
    ],
)
def test_first_words_that_are_none(talk, expected):
    with bare_server(talk) as link:
        assert reason(lambda: link.open(0.3)) == expected
        assert not link.is_open or expected == "error_reply"
