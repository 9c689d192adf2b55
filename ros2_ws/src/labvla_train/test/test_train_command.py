"""`labvla train` beside training: a tokenizer, what a step needs, and what is refused."""

import json

import pytest
import yaml
from train_support import tiny

from labvla_bringup import cli
from labvla_train.fast.tokenizer import FastTokenizer


def run(capsys, *words):
    code = cli.main([str(word) for word in words])
    return code, capsys.readouterr()


@pytest.fixture(scope="module")
def config(dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny(dataset).as_json()))
    return path


def test_a_tokenizer_is_made_once(config, capsys, tmp_path):
    small = ["--set", "network.policy.discrete_action_vocab_size=300"]
    words = ["train", "tokenizer", config, *small, "--out", tmp_path / "tokens"]
    code, said = run(capsys, *words, "--json")
    assert code == 0
    report = json.loads(said.out)
    assert report["judged_on"] == "held-out episodes"
    assert report["numbers_per_token"] > 0
    assert FastTokenizer.load(tmp_path / "tokens").settings.vocab_size == 300
    code, said = run(capsys, *words)
    assert code == 2
    assert "exists already" in said.err


def test_a_dry_run_tells_the_memory_of_a_step_without_data(config, capsys):
    nowhere = ["--set", "data.dataset=nowhere", "--set", "data.wordings=null"]
    code, said = run(capsys, "train", "flow", config, *nowhere, "--dry-run", "--json")
    told = json.loads(said.out)
    assert code == 0
    assert told["data"] is None
    assert told["step"]["total"] > told["step"]["states"] > 0
    code, said = run(capsys, "train", "flow", config, *nowhere, "--dry-run", "--devices", "2")
    assert code == 0
    assert "told without data" in said.out
    assert "on each of 2 devices" in said.out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["flow"], "--out"),
        (["tokenizer", "--dry-run"], "expected a stage that trains"),
        (["flow", "--dry-run", "--devices", "3"], "can be shared out"),
    ],
)
def test_wrong_use_is_refused(config, capsys, words, what):
    stage, *options = words
    code, said = run(capsys, "train", stage, config, *options)
    assert code == 2
    assert what in said.err
