"""Each server is spoken to in its own way, and its rows mean what its way says."""

from dataclasses import replace

import numpy as np
import pytest
from openpi_server import OpenPiServer
from original_server import OriginalServer
from remote_support import PICTURES, engine_for, observe, question, verdict
from serving_support import TOKEN, FunctionPolicy, serving

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.openpi.names import TOKEN_VARIABLE
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Prefix

DROID = {
    "images": "observation/image,observation/wrist_image,observation/other_image",
    "state": "observation/joint_position:7,observation/grip:1",
    "action_space": "velocity",
}


@pytest.fixture(scope="module")
def cell():
    return load_cell("franka")


def test_openpi_gets_its_own_keys_and_its_velocities_are_integrated(cell):
    with OpenPiServer(velocity=0.06) as server, engine_for(server.uri, **DROID) as engine:
        assert engine.policy.startswith("remote:openpi:unnamed@127.0.0.1:")
        prediction = engine.infer(question(cell))
        sent, state = server.requests[-1], observe(cell).state
        np.testing.assert_array_equal(sent["observation/wrist_image"], PICTURES[1])
        np.testing.assert_allclose(sent["observation/joint_position"], state[:7], rtol=1e-6)
        assert sent["prompt"] == "pick up the beaker"
        steps = np.arange(1, 16) * 0.06 / 30
        np.testing.assert_allclose(prediction.joint_targets[:, 0], state[0] + steps, atol=1e-6)
        assert verdict(engine, cell) == "accepted"


def test_a_traceback_of_openpi_is_an_error_reply_with_its_last_line(cell):
    wrong = {**DROID, "state": "observation/joint_position:6,observation/grip:2"}
    with OpenPiServer() as server, pytest.raises(Refused) as refused:
        engine_for(server.uri, **wrong).__enter__()
    assert refused.value.refusal.reason == "error_reply"
    assert "AssertionError" in refused.value.refusal.detail


def test_a_server_that_says_nothing_needs_everything_said():
    with OpenPiServer() as server, pytest.raises(EngineError, match="images, state, action_space"):
        engine_for(server.uri).__enter__()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"images": "observation/image"}, "expected 3 keys, for the cameras front, side, wrist"),
        ({"state": "a:7"}, "expected keys for 8 columns"),
    ],
)
def test_keys_that_do_not_fit_the_cell(changes, complaint):
    with OpenPiServer() as server, pytest.raises(EngineError, match=complaint):
        engine_for(server.uri, **{**DROID, **changes}).__enter__()


def test_openpi_cannot_be_told_of_a_masked_camera(cell):
    with OpenPiServer() as server, engine_for(server.uri, **DROID) as engine:
        with pytest.raises(Refused) as refused:
            engine.infer(question(cell, images=(PICTURES[0], None, PICTURES[2])))
        assert refused.value.refusal.reason == "camera_missing"
        assert refused.value.refusal.subject == "side"


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, f"Bearer {TOKEN}"),
        ({"dialect": "openpi"}, f"Api-Key {TOKEN}"),
        ({"dialect": "openpi", "auth": "bearer"}, f"Bearer {TOKEN}"),
    ],
)
def test_the_token_goes_out_as_the_dialect_has_it(options, header, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with OpenPiServer() as server, engine_for(server.uri, **DROID, **options):
        assert server.headers[0]["authorization"] == header


def test_this_stacks_own_server_is_recognised_and_told_more(cell):
    def near(rows):  # the double's rows are about pictures; a robot wants them about its state
        return np.tile(observe(cell).state, (50, 1)) + np.arange(1, 51)[:, None] * 1e-4

    policy = FunctionPolicy(spoil=near, extensions=("prefix",), prefix_rows=4)
    with serving(policy, token=TOKEN) as (_, uri), pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, TOKEN)
        with engine_for(uri) as engine:
            assert engine.policy.startswith("remote:labvla-ros:function@")
            targets = near(None)[:6]
            prefix = Prefix(
                start=0,
                dt=1 / 30,
                joint_names=cell.joints,
                joint_targets=targets[:, :7],
                gripper_names=("arm_gripper",),
                gripper_targets=targets[:, 7:] * 2,  # the policy's unit is one finger
                frozen=5,
            )
            masked = observe(cell, images=(PICTURES[0], None, PICTURES[2]))
            prediction = engine.infer(Question(masked, prefix))
            assert prediction.prefix_rows == 4  # no more than the server takes
            asked = policy.asked[-1]
            assert [image is None for image in asked.images] == [False, True, False]
            np.testing.assert_allclose(asked.state, masked.state)
            np.testing.assert_allclose(asked.prefix.rows, targets[:4])
            assert asked.prefix.frozen == 4
            assert verdict(engine, cell) == "accepted"


def test_a_token_that_is_wrong(monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "x" * 20)
    with serving(token=TOKEN) as (_, uri), pytest.raises(Refused, match=r"server_refused.*401"):
        engine_for(uri).__enter__()


def test_refusals_of_this_stacks_server_keep_their_detail(cell):
    with serving(FunctionPolicy(prompt_limit=4)) as (_, uri), engine_for(uri) as engine:
        long = replace(observe(cell), instruction="one two three four five")
        with pytest.raises(Refused, match="prompt_too_long"):
            engine.infer(Question(long))


def test_an_overloaded_server_says_so_and_keeps_the_connection(cell):
    with serving(most_waiting=1) as (policy, uri), engine_for(uri, deadline="0.3") as engine:
        policy.gate.clear()
        assert verdict(engine, cell) == "error_reply"  # too late, in the server's own words
        policy.gate.set()


def test_a_contract_that_changed_with_the_server_is_found_out_at_the_next_connection(cell):
    with OriginalServer() as server, engine_for(server.uri) as engine:
        port = server.port
        server.close()
        assert verdict(engine, cell) != "accepted"
        with OriginalServer(width=14, port=port):
            reasons = {verdict(engine, cell) for _ in range(3)}
            while "server_contract" not in reasons:
                reasons.add(verdict(engine, cell))
            assert "accepted" not in reasons


def test_two_armed_cells_are_asked_with_their_own_widths():
    cell = load_cell("dual_arm")
    with OriginalServer(width=14) as server, engine_for(server.uri, "dual_arm") as engine:
        prediction = engine.infer(question(cell))
        assert prediction.joint_targets.shape == (50, 12)
        assert server.requests[-1]["state"].shape == (14,)


def test_the_wrong_checkpoint_is_refused_at_the_start():
    with OriginalServer(width=14) as server, pytest.raises(Refused, match="14-wide"):
        engine_for(server.uri).__enter__()
