"""The remote engine: whatever the server does, there is a plan that is right, or a name for it."""

import random
import time
from dataclasses import replace

import numpy as np
import pytest
from original_server import EXPECTED, OriginalServer
from remote_support import PICTURES, engine_for, observe, original_and_engine, question, verdict

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.host import EngineHost
from labvla_policy.engines.remote.backoff import FIRST, LONGEST, Backoff
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refused

LOAD = 60.0


@pytest.fixture(scope="module")
def cell():
    return load_cell("franka")


def until_accepted(engine, cell):
    """Ask until the pauses between attempts are over."""
    deadline = time.monotonic() + 30.0
    while (outcome := verdict(engine, cell)) != "accepted":
        assert time.monotonic() < deadline, outcome
        time.sleep(0.02)


def test_what_the_original_is_asked_and_what_comes_of_it(cell):
    with original_and_engine() as (server, engine):
        assert engine.policy == f"remote:labvla:labvla@127.0.0.1:{server.port}"
        asked = question(cell)
        prediction = engine.infer(asked)
        sent, state = server.requests[-1], asked.observation.state
        for name, image in zip(
            ("camera_1_rgb", "camera_2_rgb", "camera_3_rgb"), PICTURES, strict=True
        ):
            np.testing.assert_array_equal(sent[name], image)
        assert sent["state"].dtype == np.float32
        np.testing.assert_allclose(sent["state"], state, rtol=1e-6)
        assert sent["prompt"] == sent["language_instruction"] == "pick up the beaker"
        # The server has added the state: rows are absolute, and are not added to anything again.
        np.testing.assert_allclose(
            prediction.joint_targets[:, 1:], np.tile(state[1:7], (50, 1)), atol=1e-3
        )
        assert prediction.plan_start == asked.observation.stamp + round(1e9 / 30)
        np.testing.assert_allclose(prediction.gripper_targets, 0.04, atol=1e-3)


def test_a_masked_camera_is_not_sent(cell):
    with original_and_engine() as (server, engine):
        engine.infer(question(cell, images=(PICTURES[0], None, PICTURES[2])))
        assert "camera_2_rgb" not in server.requests[-1]


@pytest.mark.parametrize("misbehaviour", sorted(set(EXPECTED) - {"twice"}))
def test_every_misbehaviour_has_a_name_and_passes(cell, misbehaviour):
    with original_and_engine(deadline="0.4") as (server, engine):
        server.misbehaviour = misbehaviour
        assert verdict(engine, cell) == EXPECTED[misbehaviour]
        server.misbehaviour = ""
        until_accepted(engine, cell)


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(cell):
    with original_and_engine() as (server, engine):
        server.misbehaviour = "twice"
        assert verdict(engine, cell) == "accepted"
        time.sleep(0.2)  # for the second one to arrive
        assert verdict(engine, cell) == "reply_unrequested"
        server.misbehaviour = ""
        until_accepted(engine, cell)


def test_a_late_answer_is_not_taken_for_the_next(cell):
    with original_and_engine(deadline="0.4") as (server, engine):
        server.misbehaviour = "slow"
        assert verdict(engine, cell) == "server_timeout"
        server.misbehaviour = ""
        time.sleep(1.5)  # the late answer has been sent
        moved = replace(observe(cell), state=observe(cell).state + 0.01)
        prediction = engine.infer(Question(moved))
        np.testing.assert_allclose(prediction.joint_targets[0, 1:], moved.state[1:7], atol=1e-3)


def test_pictures_that_are_too_large_for_the_server(cell):
    pictures = tuple(np.zeros((2000, 2000, 3), np.uint8) for _ in range(3))
    with original_and_engine() as (_, engine):
        with pytest.raises(Refused, match=r"connection_lost.*1009"):
            engine.infer(question(cell, images=pictures))
        until_accepted(engine, cell)


def test_a_server_that_goes_and_comes_back(cell):
    server = OriginalServer()
    with engine_for(server.uri) as engine:
        assert verdict(engine, cell) == "accepted"
        port = server.port
        server.close()
        reasons = {verdict(engine, cell) for _ in range(3)}
        assert reasons <= {"server_unreachable", "connection_lost"}
        with pytest.raises(Refused, match="next attempt in"):
            engine.infer(question(cell))
        with OriginalServer(port=port):
            until_accepted(engine, cell)


def test_a_connection_that_broke_while_idle_costs_nothing(cell):
    with original_and_engine() as (server, engine):
        server.misbehaviour = "error"  # answers a map, then closes
        assert verdict(engine, cell) == "error_reply"
        server.misbehaviour = ""
        time.sleep(0.2)
        assert verdict(engine, cell) == "accepted"
        assert server.connections == 2


def test_pauses_grow_to_a_bound_and_differ():
    backoff, t = Backoff(random.Random(1)), 0.0
    pauses = []
    for _ in range(10):
        backoff.failed(t)
        pauses.append(backoff.left(t))
        t += pauses[-1]
        assert backoff.left(t) == pytest.approx(0.0)
    for number, pause in enumerate(pauses):
        assert 0.5 * min(LONGEST, FIRST * 2**number) <= pause <= min(LONGEST, FIRST * 2**number)
    assert len(set(pauses)) == len(pauses)
    backoff.failed(t)
    backoff.succeeded()
    assert backoff.left(t) == 0.0


@pytest.mark.parametrize("misbehaviour", ["zeros", "narrow", "error", "garbage", "few_rows"])
def test_a_server_that_cannot_answer_is_found_out_at_the_start(misbehaviour):
    with OriginalServer() as server:
        server.misbehaviour = misbehaviour
        with pytest.raises(Refused) as refused, engine_for(server.uri):
            pass
        assert refused.value.refusal.reason == EXPECTED[misbehaviour]


def test_nobody_there():
    with OriginalServer() as server:
        uri = server.uri
    with pytest.raises(Refused, match="server_unreachable: 127"), engine_for(uri):
        pass


def test_a_server_that_turns_everybody_away():
    with (
        OriginalServer(token="secret") as server,
        pytest.raises(Refused, match=r"server_refused.*HTTP 500"),
        engine_for(server.uri),
    ):
        pass


def test_in_its_own_process_refusals_keep_their_names(cell):
    with OriginalServer() as server:
        host = EngineHost(EngineSpec("remote", cell.origin.file, {"uri": server.uri}))
        try:
            server.misbehaviour = "zeros"
            with pytest.raises(Refused) as refused:
                host.start(LOAD)
            assert refused.value.refusal.reason == "reply_zeros"
            assert refused.value.refusal.source == "engine"
            server.misbehaviour = ""
            host.start(LOAD)
            assert host.policy.startswith("remote:labvla")
            asked = question(cell)
            host.begin(asked.observation, LOAD)
            assert host.infer(asked, LOAD).rows == 50
            server.misbehaviour = "not_a_number"
            with pytest.raises(Refused) as refused:
                host.infer(asked, LOAD)
            got = refused.value.refusal
            assert (got.reason, got.subject, got.row) == (
                "prediction_not_finite",
                "fr3_joint3",
                3,
            )
            server.misbehaviour = ""
            assert host.infer(asked, LOAD).rows == 50
        finally:
            host.stop()


def test_bad_options_end_the_process_with_their_name(cell):
    host = EngineHost(EngineSpec("remote", cell.origin.file, {"uri": "http://x"}))
    with pytest.raises(EngineError, match="expected ws://HOST:PORT"):
        host.start(LOAD)
    host.stop()
