"""The progress head: learnt beside the policy, delivered beside its weights, gone on with."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from train_support import ROW, entries, go, pictures, tiny, weights

from labvla_policy.model.checkpoint.progress import PROGRESS_WEIGHTS
from labvla_policy.model.errors import CheckpointError, ConfigError
from labvla_policy.model.inference import load_policy
from labvla_policy.model.progress import ProgressHead
from labvla_train import keeping
from labvla_train.demonstrations import read_demonstrations
from labvla_train.errors import TrainError
from labvla_train.frames import DecodedFrames
from labvla_train.memory.needs import needs
from labvla_train.origin import Origin
from labvla_train.progress import share_done
from labvla_train.run import batch_maker
from labvla_train.samples import Sample
from labvla_train.stages.flow import FlowLearner

WITH = {"weight": 0.5}
PROMPT = "Press the start button"


def head_of(checkpoint):
    return load_file(checkpoint / PROGRESS_WEIGHTS)


def from_checkpoint(dataset, start, **changes):
    return tiny(dataset, start=str(start), network={"policy": {}, "backbone": {}}, **changes)


def config_of(checkpoint):
    return json.loads((checkpoint / "config.json").read_text())


def learning(dataset, samples):
    """A learner with the head, and a batch for it."""
    settings = tiny(dataset, progress=WITH, auxiliary=None)
    demonstrations = read_demonstrations(settings.data.folders, 6)
    network = Origin(settings, "flow").build(demonstrations, None)
    frames = [DecodedFrames(demonstrations.dataset, demonstrations.cameras)]
    maker = batch_maker(settings, network, demonstrations, frames, None)
    return FlowLearner(settings, network, demonstrations), maker.plain(samples)


@pytest.fixture(scope="module")
def learner(dataset):
    return learning(dataset, [Sample(0, 0), Sample(0, 13), Sample(1, 5)])


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, go(folder, tiny(dataset, progress=WITH))


@pytest.fixture(scope="module")
def plain(dataset, tmp_path_factory):
    """The same run without it."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    return folder, go(folder, tiny(dataset))


def test_the_share_is_one_in_the_last_frame_of_an_episode(learner):
    _, batch = learner  # episodes of 14 and 11 frames
    assert batch.done.tolist() == [0.0, 1.0, 0.5]
    assert share_done(0, 1) == 1.0  # an episode of a single frame is over


def test_the_loss_reaches_every_weight_of_the_head_and_the_backbone(learner):
    module, batch = learner
    module.zero_grad()
    told = module.losses(batch, torch.Generator().manual_seed(0))
    expected = told["flow"] + WITH["weight"] * told["progress"]
    assert torch.equal(told["total"], expected)
    told["progress"].backward()
    for name, weight in module.progress.named_parameters():
        # A query shifts the scores of all keys alike: their bias changes nothing.
        if name != "look.to_k.bias":
            assert weight.grad.abs().max() > 0, name
    assert module.policy.vlm.token_embedding.weight.grad.abs().max() > 0
    assert module.policy.action_out_proj.weight.grad is None


def test_what_is_told_stays_between_nothing_and_everything(learner):
    module, batch = learner
    with torch.no_grad():
        seen = module.policy.encode(batch.training.inputs)
        bias = module.progress.tell[0].bias
        kept = bias.clone()
        for offset, told in ((9.0, 1.0), (-9.0, 0.0)):
            bias.fill_(offset)
            assert module.progress(seen).tolist() == [told] * 3
            # Beyond the end it still learns: the distance is that of what was told uncut.
            assert module.progress.loss(seen, batch.done) > 5
        bias.copy_(kept)


def test_its_error_is_told_of_held_out_episodes(whole):
    measured = whole[1].measured
    assert 0 <= measured["progress median"] <= measured["progress 90 %"] <= 1
    assert "loss progress" in measured


def test_an_interrupted_run_ends_as_an_uninterrupted_one(dataset, whole, tmp_path):
    settings = tiny(dataset, progress=WITH)
    go(tmp_path / "run", settings, until=2)
    again = go(tmp_path / "run", settings)
    for name in ("total", "progress"):
        expected, found = (
            [line[name] for line in entries(run) if name in line]
            for run in (whole[0], tmp_path / "run")
        )
        assert found == expected
    for read in (weights, head_of):
        expected, found = read(whole[1].checkpoint), read(again.checkpoint)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_what_is_delivered_is_the_average(whole):
    kept = keeping.read_kept(whole[1].checkpoint).tensors
    head = head_of(whole[1].checkpoint)
    assert all(torch.equal(head[name], kept[f"average.progress.{name}"]) for name in head)
    assert not torch.equal(head["queries"], kept["weights.progress.queries"])


