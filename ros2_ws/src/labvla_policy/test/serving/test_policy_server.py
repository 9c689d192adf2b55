"""The server as its clients see it: whatever they send, they are told why, and it lives on."""

import asyncio
import resource
import socket
import struct
import time

import numpy as np
import pytest
from serving_support import WAIT, Client, FunctionPolicy, answer_to, request, serving
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus

from labvla_policy.openpi.codec import encode

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def shared():
    """A server that the tests of this module share; what they do to it must not harm the others."""
    with serving(most_bytes=12 * MEGABYTE) as (policy, uri):
        yield policy, uri


@pytest.fixture
def uri(shared):
    yield shared[1]
    with Client(shared[1]) as client:  # it lives on
        asked = request(7)
        np.testing.assert_array_equal(client.ask(asked)["actions"], answer_to(asked))


def test_metadata_then_an_answer_to_each_request(uri):
    with Client(uri) as client:
        said = client.metadata
        assert said["policy_type"] == "function"
        assert (said["action_dim"], said["state_dim"], said["chunk_size"]) == (8, 8, 50)
        assert said["cameras"] == ["camera_1_rgb", "camera_2_rgb", "camera_3_rgb"]
        assert said["control_rate"] == 30.0
        for number in range(3):
            asked = request(number)
            reply = client.ask(asked)
            assert reply["actions"].dtype == np.float32
            np.testing.assert_array_equal(reply["actions"], answer_to(asked))
            assert reply["policy_timing"]["infer_ms"] >= 0
            assert ("prev_total_ms" in reply["server_timing"]) == (number > 0)
            assert "request_id" not in reply


def test_extensions_are_shown_to_who_announces_them(uri):
    with Client(uri) as old, Client(uri, extensions=True) as new:
        assert "extensions" not in old.metadata
        assert new.metadata["extensions"] == ["request_id", "deadline_ms"]
        assert new.socket.subprotocol == "labvla.v1"
        assert new.ask(request(request_id=41))["request_id"] == 41
        assert new.ask(request(request_id=42, state=None))["request_id"] == 42


