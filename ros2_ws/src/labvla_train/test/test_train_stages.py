"""From tokens to a policy: each stage runs, and begins with what the one before left."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_support import tiny

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.inference import load_policy
from labvla_train.errors import TrainError
from labvla_train.fast.fitting import fit_to_data
from labvla_train.fast.tokenizer import FastTokenizer
from labvla_train.log import LOG
from labvla_train.memory.needs import needs
from labvla_train.run import train

SMALL = {"discrete_action_vocab_size": 300}


def network(**policy):
    values = tiny("anywhere").network
    return {"policy": {**values.policy, **SMALL, **policy}, "backbone": dict(values.backbone)}


def from_checkpoint(dataset, start, **changes):
    return tiny(dataset, start=str(start), network={"policy": {}, "backbone": {}}, **changes)


def go(folder, settings, stage, until=None):
    return train(stage, settings, folder, beside=Path(), until=until)


def told(folder, key):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [line[key] for line in lines if key in line]


@pytest.fixture(scope="module")
def tokens(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "fast"
    fitted = fit_to_data(tiny(dataset, network=network()), folder)
    return fitted, {"tokens": {"tokenizer": str(folder)}}


@pytest.fixture(scope="module")
def first(dataset, tokens, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "fast"
    settings = tiny(dataset, network=network(), auxiliary=None, **tokens[1])
    return folder, settings, go(folder, settings, "fast")


def test_a_tokenizer_is_fitted_to_what_the_run_learns_from(tokens):
    fitted, _ = tokens
    assert fitted.held_out
    assert fitted.report.chunks > 0
    assert fitted.report.error_rms < 0.05
    assert 0 <= fitted.report.clipped < 1
    read = FastTokenizer.load(fitted.folder)
    assert (read.settings.time_horizon, read.settings.action_dim) == (6, 8)


def test_fitting_again_is_refused_and_deterministic(dataset, tokens, tmp_path):
    settings = tiny(dataset, network=network())
    with pytest.raises(TrainError, match="exists already"):
        fit_to_data(settings, tokens[0].folder)
    again = fit_to_data(settings, tmp_path / "again")
    for path in tokens[0].folder.iterdir():
        assert path.read_bytes() == (again.folder / path.name).read_bytes()


def test_the_first_stage_learns_tokens_and_leaves_no_expert(first):
    folder, _, outcome = first
    losses = told(folder, "tokens")
    assert losses[-1] < losses[0]
    assert set(told(folder, "cut")) == {0.0}
    with pytest.raises(ConfigError, match="no action expert"):
        load_policy(outcome.checkpoint)
    names = load_file(outcome.checkpoint / "model.safetensors").keys()
    assert not any("dit_action_head" in name for name in names)
    assert any("ki_head" in name for name in names)


def test_an_interrupted_first_stage_ends_as_an_uninterrupted_one(first, tmp_path):
    folder, settings, outcome = first
    go(tmp_path / "run", settings, "fast", until=2)
    again = go(tmp_path / "run", settings, "fast")
    assert told(tmp_path / "run", "tokens") == told(folder, "tokens")
    expected, found = (load_file(one.checkpoint / "model.safetensors") for one in (outcome, again))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_isolation_goes_on_from_the_first_stage_and_fine_tuning_from_that(
    dataset, tokens, first, tmp_path
):
    *_, before = first
    settings = from_checkpoint(dataset, before.checkpoint, **tokens[1])
    isolated = go(tmp_path / "ki", settings, "ki")
    fresh = tiny(dataset, network=network(), **tokens[1])
    go(tmp_path / "fresh", fresh, "ki", until=1)
    assert told(tmp_path / "ki", "tokens")[0] < told(tmp_path / "fresh", "tokens")[0]
    assert told(tmp_path / "ki", "flow")
    assert isolated.notes == ("begins anew: dit",)
    assert load_policy(isolated.checkpoint).policy.config.knowledge_isolation
    tuned = go(tmp_path / "tuned", from_checkpoint(dataset, isolated.checkpoint), "finetune")
    assert not load_policy(tuned.checkpoint).policy.config.knowledge_isolation
    assert tuned.notes == ("left aside: ki",)


def test_stages_with_tokens_need_a_tokenizer_that_fits(dataset, tokens, tmp_path):
    with pytest.raises(TrainError, match="labvla train tokenizer"):
        go(tmp_path / "a", tiny(dataset, network=network()), "ki")
    small = tiny(dataset, network=network(discrete_action_vocab_size=50), **tokens[1])
    with pytest.raises(TrainError, match="discrete_action_vocab_size"):
        go(tmp_path / "b", small, "fast")
    missing = tiny(dataset, network=network(), tokens={"tokenizer": str(tmp_path / "none")})
    with pytest.raises(TrainError, match="cannot be read"):
        go(tmp_path / "c", missing, "fast")
    with pytest.raises(TrainError, match="the stage decides it"):
        go(tmp_path / "d", tiny(dataset, network=network(use_fast_tokenizer=True)), "flow")


def test_the_baseline_is_trained_by_the_same_loop(dataset, tmp_path):
    settings = tiny(dataset, network=network(objective="l1", num_inference_steps=1))
    outcome = go(tmp_path / "run", settings, "flow")
    assert load_policy(outcome.checkpoint).policy.config.objective == "l1"
    losses = told(tmp_path / "run", "flow")
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_additions_are_trained_and_delivered_merged(dataset, tmp_path, precision):
    base = go(tmp_path / "base", tiny(dataset, auxiliary=None), "flow", until=1)
    settings = from_checkpoint(
        dataset,
        base.checkpoint,
        auxiliary=None,
        lora={"rank": 2, "alpha": 4.0},
        run={"precision": precision, "recompute": ["language", "expert"]},
    )
    go(tmp_path / "run", settings, "finetune", until=2)
    outcome = go(tmp_path / "run", settings, "finetune")
    names, before = (load_file(one.checkpoint / "model.safetensors") for one in (outcome, base))
    assert names.keys() == before.keys()
    # What is frozen is kept in the precision of the products.
    frozen = {name: weight.to(getattr(torch, precision)).float() for name, weight in before.items()}
    changed = {name for name in names if not torch.equal(names[name], frozen[name])}
    assert "model.vlm.layers.0.qkv.weight" in changed
    assert not any("eyes" in name or "words" in name for name in changed)
    load_policy(outcome.checkpoint)


def test_a_dry_run_needs_neither_data_nor_weights(first, tmp_path):
    settings = tiny(tmp_path / "nowhere", network=network())
    told_all = needs("flow", settings, devices=2)
    assert told_all.memory.trained == told_all.memory.parameters > 0
    assert told_all.as_json()["total_per_device"] < told_all.memory.total
    assert any("most at a time" in line for line in told_all.lines())
    tokens_alone = needs("fast", settings)
    assert tokens_alone.memory.trained < tokens_alone.memory.parameters
    *_, before = first
    assert needs("ki", from_checkpoint(tmp_path, before.checkpoint)).memory.flops > 0
    with pytest.raises(TrainError, match="devices"):
        needs("flow", settings, devices=0)
