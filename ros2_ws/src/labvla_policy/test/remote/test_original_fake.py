"""The fake behaves as the original is known to: a fake that is kinder than that proves nothing."""

import http.client

import numpy as np
import pytest
from original_server import OriginalServer, packed, unpacked
from remote_support import PICTURES
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

WAIT = 30.0
STATE = np.arange(8.0)


def ask(connection, observation):
    connection.send(packed(observation))
    return unpacked(connection.recv(WAIT))


@pytest.fixture
def server():
    with OriginalServer() as server:
        yield server


@pytest.fixture
def client(server):
    with connect(server.uri, compression=None, proxy=None) as client:
        assert unpacked(client.recv(WAIT))["policy_type"] == "labvla"
        yield client


def test_rows_are_float32_and_about_the_state(client):
    reply = ask(client, {"camera_1_rgb": PICTURES[0], "state": STATE})
    assert reply["actions"].dtype == np.float32
    assert reply["actions"].shape == (50, 8)
    np.testing.assert_allclose(reply["actions"][:, 1:], np.tile(STATE[1:], (50, 1)), atol=1e-3)
    assert "prev_total_ms" not in reply["server_timing"]
    assert "prev_total_ms" in ask(client, {"camera_1_rgb": PICTURES[0]})["server_timing"]


def test_other_camera_names_give_zeros_and_no_error(client):
    reply = ask(client, {"observation/image": PICTURES[0], "state": STATE})
    assert reply["actions"].dtype == np.float64
    assert not reply["actions"].any()


def test_a_missing_state_is_taken_for_zeros(client):
    rows = ask(client, {"camera_2_rgb": PICTURES[0]})["actions"]
    assert np.abs(rows).max() < 0.2


def test_a_failure_is_a_map_and_1011(client):
    assert ask(client, {"camera_1_rgb": np.zeros(3)}) == {"error": "internal_server_error"}
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(WAIT)
    assert closed.value.rcvd.code == 1011


def test_health_answers_426(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 426


def test_with_a_token_every_connection_fails_with_500():
    with OriginalServer(token="secret") as server, pytest.raises(InvalidStatus) as refused:
        connect(server.uri, additional_headers={"Authorization": "Bearer secret"}, proxy=None)
    assert refused.value.response.status_code == 500


def test_narrow_schemas_are_filled_to_eight_columns():
    with OriginalServer(width=7) as server:
        rows = server.infer({"camera_1_rgb": PICTURES[0], "state": np.ones(7)})
        assert rows.shape == (50, 8)
        assert not rows[:, 7].any()
