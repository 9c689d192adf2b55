"""The checkpoint that comes along: what lies in it, and that it answers the same, however asked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from served_checkpoint import serve
from serving_support import TOKEN, Client

from labvla_bringup.engines import MINI, MINI_CELL
from labvla_policy.engines.base import Question
from labvla_policy.engines.labvla import agreement
from labvla_policy.engines.labvla.engine import LabvlaEngine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.model.checkpoint.read import describe, read_schema, read_stats
from labvla_policy.model.checkpoint.source import CONFIG, find_checkpoint
from labvla_policy.model.checkpoint.weights import WEIGHTS
from labvla_policy.model.checkpoint.write import Description, tokenizer_files
from labvla_policy.model.inference import load_policy
from labvla_policy.openpi.names import CAMERAS, TOKEN_VARIABLE
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.columns import policy_columns
from labvla_policy.runtime.grippers import openings_of_column
from labvla_policy.runtime.types import Observation
from labvla_train.network.save import write_trained

MOST_BYTES = 15_000_000
PROMPTS = ("Press the start button", "Pick up the beaker")
SEED = 5
STOCK_PYTHON = Path(sys.prefix) / "openpi-client" / "bin" / "python"
STOCK_SCRIPT = Path(__file__).with_name("stock_replay.py")


@pytest.fixture(scope="module")
def cell():
    return load_cell(MINI_CELL)


@pytest.fixture(scope="module")
def folder():
    return find_checkpoint(MINI).root


@pytest.fixture(scope="module")
def loaded():
    torch.set_num_threads(1)
    return load_policy(MINI)


@pytest.fixture(scope="module")
def seen(cell):
    """A picture for each of the cell's cameras: smooth, and unlike each other."""
    rows, columns = np.mgrid[0:1:224j, 0:1:224j]
    return {
        camera.name: np.stack(
            [255 * rows, 255 * columns, np.full_like(rows, 60.0 * (place + 1))], axis=-1
        ).astype(np.uint8)
        for place, camera in enumerate(cell.policy_cameras)
    }


@pytest.fixture(scope="module")
def state(cell):
    ready = np.array(cell.arms[0].posture("ready").joints)
    return policy_columns(cell, ready, np.array([0.06]))


def shown(loaded, cell, seen):
    names = [camera.name for camera in cell.policy_cameras]
    return [seen[names[place]] for place in agreement.shown(loaded, cell)]


@pytest.fixture(scope="module")
def expected(loaded, cell, seen, state):
    """Rows of the loaded policy, by instruction."""
    images = shown(loaded, cell, seen)
    return {text: loaded.predict(images, state, text, seed=SEED).actions for text in PROMPTS}


def assert_same(found, rows):
    np.testing.assert_allclose(found, rows, rtol=1e-4, atol=1e-5)


def test_its_weights_are_small_enough_for_a_repository(folder):
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*.safetensors")}
    assert WEIGHTS in sizes
    assert sum(sizes.values()) <= MOST_BYTES
    allowed = {".json", ".safetensors", ".md"}
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= allowed


def test_its_card_says_how_it_was_made_and_where_it_ends(folder):
    card = (folder / "README.md").read_text(encoding="utf-8").lower()
    for command in ("labvla generate", "labvla train", "labvla eval"):
        assert command in card
    for word in ("seed", "hours", "limits"):
        assert word in card


def test_it_agrees_with_its_cell_and_says_everything_by_itself(loaded, cell):
    assert loaded.notes == ()
    assert agreement.check(loaded, cell) == "delta_from_observation"
    policy = cell.policy
    assert (loaded.control.row_rate, loaded.control.row_offset, loaded.control.anchor) == (
        policy.row_rate,
        policy.row_offset,
        policy.anchor,
    )
    names = [camera.name for camera in cell.policy_cameras]
    knows = [name.rpartition(".")[2] for name in loaded.schema.cameras]
    assert [names[place] for place in agreement.shown(loaded, cell)] == knows