def test_it_stands_beside_weights_in_the_released_layout(whole, plain):
    checkpoint, other = whole[1].checkpoint, plain[1].checkpoint
    assert weights(checkpoint).keys() == weights(other).keys()
    files, without = ({path.name for path in one.iterdir()} for one in (checkpoint, other))
    assert files - without == {PROGRESS_WEIGHTS}
    config = config_of(checkpoint)
    assert config.pop("progress_head") == {"tells": "episode_share"}
    assert config == config_of(other)


def test_without_it_a_run_is_what_it_was_before_there_was_one(whole, plain):
    """Every draw of chance stands where it stood: those of weights, noise and times."""
    with_it, without = (
        next(line for line in entries(run) if "flow" in line) for run in (whole[0], plain[0])
    )
    assert with_it["flow"] == without["flow"]
    assert with_it["auxiliary"] == without["auxiliary"]
    assert without["total"] < with_it["total"]
    loaded = load_policy(plain[1].checkpoint)
    assert loaded.progress_head is None
    assert loaded.predict(pictures(), ROW, PROMPT, seed=1).progress is None


def test_a_loaded_policy_tells_what_the_head_tells(whole):
    loaded = load_policy(whole[1].checkpoint)
    assert loaded.notes == ()
    answer = loaded.predict(pictures(), ROW, PROMPT, seed=1)
    question = loaded.prepare(pictures(), ROW, PROMPT)
    with torch.inference_mode():
        expected = loaded.progress_head(loaded.policy.encode(question.inputs))
        chunk = loaded.policy.sample(question.inputs, loaded.noise(seed=1))
    assert answer.progress == float(expected)
    assert 0 <= answer.progress <= 1
    assert np.array_equal(answer.chunk, chunk[0].numpy())  # which is the same with it


def test_it_learns_to_tell(dataset):
    """The best constant is off by 0.26 in these frames."""
    module, batch = learning(dataset, [Sample(0, frame) for frame in range(0, 14, 2)])
    steps = torch.optim.Adam(module.parameters(), lr=2e-3)

    def error():
        return module.progress.loss(module.policy.encode(batch.training.inputs), batch.done)

    first = error().item()
    for _ in range(160):
        steps.zero_grad()
        error().backward()
        steps.step()
    with torch.no_grad():
        assert error().item() < 0.13 < 0.26 < first
        told = module.measure(batch)["progress"]
    assert np.mean(told) < 0.13


def test_a_run_goes_on_with_a_checkpoints_head_where_it_is_asked_to(dataset, whole, tmp_path):
    still = {"expert_rate": 0.0, "backbone_rate": 0.0, "floor": 0.0}
    settings = from_checkpoint(
        dataset,
        whole[1].checkpoint,
        progress=WITH,
        optimizer=still,
        run={"average": None, "steps": 1},
    )
    outcome = go(tmp_path / "run", settings, stage="finetune")
    before, after = head_of(whole[1].checkpoint), head_of(outcome.checkpoint)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert outcome.notes == ()


def test_a_head_nobody_asks_for_is_left_aside_and_said_so(dataset, whole, tmp_path):
    settings = from_checkpoint(dataset, whole[1].checkpoint, run={"steps": 1})
    outcome = go(tmp_path / "run", settings, stage="finetune")
    assert outcome.notes == ("left aside: progress head",)
    assert not (outcome.checkpoint / PROGRESS_WEIGHTS).exists()
    assert "progress_head" not in config_of(outcome.checkpoint)
    assert load_policy(outcome.checkpoint).notes == ()


def test_a_head_begins_anew_where_the_checkpoint_has_none(dataset, plain, tmp_path):
    settings = from_checkpoint(dataset, plain[1].checkpoint, progress=WITH, run={"steps": 1})
    outcome = go(tmp_path / "run", settings, stage="finetune")
    assert outcome.notes == ("begins anew: progress head",)
    assert load_policy(outcome.checkpoint).progress_head is not None


def test_the_baseline_has_it_too_and_additions_leave_it_whole(dataset, tmp_path):
    policy = {**tiny(dataset).network.policy, "objective": "l1", "num_inference_steps": 1}
    network = {"policy": policy, "backbone": dict(tiny(dataset).network.backbone)}
    base = go(tmp_path / "l1", tiny(dataset, network=network, progress=WITH), until=2)
    assert load_policy(base.checkpoint).progress_head is not None
    settings = from_checkpoint(
        dataset, base.checkpoint, progress=WITH, lora={"rank": 2}, run={"steps": 2, "average": None}
    )
    tuned = go(tmp_path / "lora", settings, stage="finetune")
    before, after = head_of(base.checkpoint), head_of(tuned.checkpoint)
    assert before.keys() == after.keys()
    assert not torch.equal(before["queries"], after["queries"])


