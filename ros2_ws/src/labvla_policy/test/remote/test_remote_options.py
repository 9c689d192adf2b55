"""What the remote engine is told: everything wrong has a name before a connection is made."""

import pytest

from labvla_policy.engines.base import EngineError
from labvla_policy.engines.remote.options import RemoteOptions, StateKey
from labvla_policy.openpi.names import TOKEN_VARIABLE

URI = {"uri": "ws://127.0.0.1:8000"}


def parsed(**texts):
    return RemoteOptions.parse({**URI, **texts})


def test_an_address_is_enough():
    options = RemoteOptions.parse(URI)
    assert options.shown == "127.0.0.1:8000"
    assert options.dialect == "auto"
    assert options.is_near
    assert not options.is_secure


def test_everything():
    options = parsed(
        uri="wss://gpu.lab:8443/policy",
        dialect="openpi",
        deadline="0.25",
        images="observation/image, observation/wrist_image",
        state="observation/joint_position:7,observation/grip:1",
        prompt="task",
        action_space="velocity",
        auth="api-key",
    )
    assert options.deadline == 0.25
    assert options.images == ("observation/image", "observation/wrist_image")
    assert options.state == (
        StateKey("observation/joint_position", 7),
        StateKey("observation/grip", 1),
    )
    assert options.action_space == "velocity"
    assert options.is_secure
    assert not options.is_near
    assert parsed(state="observation/state").state == (StateKey("observation/state", None),)


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        ({"uri": "http://x"}, "expected ws://HOST:PORT"),
        ({"uri": "ws://"}, "expected ws://HOST:PORT"),
        ({"uri": "ws://host:port"}, "option uri"),
        ({"uri": "ws://host:99999"}, "option uri"),
        ({"uri": "ws://me:secret@host"}, "seen by everybody"),
        ({"uri": "ws://host/?token=secret"}, "seen by everybody"),
        ({"dialect": "esperanto"}, "expected one of auto, labvla-ros, labvla, openpi"),
        ({"deadline": "soon"}, "expected 0.02 to 30 s, got 'soon'"),
        ({"deadline": "0"}, "expected 0.02 to 30 s"),
        ({"deadline": "nan"}, "expected 0.02 to 30 s"),
        ({"auth": "basic"}, "expected one of bearer, api-key"),
        ({"images": "a,,b"}, "different names"),
        ({"images": "a,a"}, "different names"),
        ({"state": "a:7,b"}, "NAME:COLUMNS"),
        ({"state": "a:0"}, "NAME:COLUMNS"),
        ({"state": "a:x"}, "NAME:COLUMNS"),
        ({"action_space": "torque"}, "absolute, delta_from_observation, velocity"),
        ({"prompt": ""}, "expected a text"),
        ({"magic": "1"}, "got magic"),
        ({"dialect": "openpi"}, "the options images, state, action_space"),
        ({"dialect": "openpi", "images": "a", "state": "b"}, "the options action_space"),
    ],
)
def test_nonsense_is_refused_by_name(texts, complaint):
    with pytest.raises(EngineError, match="remote") as refused:
        parsed(**texts)
    assert complaint in str(refused.value)


def test_an_address_is_needed():
    with pytest.raises(EngineError, match="expected the option uri"):
        RemoteOptions.parse({})


def test_tokens_come_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "from-the-environment")
    assert parsed().token() == "from-the-environment"
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    assert parsed(token_file=str(file)).token() == "from-the-file"
    with pytest.raises(EngineError, match="token_file"):
        parsed(token_file=str(tmp_path / "absent")).token()