def test_what_it_answers_depends_on_pictures_words_and_state(loaded, cell, seen, state, expected):
    """So that the same answers below are not those of a policy that answers anything alike."""
    rows = expected[PROMPTS[0]]
    images = shown(loaded, cell, seen)
    others = {
        "words": loaded.predict(images, state, PROMPTS[1], seed=SEED),
        "state": loaded.predict(images, state + 0.01, PROMPTS[0], seed=SEED),
        "noise": loaded.predict(images, state, PROMPTS[0], seed=SEED + 1),
        "order": loaded.predict(images[::-1], state, PROMPTS[0], seed=SEED),
    }
    for name, other in others.items():
        assert np.abs(other.actions - rows).max() > 1e-3, name


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_engine_answers_as_the_policy_does(cell, seen, state, expected, prompt):
    options = {"checkpoint": MINI, "seed": str(SEED)}
    engine = LabvlaEngine(EngineSpec("labvla", cell.origin.file, options))
    observation = Observation(
        stamp=10**9,
        joint_names=cell.joints,
        positions=np.array(cell.arms[0].posture("ready").joints),
        instruction=prompt,
        grippers=np.array([0.06]),
        state=state,
        images=tuple(seen.values()),
    )
    engine.begin(observation)
    plan = engine.infer(Question(observation, None))
    rows = expected[prompt]
    assert_same(plan.joint_targets, rows[:, :7])
    openings = openings_of_column(cell.arms[0].gripper, rows[:, 7], "expected")
    assert_same(plan.gripper_targets[:, 0], openings)


@pytest.fixture(scope="module")
def served():
    with serve(MINI, **{TOKEN_VARIABLE: TOKEN}) as (_, said):
        yield said


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_server_answers_as_the_policy_does(served, seen, state, expected, prompt):
    asked = dict(zip(CAMERAS, seen.values(), strict=True))
    header = {"Authorization": f"Bearer {TOKEN}"}
    with Client(served["uri"], extensions=True, additional_headers=header) as client:
        reply = client.ask({**asked, "state": state, "prompt": prompt, "seed": SEED})
    assert_same(reply["actions"], expected[prompt])


def test_a_server_says_which_checkpoint_and_cell_it_serves(served, cell, loaded):
    said = served["metadata"]
    assert (said["checkpoint"], said["contract_hash"]) == (MINI, cell.contract_hash)
    assert said["norm_stats_hash"] == loaded.stats_digest


@pytest.mark.skipif(not STOCK_PYTHON.exists(), reason="no stock client here: `make setup-tests`")
def test_the_stock_client_of_openpi_gets_the_same_rows(served, seen, state, expected, tmp_path):
    count = len(PROMPTS)
    np.savez(
        tmp_path / "questions.npz",
        pictures=np.stack([np.stack(list(seen.values()))] * count),
        states=np.stack([state] * count),
        prompts=PROMPTS,
        seeds=np.full(count, SEED),
        actions=np.stack([expected[text] for text in PROMPTS]),
    )
    words = [served["uri"], str(count), TOKEN, tmp_path / "questions.npz"]
    done = subprocess.run(
        [STOCK_PYTHON, "-I", STOCK_SCRIPT, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=150,
    )
    assert '"wrong": 0' in done.stdout
    assert f'"requests": {count}' in done.stdout


def test_the_command_answers_as_the_policy_does(labvla, loaded, cell, seen, state, expected):
    images = []
    for slot, picture in enumerate(shown(loaded, cell, seen)):
        Image.fromarray(picture).save(labvla.folder / f"{slot}.png")
        images += ["--image", f"{slot}={slot}.png"]
    text = ",".join(repr(float(value)) for value in state)
    asked = ("--prompt", PROMPTS[0], "--seed", str(SEED), "--out", "chunk.safetensors")
    code, said = labvla.json("infer", "--checkpoint", MINI, *images, f"--state={text}", *asked)
    assert (code, said["notes"]) == (0, [])
    found = load_file(labvla.folder / "chunk.safetensors")["actions"]
    assert_same(found, expected[PROMPTS[0]])


def test_saved_and_loaded_again_it_answers_the_same_to_the_bit(
    loaded, folder, cell, seen, state, expected, tmp_path
):
    source = find_checkpoint(MINI)
    files = describe(source)
    description = Description(
        config=loaded.policy.config,
        vlm=files.vlm,
        processor=files.processor,
        schema=read_schema(source),
        stats=read_stats(source),
        tokenizer_files=tokenizer_files(source),
        control=files.control,
    )
    write_trained(
        tmp_path / "again",
        loaded.policy,
        description,
        progress_head=loaded.progress_head,
        delivered=files.config.dtype,
    )
    for path in (tmp_path / "again").iterdir():
        if path.name != CONFIG:  # its defaults are written out
            assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
    found = describe(find_checkpoint(tmp_path / "again"))
    assert (found.config, found.control) == (files.config, files.control)
    again = load_policy(tmp_path / "again")
    assert again.stats_digest == loaded.stats_digest
    for text, rows in expected.items():
        answer = again.predict(shown(loaded, cell, seen), state, text, seed=SEED)
        assert np.array_equal(answer.actions, rows)
