"""The released size: its weights are counted always; written and loaded in the long tests."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from full_size import full_policy, full_specs, random_weights

from labvla_policy.model.checkpoint.stream import tensor_bytes

# Of the released file with all parts in bfloat16, both tied matrices and position tables stored.
FILE = {
    "A": ({}, 10_213_575_744),
    "B": ({"dit_cross_attention_dim": 2560}, 10_264_953_920),
    "A with KI parts": (
        {"knowledge_isolation": True, "use_fast_tokenizer": True},
        10_234_716_224,
    ),
}
EXPERT = {"A": 267_855_872, "B": 296_167_424}
BACKBONE = 4_437_815_808
MOST_MEMORY = 1.3  # of the file's size
SCRIPT = Path(__file__).with_name("full_size.py")


@pytest.mark.parametrize("variant", FILE)
def test_weights_are_those_of_the_released_file(variant):
    fields, size = FILE[variant]
    policy = full_policy(**fields)
    assert sum(tensor_bytes(*spec) for spec in full_specs(policy).values()) == size
    assert sum(parameter.numel() for parameter in policy.vlm.parameters()) == BACKBONE
    expert = policy.dit_action_head
    assert len(expert.state_dict()) == 276
    weights = sum(parameter.numel() for parameter in expert.parameters())
    assert weights == EXPERT[variant[0]]
    assert len(policy.vlm.state_dict()) == 714


def run(what, folder):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), what, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_written_and_loaded_in_little_more_memory_than_its_file(tmp_path):
    size = FILE["A"][1]
    if shutil.disk_usage(tmp_path).free < 1.2 * size:
        pytest.skip("needs 13 GB of disk")
    folder = tmp_path / "full"
    try:
        written = run("write", folder)
        stored = (folder / "model.safetensors").stat().st_size
        assert 0 < stored - size < 1_000_000  # the rest is the table of contents
        loaded = run("load", folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"file": stored, "written": written, "loaded": loaded}))
    assert written["peak"] < MOST_MEMORY * stored
    assert loaded["peak"] < MOST_MEMORY * stored
    assert loaded["variant"] == "A"
    name = "model.vlm.model.language_model.embed_tokens.weight"
    first = random_weights(full_specs(full_policy()))(name)[0, :3].tolist()
    assert loaded["first"] == first
