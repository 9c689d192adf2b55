"""What an engine is told on the command line reaches it, or is refused before anything starts."""

import json

import pytest

from labvla_bringup import cli
from labvla_bringup.engines import ENGINES, choose
from labvla_bringup.stack import StackError, describe
from labvla_policy.engines.base import EngineError
from labvla_policy.runtime.cell import load_cell

URI = "ws://127.0.0.1:8000"


def policy_of(engine="remote", **options):
    stack = describe(load_cell("franka"), engine=engine, engine_options=options)
    return next(process for process in stack.processes if process.name == "policy").parameters


def test_options_reach_the_policy_node_with_what_follows_from_them():
    parameters = policy_of(uri=URI, deadline="2.5")
    assert parameters["engine"] == "remote"
    assert json.loads(parameters["engine_options"]) == {"uri": URI, "deadline": "2.5"}
    # The engine says itself that its deadline has passed, before the node takes it for hung.
    assert parameters["engine_timeout"] > 2.5


def test_a_checkpoint_says_after_how_many_rows_it_is_asked_again(tmp_path):
    assert policy_of("labvla")["execute_rows"] == 12
    own = tmp_path / "config.json"
    own.write_text("{}")
    assert "execute_rows" not in policy_of("labvla", checkpoint=str(tmp_path))
    assert "execute_rows" not in policy_of("labvla", checkpoint="someone/some-model")
    own.write_text('{"control": {"execute_rows": "many"}}')
    with pytest.raises(StackError, match="execute_rows: expected a whole number, got 'many'"):
        policy_of("labvla", checkpoint=str(tmp_path))


def test_engines_have_defaults_that_can_be_overridden():
    assert choose("replay", {}).options["recording"].endswith("nod.csv")
    assert choose("replay", {"recording": "mine.csv"}).options == {"recording": "mine.csv"}
    assert choose("expert", {}).options == {}
    assert ENGINES[0] == "expert"


@pytest.mark.parametrize(
    ("engine", "options", "complaint"),
    [
        ("magic", {}, "expected one of expert, replay, labvla, remote"),
        ("expert", {"uri": URI}, "expected options out of none at all; got 'uri'"),
        ("replay", {"file": "x"}, "expected options out of recording; got 'file'"),
        ("remote", {}, "expected the option uri"),
        ("remote", {"uri": "http://x"}, "option uri"),
        ("remote", {"uri": URI, "token": "secret"}, "got 'token'"),
    ],
)
def test_nonsense_is_refused_by_name(engine, options, complaint):
    with pytest.raises(EngineError) as refused:
        choose(engine, options)
    assert complaint in str(refused.value)
    with pytest.raises(StackError):
        describe(load_cell("franka"), engine=engine, engine_options=options)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--engine", "remote"), "expected the option uri"),
        (("--engine-option", "uri"), "expected NAME=VALUE, got 'uri'"),
        (("--engine-option", "=x"), "expected NAME=VALUE, got '=x'"),
        (("--engine-option", "a=1", "--engine-option", "a=2"), "a is given twice"),
        (("--engine", "remote", "--engine-option", "uri=ws://h/?token=x"), "seen by everybody"),
    ],
)
def test_the_command_line_says_what_is_wrong(capsys, tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    assert cli.main(("up", "franka", *words)) == 2
    assert complaint in capsys.readouterr().err