def test_it_is_written_in_the_type_of_the_weights(dataset, tmp_path):
    settings = tiny(dataset, progress=WITH, run={"delivered": "float16"})
    outcome = go(tmp_path / "run", settings, until=1)
    kinds = {tensor.dtype for tensor in head_of(outcome.checkpoint).values()}
    assert kinds == {torch.float16}
    assert load_policy(outcome.checkpoint).progress_head.queries.dtype == torch.float32  # on a CPU


@pytest.mark.parametrize("weight", [-0.1, 0.0, float("nan"), float("inf")])
def test_a_weight_that_teaches_nothing_is_refused(dataset, weight):
    with pytest.raises(TrainError, match=r"progress.weight: expected a number above 0"):
        tiny(dataset, progress={"weight": weight})


def test_unknown_keys_and_kinds_are_refused(dataset):
    with pytest.raises(TrainError, match=r"progress.wait: no such key"):
        tiny(dataset, progress={"wait": 0.1})
    with pytest.raises(TrainError, match="progress: weight: expected a number"):
        tiny(dataset, progress={"weight": "much"})


def test_tokens_alone_have_no_policy_to_deliver_it_with(dataset, tmp_path):
    settings = tiny(dataset, auxiliary=None, progress=WITH)
    with pytest.raises(TrainError, match="progress: tokens alone are learnt here"):
        go(tmp_path / "run", settings, stage="fast")
    with pytest.raises(TrainError, match="progress: tokens alone are learnt here"):
        needs("fast", settings)


def test_a_dry_run_counts_it(dataset):
    without, with_it = (needs("flow", tiny(dataset, progress=one)).memory for one in (None, WITH))
    config = Origin(tiny(dataset), "flow").config
    count = sum(weight.numel() for weight in ProgressHead(config).parameters())
    assert with_it.parameters - without.parameters == count
    assert with_it.trained - without.trained == count
    assert with_it.gradients - without.gradients == 4 * count
    assert with_it.optimiser - without.optimiser >= 8 * count
    assert with_it.activations > without.activations
    assert with_it.flops > without.flops


def copied(checkpoint, folder):
    folder.mkdir()
    for path in checkpoint.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_head_that_is_missing_spoilt_or_of_another_kind_is_refused(whole, tmp_path):
    folder = copied(whole[1].checkpoint, tmp_path / "copy")
    head, path = head_of(folder), folder / PROGRESS_WEIGHTS

    def spoil(change):
        save_file(change({name: tensor.clone() for name, tensor in head.items()}), path)
        with pytest.raises(CheckpointError) as refused:
            load_policy(folder)
        return str(refused.value)

    assert "missing (1)" in spoil(lambda all_: {k: v for k, v in all_.items() if k != "queries"})
    assert "of another shape" in spoil(lambda all_: all_ | {"queries": torch.zeros(2, 32)})
    nothing = {"queries": torch.full((1, 32), torch.nan)}
    assert "NaN or infinity" in spoil(lambda all_: all_ | nothing)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"config.json says that there is a progress_head"):
        load_policy(folder)
    values = config_of(folder) | {"progress_head": {"tells": "seconds"}}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"progress_head: expected .*episode_share"):
        load_policy(folder)


def test_a_head_that_config_does_not_speak_of_is_left_aside_and_said_so(whole, tmp_path):
    folder = copied(whole[1].checkpoint, tmp_path / "copy")
    values = config_of(folder)
    del values["progress_head"]
    (folder / "config.json").write_text(json.dumps(values))
    loaded = load_policy(folder)
    assert loaded.progress_head is None
    assert loaded.notes == (f"{PROGRESS_WEIGHTS}: left aside, config.json does not speak of it",)


def test_a_run_that_was_begun_before_there_was_a_head_goes_on(dataset, tmp_path):
    go(tmp_path / "run", tiny(dataset), until=1)
    path = tmp_path / "run" / keeping.SETTINGS
    values = json.loads(path.read_text())
    assert values["settings"].pop("progress") is None
    path.write_text(json.dumps(values))
    assert go(tmp_path / "run", tiny(dataset), until=2).step == 2
    with pytest.raises(TrainError, match=r"settings.progress: None there"):
        go(tmp_path / "run", tiny(dataset, progress=WITH))