def test_refusals_are_texts_for_openpi_and_maps_for_labvla(uri):
    with Client(uri) as openpi:
        refused = openpi.ask(request(state=None))
        assert refused.startswith("state_missing: expected state: 8 numbers")
        np.testing.assert_array_equal(openpi.ask(request())["actions"], answer_to(request()))
    bearer = {"Authorization": "Bearer whatever"}
    for labvla in (Client(uri, additional_headers=bearer), Client(uri, extensions=True)):
        with labvla:
            refused = labvla.ask(request(state=None))
            assert set(refused) == {"error", "detail"}
            assert refused["error"] == "state_missing"
            assert "actions" in labvla.ask(request())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xc1", "request_malformed"),
        (b"\xdd\xff\xff\xff\xff", "request_malformed"),
        (encode(request())[:-7], "request_malformed"),
        ("hello", "request_type"),
        (encode(["hello"]), "request_type"),
        (encode({}), "camera_missing"),
        (encode({"observation/image": np.zeros((224, 224, 3), np.uint8)}), "camera_unknown"),
        (encode(request(camera_1_rgb=np.zeros((64, 64, 5), np.uint8))), "image_shape"),
        (encode(request(prompt="x" * 10_000_000)), "prompt_too_long"),
        (encode(request(deadline_ms=-1)), "extension"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_requests_are_refused_by_name_and_the_connection_stays(uri, message, reason):
    with Client(uri) as client:
        assert client.ask(message).startswith(f"{reason}: ")
        assert "actions" in client.ask(request())


def raw_connection(uri):
    """A connection after the handshake and the metadata, as a bare socket."""
    host, port = uri.removeprefix("ws://").split(":")
    raw = socket.create_connection((host, int(port)), timeout=WAIT)
    raw.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    received = b""
    while b"chunk_size" not in received:
        received += raw.recv(65536)
    return raw


def resident():
    """Bytes of memory that this process, and so the server in it, holds."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * 4096


def send_until_closed(raw, piece, times, pause=0.0):
    for _ in range(times):
        raw.sendall(piece)
        time.sleep(pause)


def closing(raw):
    """What the server says when it closes: code and reason."""
    received = b""
    while piece := raw.recv(65536):
        received += piece
    start = received.rindex(b"\x88")
    return struct.unpack(">H", received[start + 2 : start + 4])[0], received[start + 4 :].decode()


def test_a_frame_of_a_gigabyte_is_refused_by_its_announcement(uri):
    raw = raw_connection(uri)
    before = resident()
    raw.sendall(b"\x82\xff" + struct.pack(">Q", 1_000_000_000) + b"mask" + b"x" * 1000)
    code, reason = closing(raw)
    assert code == 1009
    assert "1000000000" in reason
    assert resident() - before < 100 * MEGABYTE


def test_a_message_that_grows_too_large_in_pieces_is_refused(uri):
    with Client(uri) as client, pytest.raises(ConnectionClosed) as closed:
        client.socket.send(b"x" * MEGABYTE for _ in range(100))
    assert closed.value.rcvd.code == 1009


def test_a_request_that_is_never_finished_ends_with_its_client(uri):
    raw = raw_connection(uri)
    raw.sendall(b"\x82\xfe" + struct.pack(">H", 60000) + b"mask" + b"x" * 100)
    raw.close()


def test_a_client_that_dribbles_is_given_up():
    with serving(ping_interval=0.2, ping_timeout=0.3, send_timeout=0.2) as (_, uri):
        raw = raw_connection(uri)
        raw.sendall(b"\x82\xfe" + struct.pack(">H", 60000) + b"mask")
        with pytest.raises(ConnectionError):
            send_until_closed(raw, b"x", 1500, pause=0.02)
        with Client(uri) as client:
            assert "actions" in client.ask(request())


def test_a_client_that_does_not_take_its_answers_is_disconnected():
    policy = FunctionPolicy(spoil=lambda rows: np.repeat(rows, 1000, axis=0))  # 1.6 MB an answer
    with serving(policy, send_timeout=0.3) as (_, uri):
        raw = raw_connection(uri)
        asked = encode(request())
        frame = b"\x82\xfe" + struct.pack(">H", len(asked)) + b"\0\0\0\0" + asked
        with pytest.raises(ConnectionError):
            send_until_closed(raw, frame, 1000)
        with Client(uri) as client:
            assert "actions" in client.ask(request())


def test_a_thousand_connections_at_once(uri):
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, 4096)), most))
    outcomes = []
    everybody = asyncio.Event()

    def note(outcome):
        outcomes.append(outcome)
        if len(outcomes) == 1000:
            everybody.set()

    async def come():
        try:
            async with connect_async(uri, compression=None, open_timeout=WAIT) as client:
                await client.recv()
                note("served")
                await everybody.wait()
        except InvalidStatus as refused:
            note(bytes(refused.response.body))

    async def crowd():
        await asyncio.gather(*(come() for _ in range(1000)))

    asyncio.run(crowd())
    assert set(outcomes) == {"served", b"There are 64 clients already.\n"}
    assert 64 <= outcomes.count("served") < 100  # some handshakes are under way at once


def test_the_committed_prefix_reaches_the_policy():
    policy = FunctionPolicy(extensions=("prefix", "seed"), prefix_rows=10)
    rows = np.arange(24.0).reshape(3, 8)
    with serving(policy) as (_, uri), Client(uri, extensions=True) as client:
        assert client.metadata["prefix_rows"] == 10
        assert "prefix" in client.metadata["extensions"]
        reply = client.ask(request(prefix=rows, prefix_frozen=1, seed=4))
        assert reply["prefix_rows"] == 3
        asked = policy.asked[-1]
        np.testing.assert_array_equal(asked.prefix.rows, rows)
        assert (asked.prefix.frozen, asked.seed) == (1, 4)
        with Client(uri) as old:
            assert "prefix_rows" not in old.metadata
            assert "prefix_rows" not in old.ask(request())
