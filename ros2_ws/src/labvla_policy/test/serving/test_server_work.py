"""One inference at a time: who waits, who is told what, and what becomes of work that fails."""

import threading
import time

import numpy as np
import pytest
from serving_support import (
    Client,
    FunctionPolicy,
    answer_to,
    http_get,
    request,
    serving,
    until,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus


def ask_in_thread(uri, results, name, source=None, **changes):
    def work():
        with Client(uri, extensions=True, source_address=source) as client:
            results.append((name, client.ask(request(**changes))))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_one_inference_at_a_time():
    with serving() as (policy, uri):
        policy.gate.clear()
        results = []
        threads = [ask_in_thread(uri, results, n, scene=n) for n in range(6)]
        until(lambda: policy.asked)
        time.sleep(0.3)  # for the others to come, and to wait
        policy.gate.set()
        for thread in threads:
            thread.join()
        assert policy.most_at_once == 1
        for scene, reply in results:
            np.testing.assert_array_equal(reply["actions"], answer_to(request(scene)))


def test_a_machine_with_many_connections_does_not_keep_another_one_out():
    with serving(most_waiting=4) as (policy, uri):
        policy.gate.clear()
        results = []
        threads = [ask_in_thread(uri, results, n, prompt=f"crowd {n}") for n in range(6)]
        until(lambda: len(results) == 1)  # one is in work, four wait, one is told
        other = ask_in_thread(uri, results, "other", source=("127.0.0.2", 0), prompt="other")
        until(lambda: len(results) == 2)  # one more of the crowd had to go
        policy.gate.set()
        for thread in (*threads, other):
            thread.join()
    refused = [name for name, reply in results if reply.get("error") == "overload"]
    assert len(refused) == 2
    assert "other" not in refused
    assert [asked.prompt for asked in policy.asked].index("other") <= 2


def test_overload_is_said_at_once_and_passes():
    with serving(most_waiting=2) as (policy, uri):
        policy.gate.clear()
        results = []
        threads = [ask_in_thread(uri, results, n) for n in range(5)]
        until(lambda: len(results) == 2)  # one is in work, two wait, two are told
        for _, reply in results:
            assert reply["error"] == "overload"
            assert reply["retry_after_ms"] == 100
        policy.gate.set()
        for thread in threads:
            thread.join()
        assert sum("actions" in reply for _, reply in results) == 3


def test_a_deadline_is_kept_whether_waiting_or_in_work():
    with serving() as (policy, uri):
        policy.gate.clear()
        with Client(uri, extensions=True) as working, Client(uri, extensions=True) as waiting:
            working.send(request(deadline_ms=400))
            until(lambda: policy.asked)
            waiting.send(request(deadline_ms=100))
            assert waiting.receive()["error"] == "deadline"
            assert working.receive()["error"] == "deadline"
            assert policy.asked[0].abandoned.is_set()
            policy.gate.set()
            assert "actions" in waiting.ask(request())
        assert len(policy.asked) == 2  # what nobody waited for any more was not begun


def test_the_servers_own_deadline_is_for_clients_that_have_none():
    with serving(deadline=0.1) as (policy, uri):
        policy.gate.clear()
        with Client(uri) as client:
            assert client.ask(request()).startswith("deadline: not answered within 100 ms")
        policy.gate.set()


def test_a_client_that_has_gone_is_not_worked_for():
    with serving() as (policy, uri):
        policy.gate.clear()
        with Client(uri) as first:
            first.send(request())
            until(lambda: policy.asked)
            with Client(uri) as impatient:
                impatient.send(request(1))
                time.sleep(0.1)
        until(policy.asked[0].abandoned.is_set)
        with Client(uri) as last:
            last.send(request(2))
            policy.gate.set()
            np.testing.assert_array_equal(last.receive()["actions"], answer_to(request(2)))
        assert len(policy.asked) == 2


def failing(error):
    def spoil(_rows):
        raise error

    return spoil


def test_a_policy_that_fails_closes_the_connection_and_tells_nothing():
    policy = FunctionPolicy(spoil=failing(RuntimeError("secret path")))
    with serving(policy) as (_, uri), Client(uri) as client:
        refused = client.ask(request())
        assert refused.startswith("internal_server_error")
        assert "secret" not in refused
        with pytest.raises(ConnectionClosed) as closed:
            client.ask(request())
        assert closed.value.rcvd.code == 1011
        policy.spoil = None
        with Client(uri) as again:
            assert "actions" in again.ask(request())


def test_a_fault_of_the_server_itself_is_told_too():
    with serving() as (policy, uri), Client(uri, extensions=True) as client:
        counting, policy.count_tokens = policy.count_tokens, failing(ZeroDivisionError("secret"))
        refused = client.ask(request())
        assert refused["error"] == "internal_server_error"
        assert "secret" not in refused["detail"]
        with pytest.raises(ConnectionClosed):
            client.receive()
        policy.count_tokens = counting
        with Client(uri) as again:
            assert "actions" in again.ask(request())


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (lambda rows: rows[:, :7], "expected rows of 8 numbers, got the shape (50, 7)"),
        (lambda rows: rows[0], "the shape (8,)"),
        (lambda rows: rows[:0], "the shape (0, 8)"),
        (lambda rows: np.where(np.arange(8) == 3, np.nan, rows), "row 0, column 3 is nan"),
    ],
)
def test_rows_that_are_none_are_not_handed_on(spoil, detail):
    with serving(FunctionPolicy(spoil=spoil)) as (_, uri), Client(uri, extensions=True) as client:
        refused = client.ask(request())
        assert refused["error"] == "policy_answer"
        assert detail in refused["detail"]


def test_an_inference_that_hangs_shows_in_the_health():
    with serving(stuck_after=0.05, drain=0.2) as (policy, uri):
        policy.gate.clear()
        with Client(uri) as client:
            client.send(request())
            until(lambda: http_get(uri, "/healthz")[0] == 503)
            assert http_get(uri, "/healthz")[1].startswith("stuck")
            policy.gate.set()
            assert "actions" in client.receive()
            assert http_get(uri, "/healthz") == (200, "OK\n")


def test_going_down_finishes_what_is_under_way_and_begins_nothing():
    policy = FunctionPolicy()
    server = serving(policy)
    _, uri = server.__enter__()
    busy, idle = Client(uri, extensions=True), Client(uri, extensions=True)
    policy.gate.clear()
    busy.send(request(3))
    until(lambda: policy.asked)
    ending = threading.Thread(target=server.__exit__, args=(None, None, None))
    ending.start()
    until(lambda: http_get(uri, "/healthz") == (503, "draining\n"))
    with pytest.raises(InvalidStatus) as refused:
        Client(uri)
    assert refused.value.response.status_code == 503
    assert idle.ask(request())["error"] == "draining"
    policy.gate.set()
    np.testing.assert_array_equal(busy.receive()["actions"], answer_to(request(3)))
    ending.join()
    for client in (busy, idle):
        with pytest.raises(ConnectionClosed) as closed:
            client.receive()
        assert closed.value.rcvd.code == 1001
    with pytest.raises(ConnectionRefusedError):
        Client(uri)
