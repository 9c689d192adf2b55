"""A real checkpoint behind the server: the same rows as without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from serving_support import Client, serving

from labvla_policy.engines.remote import agreement
from labvla_policy.engines.remote.dialects import LabVlaRos
from labvla_policy.model.inference import load_policy
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refused
from labvla_policy.serving.checkpoint import CheckpointPolicy, CheckpointSettings
from labvla_policy.serving.requests import ReaderSettings

GOLDEN = Path(__file__).parents[1] / "model" / "golden"
STATE = np.array([0.05, -0.3, 0.1, -2.0, 0.0, 1.9, 0.8, 0.02])
PROMPT = "Press the button"
CAMERAS = ("camera_1_rgb", "camera_2_rgb", "camera_3_rgb")


def frame(name):
    return np.asarray(Image.open(GOLDEN / "frames" / f"{name}.png"))


def request(**changes):
    pictures = dict(zip(CAMERAS, map(frame, "abc"), strict=True))
    return {**pictures, "state": STATE, "prompt": PROMPT, "seed": 3, **changes}


@pytest.fixture(scope="module")
def settings():
    torch.set_num_threads(1)
    return CheckpointSettings(str(GOLDEN / "A"))


@pytest.fixture(scope="module")
def policy(settings):
    return CheckpointPolicy(settings, load_cell("franka"))


@pytest.fixture(scope="module")
def client(policy):
    with serving(policy) as (_, uri), Client(uri, extensions=True) as client:
        yield client


@pytest.fixture(scope="module")
def reference():
    """The policy as `labvla infer` asks it."""
    return load_policy(GOLDEN / "A")


def assert_same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_it_says_what_the_checkpoint_and_the_cell_are(client):
    cell = load_cell("franka")
    said = client.metadata
    assert (said["policy_type"], said["checkpoint"]) == ("labvla", "A")
    assert (said["action_dim"], said["state_dim"], said["chunk_size"]) == (8, 8, 10)
    assert (said["max_action_dim"], said["num_inference_steps"], said["num_cameras"]) == (32, 10, 3)
    assert (said["action_space"], said["anchor"]) == ("absolute", "measured")
    assert said["network_action_space"] == "delta_from_observation"
    assert (said["control_rate"], said["row_offset"]) == (30.0, 1)
    assert said["columns"] == [*cell.joints, "arm_gripper"]
    assert said["camera_names"] == ["front", "side", "wrist"]
    assert said["gripper_unit"] == "finger_width"
    assert said["contract_hash"] == cell.contract_hash
    assert len(said["norm_stats_hash"]) == 64
    assert set(said["extensions"]) == {"request_id", "deadline_ms", "seed", "prefix"}


def test_a_remote_engine_has_nothing_left_to_believe(client):
    cell, metadata = load_cell("franka"), Metadata.read(client.metadata)
    agreement.check(metadata, cell, LabVlaRos(metadata, cell), "here")
    assert agreement.unsaid(metadata) == {}


@pytest.mark.parametrize("names", [("a", "b", "c"), ("d", "e", None), (None, "c", "d")])
def test_rows_are_those_of_the_policy_itself(client, reference, names):
    images = [None if name is None else frame(name) for name in names]
    reply = client.ask(request(**dict(zip(CAMERAS, images, strict=True))))
    expected = reference.predict(images, STATE, PROMPT, seed=3)
    assert reply["actions"].dtype == np.float32
    assert_same(reply["actions"], expected.actions)


def test_floats_and_turned_pictures_are_the_same_pictures(client):
    usual = client.ask(request())["actions"]
    turned = frame("a").transpose(2, 0, 1)
    # Cut, not rounded: half a step more than k / 255 is k again.
    floats = (frame("b") + 0.5) / 255
    assert_same(client.ask(request(camera_1_rgb=turned, camera_2_rgb=floats))["actions"], usual)


def test_without_a_seed_answers_differ_and_one_clients_seed_is_not_anothers(client):
    first, second = (client.ask(request(seed=None))["actions"] for _ in range(2))
    assert not np.array_equal(first, second)


def test_the_committed_prefix_is_continued_about_the_new_state(client):
    """The answer follows it, and follows it just as well when the state is another by now."""
    free = client.ask(request())["actions"]
    prefix = free + np.float32(0.02) * (np.arange(8) < 7)  # a plan to one side of it
    for state in (STATE, STATE + 0.01 * (np.arange(8) < 7)):
        alone = client.ask(request(state=state))["actions"]
        reply = client.ask(request(state=state, prefix=prefix[:6], prefix_frozen=4))
        assert reply["prefix_rows"] == 4
        near, far = (np.abs(rows[:4] - prefix[:4]).mean() for rows in (reply["actions"], alone))
        assert near < 0.5 * far


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("word " * 60, "prompt_too_long"),
        ("stop <|endoftext|> go", "prompt_unreadable"),
        ("", "prompt_missing"),
    ],
)
def test_what_the_policy_cannot_read_is_refused(client, prompt, reason):
    assert client.ask(request(prompt=prompt))["error"] == reason
    assert "actions" in client.ask(request())


def test_a_long_prompt_is_cut_as_infer_cuts_it_where_somebody_said_so(policy, reference):
    long, images = "stir " * 60, [*map(frame, "abc")]
    reader = ReaderSettings(truncate_prompts=True)
    with serving(policy, reader=reader) as (_, uri), Client(uri) as lenient:
        rows = lenient.ask(request(prompt=long))["actions"]
    expected = reference.predict(images, STATE, long, seed=3)
    assert expected.words.dropped
    assert_same(rows, expected.actions)


def test_answers_are_cut_to_the_rows_that_were_asked_for(settings, reference):
    policy = CheckpointPolicy(replace(settings, rows=6))
    assert policy.metadata.chunk_size == 6
    assert policy.metadata.model_chunk_size == 10
    assert policy.metadata.contract_hash is None  # nobody has named a cell
    with serving(policy) as (_, uri), Client(uri) as client:
        rows = client.ask(request())["actions"]
    expected = reference.predict([*map(frame, "abc")], STATE, PROMPT, seed=3).actions
    assert_same(rows, expected[:6])


def test_a_checkpoint_for_another_cell_is_not_served(settings):
    with pytest.raises(Refused, match="checkpoint_contract.*8-wide"):  # noqa: RUF043
        CheckpointPolicy(settings, load_cell("dual_arm"))


def test_a_cell_anchored_to_the_reference_is_not_served(settings, tmp_path):
    description = yaml.safe_load(Path(load_cell("franka").origin.file).read_text())
    description["policy"]["anchor"] = "reference"
    file = tmp_path / "franka.yaml"
    file.write_text(yaml.safe_dump(description))
    with pytest.raises(Refused, match="only the measured state"):
        CheckpointPolicy(settings, load_cell(file))
