"""A run: it learns, it goes on exactly, and what it leaves is a checkpoint that others run."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from train_support import (
    CAMERAS,
    ROW,
    entries,
    go,
    pictures,
    tiny,
    weights,
    write_dataset,
)

from labvla_policy.engines.base import Question
from labvla_policy.engines.labvla.engine import LabvlaEngine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.model.inference import load_policy
from labvla_policy.runtime import grippers
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import Observation
from labvla_policy.serving.checkpoint import CheckpointPolicy, CheckpointSettings
from labvla_policy.serving.policy import PolicyRequest
from labvla_train import keeping
from labvla_train.errors import TrainError
from labvla_train.log import LOG

WORDS = "model.vlm.words.weight"


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, go(folder, tiny(dataset))


def test_an_interrupted_run_ends_as_an_uninterrupted_one(dataset, whole, tmp_path):
    settings = tiny(dataset)
    go(tmp_path / "run", settings, until=2)
    go(tmp_path / "run", settings, until=5)
    outcome = go(tmp_path / "run", settings)
    losses = [line for line in entries(whole[0]) if "total" in line]
    assert [line for line in entries(tmp_path / "run") if "total" in line] == losses
    assert len(losses) == settings.run.steps
    expected, found = weights(whole[1].checkpoint), weights(outcome.checkpoint)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_run_that_was_killed_learns_again_what_it_had_not_kept(dataset, whole, tmp_path):
    settings = tiny(dataset)
    go(tmp_path / "run", settings, until=5)
    keeping.newest(tmp_path / "run").rename(tmp_path / "lost")  # never written: back to step 3
    go(tmp_path / "run", settings)
    losses = [line for line in entries(whole[0]) if "total" in line]
    assert [line for line in entries(tmp_path / "run") if "total" in line] == losses


def test_a_finished_run_is_left_as_it_is(dataset, whole):
    folder, outcome = whole
    before = (folder / LOG).read_text()
    assert go(folder, tiny(dataset)).checkpoint == outcome.checkpoint
    assert (folder / LOG).read_text() == before


def test_a_run_does_not_go_on_with_other_settings_or_data(dataset, whole, tmp_path):
    folder, _ = whole
    with pytest.raises(TrainError, match=r"settings.run.batch: 4 there, 8 here"):
        go(folder, tiny(dataset, run={"batch": 8}))
    other = write_dataset(tmp_path / "other", (9, 9, 9, 9))
    with pytest.raises(TrainError, match=r"data: "):
        go(folder, tiny(other))


def test_what_is_only_told_and_kept_may_change(dataset, tmp_path):
    go(tmp_path / "run", tiny(dataset), until=1)
    go(tmp_path / "run", tiny(dataset, run={"log_every": 2, "save_every": 6}), until=2)


def test_what_was_trained_answers_from_its_folder(whole):
    loaded = load_policy(whole[1].checkpoint)
    answer = loaded.predict(pictures(), ROW, "Press the start button", seed=1)
    assert answer.actions.shape == (6, 8)
    assert loaded.control.row_rate == 30.0
    assert (loaded.control.row_offset, loaded.control.anchor) == (1, "measured")
    assert loaded.control.execute_rows == 3
    assert loaded.schema.cameras == tuple(f"observation.images.{name}" for name in CAMERAS)
    assert loaded.vectors.delta_mask.tolist() == [True] * 7 + [False]


def test_the_server_and_the_engine_answer_as_the_folder_does(whole, monkeypatch):
    """In a cell with one camera more than the policy knows."""
    # After six steps it still asks for impossible openings, which engines refuse.
    monkeypatch.setattr(grippers, "TARGET_TOLERANCE", 100.0)
    cell, checkpoint = load_cell("franka"), str(whole[1].checkpoint)
    front, wrist = pictures()
    side = 255 - front
    prompt, state = "Press the start button", np.array(ROW)
    expected = load_policy(checkpoint).predict([front, wrist], state, prompt, seed=5).actions
    served = CheckpointPolicy(CheckpointSettings(checkpoint), cell)
    asked = PolicyRequest((front, side, wrist), state, prompt, seed=5)
    assert np.allclose(served.infer(asked).rows, expected, atol=1e-6)
    options = {"checkpoint": checkpoint, "seed": "5"}
    engine = LabvlaEngine(EngineSpec("labvla", cell.origin.file, options))
    seen = Observation(
        stamp=10**9,
        joint_names=cell.joints,
        positions=state[:7],
        instruction=prompt,
        grippers=np.array([0.06]),
        state=state,
        images=(front, side, wrist),
    )
    engine.begin(seen)
    assert np.allclose(engine.infer(Question(seen, None)).joint_targets, expected[:, :7], atol=1e-6)


def test_what_is_delivered_is_the_average_and_nothing_of_the_training(whole):
    kept = keeping.read_kept(whole[1].checkpoint).tensors
    with safe_open(whole[1].checkpoint / "model.safetensors", framework="pt") as file:
        delivered = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert not any("teller" in name for name in delivered)
    name = "state_proj.weight"
    assert torch.equal(delivered[f"model.{name}"], kept[f"average.policy.{name}"])
    assert not torch.equal(delivered[f"model.{name}"], kept[f"weights.policy.{name}"])


def test_fine_tuning_begins_with_the_weights_of_a_checkpoint(dataset, whole, tmp_path):
    still = {"expert_rate": 0.0, "backbone_rate": 0.0, "floor": 0.0}
    settings = tiny(
        dataset,
        network={"policy": {}, "backbone": {}},
        start=str(whole[1].checkpoint),
        optimizer=still,
        run={"average": None, "steps": 1},
    )
    outcome = go(tmp_path / "run", settings, stage="finetune")
    before, after = weights(whole[1].checkpoint), weights(outcome.checkpoint)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_words_that_a_checkpoint_does_not_know_are_learnt_behind_its_own(whole, tmp_path):
    known = whole[1].checkpoint
    instructions = ("Put the beaker down",)
    other = write_dataset(tmp_path / "other", instructions=instructions)
    settings = tiny(
        other,
        network={"policy": {}, "backbone": {}},
        start=str(known),
        augment={"unknown_words": 0.0, "lost_words": 0.0},
        run={"average": None},
    )
    outcome = go(tmp_path / "run", settings, stage="finetune")
    assert "learns 2 words that the checkpoint does not know" in outcome.notes
    before, after = (weights(folder)[WORDS] for folder in (known, outcome.checkpoint))
    assert len(after) == len(before) + 2
    put, down = after[-1], after[-2]
    assert not torch.equal(put, down), "each became a word of its own"
    one, other = load_policy(known), load_policy(outcome.checkpoint)
    assert one.tokenizer("put the beaker").ids != other.tokenizer("put the beaker").ids
    assert one.tokenizer("pick up the beaker").ids == other.tokenizer("pick up the beaker").ids


def test_it_learns(dataset, tmp_path):
    settings = tiny(
        dataset,
        augment=dict.fromkeys(tiny(dataset).as_json()["augment"], 0),
        data={"held_out": 0.0},
        run={"steps": 60, "log_every": 10, "save_every": 60, "measure_every": 60, "batch": 8},
    )
    go(tmp_path / "run", settings)
    losses = [line for line in entries(tmp_path / "run") if "total" in line]
    assert losses[-1]["flow"] < 0.7 * losses[0]["flow"]
    assert losses[-1]["auxiliary"] < 0.7 * losses[0]["auxiliary"]


def test_frozen_eyes_stay(dataset, tmp_path):
    outcome = go(tmp_path / "run", tiny(dataset, run={"freeze_vision": True, "average": None}))
    first = go(tmp_path / "begin", tiny(dataset, run={"average": None}, optimizer={
        "expert_rate": 0.0, "backbone_rate": 0.0, "floor": 0.0}), until=1)  # fmt: skip
    begun, ended = weights(first.checkpoint), weights(outcome.checkpoint)
    same = {name for name in begun if torch.equal(begun[name], ended[name])}
    assert {name for name in begun if "vlm.eyes" in name} <= same
    assert "model.state_proj.weight" not in same


def test_old_checkpoints_still_run_but_only_new_ones_go_on(dataset, tmp_path):
    go(tmp_path / "run", tiny(dataset, run={"save_every": 2, "keep": 1}))
    old, *_, new = keeping.checkpoints(tmp_path / "run")
    assert not (old / keeping.STATE).exists()
    assert (new / keeping.STATE).is_dir()
    load_policy(old)


def test_a_stage_that_is_unknown_is_refused(dataset, tmp_path):
    with pytest.raises(TrainError, match="expected a stage of"):
        go(tmp_path / "run", tiny(dataset), stage="flows")


def test_a_thing_that_never_changes_cannot_be_told(dataset, tmp_path):
    with pytest.raises(TrainError, match="still never changes in the data"):
        go(tmp_path / "run", tiny(dataset, auxiliary={"things": {"it": ["still"]}}))
    with pytest.raises(TrainError, match="expected one of x, y, still"):
        go(tmp_path / "run2", tiny(dataset, auxiliary={"things": {"it": ["z"]}}))


def test_more_cameras_than_slots_are_refused(dataset, tmp_path):
    settings = tiny(dataset)
    backbone = {**settings.network.backbone, "camera_slots": 1}
    settings = tiny(dataset, network={"policy": settings.network.policy, "backbone": backbone})
    with pytest.raises(TrainError, match="expected pictures of at most 1 cameras"):
        go(tmp_path / "run", settings)
