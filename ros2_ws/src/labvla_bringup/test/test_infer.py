"""`labvla infer`: files in, one chunk out, and a clear word for everything that is wrong."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_tensors

from labvla_bringup import cli
from labvla_policy.model.checkpoint.progress import DESCRIPTION, PROGRESS_HEAD, PROGRESS_WEIGHTS
from labvla_policy.model.inference import load_policy
from labvla_policy.model.progress import ProgressHead

GOLDEN = Path(__file__).resolve().parents[2] / "labvla_policy" / "test" / "model" / "golden"
VARIANTS = ("A", "B", "A_ki")
FACTS = json.loads((GOLDEN / "A" / "vectors.json").read_text())["cases"]  # of all variants alike
GOLDEN_VECTORS = {name: load_file(GOLDEN / name / "vectors.safetensors") for name in VARIANTS}
VECTORS = GOLDEN_VECTORS["A"]


def png(name):
    return str(GOLDEN / "frames" / f"{name}.png")


def state_of(case, variant="A"):
    state = GOLDEN_VECTORS[variant][f"{case}.state_raw"]
    return ",".join(repr(float(value)) for value in state)


@pytest.fixture
def infer(tmp_path, capsys):
    """Run the command with golden input of a case, some of it replaced; None takes it away."""

    def run(case="c0", images=None, flags=(), variant="A", **replaced):
        noise = tmp_path / "noise.safetensors"
        save_file({"noise": GOLDEN_VECTORS[variant][f"{case}.noise"]}, noise)
        slots = FACTS[case]["slots"]
        if images is None:
            images = [f"{slot}={png(name)}" for slot, name in enumerate(slots) if name]
        options = {
            "checkpoint": GOLDEN / variant,
            "state": state_of(case, variant),
            "prompt": FACTS[case]["prompt"],
            "noise": noise,
            "dtype": "float32",
            "out": tmp_path / "out.safetensors",
        } | replaced
        words = [word for image in images for word in ("--image", image)]
        for name, value in options.items():
            words += [] if value is None else [f"--{name}", str(value)]
        try:
            code = cli.main(["infer", *words, *flags])
        except SystemExit as end:  # argparse's own way
            code = end.code
        return code, capsys.readouterr()

    return run


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", FACTS)
def test_golden_chunk(infer, tmp_path, variant, case):
    code, output = infer(case, variant=variant)
    assert code == 0, output.err
    made = load_file(tmp_path / "out.safetensors")
    assert made.keys() == {"chunk", "actions"}
    for name, tensor in made.items():
        expected = GOLDEN_VECTORS[variant][f"{case}.{name}"]
        np.testing.assert_allclose(tensor, expected, rtol=1e-4, atol=1e-5)
        assert tensor.dtype == np.float32
    assert ("are cut off" in output.err) == (case == "c2")


def test_state_and_noise_from_files(infer, tmp_path):
    (tmp_path / "state.csv").write_text(state_of("c0") + "\n")
    np.save(tmp_path / "noise.npy", VECTORS["c0.noise"][0])
    code, _ = infer(state=tmp_path / "state.csv", noise=tmp_path / "noise.npy")
    assert code == 0
    made = load_file(tmp_path / "out.safetensors")
    np.testing.assert_allclose(made["chunk"], VECTORS["c0.chunk"], rtol=1e-4, atol=1e-5)


def test_bfloat16_is_near(infer, tmp_path):
    assert infer(dtype="bfloat16")[0] == 0
    difference = np.abs(load_file(tmp_path / "out.safetensors")["chunk"] - VECTORS["c0.chunk"])
    assert 0 < difference.mean() < 0.03


def test_report_for_machines(infer):
    code, output = infer("c2", flags=["--json"])
    assert code == 0
    report = json.loads(output.out)
    assert (report["rows"], report["columns"]) == (10, 8)
    assert (report["prompt_tokens"], report["prompt_tokens_dropped"]) == (48, 42)


def test_progress_is_told_where_the_checkpoint_knows_it(infer, tmp_path):
    """And is nothing where it does not."""
    code, output = infer(flags=["--json"])
    assert (code, json.loads(output.out)["progress"]) == (0, None)
    assert "of the episode" not in infer()[1].out
    folder = shutil.copytree(GOLDEN / "A", tmp_path / "A")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {PROGRESS_HEAD: dict(DESCRIPTION)}))
    head = ProgressHead(load_policy(GOLDEN / "A").policy.config)
    with torch.no_grad():
        head.tell[0].weight.zero_()
        head.tell[0].bias.fill_(0.25)
    save_tensors(head.state_dict(), folder / PROGRESS_WEIGHTS)
    code, output = infer(checkpoint=folder, flags=["--json"])
    assert (code, json.loads(output.out)["progress"]) == (0, 0.25)
    assert "progress: 25% of the episode" in infer(checkpoint=folder)[1].out


def test_a_seed_gives_one_result(infer, tmp_path):
    chunks = []
    for seed in (1, 1, 2):
        assert infer(noise=None, seed=seed)[0] == 0
        chunks.append(load_file(tmp_path / "out.safetensors")["chunk"])
    assert np.array_equal(chunks[0], chunks[1])
    assert not np.array_equal(chunks[0], chunks[2])


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"images": ["front.png"]}, "expected SLOT=PNG"),
        ({"images": [f"3={png('a')}"]}, "a slot of 0, 1 or 2"),
        ({"images": [f"-1={png('a')}"]}, "a slot of 0, 1 or 2"),
        ({"images": [f"0={png('a')}", f"0={png('b')}"]}, "slot 0 is given twice"),
        ({"images": ["0=nowhere.png"]}, "nowhere.png: no such file"),
        ({"images": [f"0={GOLDEN / 'A' / 'config.json'}"]}, "cannot be read as a picture"),
        ({"images": []}, "--image"),
        ({"state": "1,2,3"}, "state: expected 8 numbers"),
        ({"state": "a,b"}, "expected numbers separated by commas"),
        ({"state": "nan" + ",0" * 7}, "expected finite numbers"),
        ({"state": "1," * 10_000}, "expected numbers separated by commas"),
        ({"prompt": "  "}, "prompt: expected an instruction"),
        ({"prompt": "press " * 2_000_000}, "at most 100,000 characters"),
        ({"prompt": "<|im_start|>"}, "control token"),
        ({"noise": "nowhere.npy"}, "nowhere.npy: no such file"),
        ({"noise": png("a")}, "expected .npy or .safetensors"),
        ({"noise": GOLDEN / "A" / "vectors.safetensors"}, "expected a tensor `noise`, got c0.act"),
        ({"seed": 1}, "--seed and --noise"),
        ({"noise": None, "seed": -1}, "--seed: expected 0"),
        ({"steps": 0}, "--steps: expected at least 1"),
        ({"steps": "many"}, "invalid int value"),
        ({"dtype": "int8"}, "dtype: expected one of"),
        ({"device": "warp"}, "device: expected cpu"),
        ({"checkpoint": "nowhere"}, "nowhere: no such folder"),
        ({"checkpoint": GOLDEN}, "missing"),
        ({"out": "nowhere/out.safetensors"}, "no such folder"),
    ],
)
def test_bad_input_is_named(infer, replaced, words):
    code, output = infer(**replaced)
    assert code == 2
    assert words in output.err
    assert "Traceback" not in output.err


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_pictures_that_are_not_red_green_blue_are_refused(infer, tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "odd.png")
    code, output = infer(images=[f"0={tmp_path / 'odd.png'}"])
    assert code == 2
    assert f"got the mode {mode}" in output.err


def test_a_truncated_picture_is_refused(infer, tmp_path):
    (tmp_path / "cut.png").write_bytes(Path(png("a")).read_bytes()[:5000])
    code, output = infer(images=[f"0={tmp_path / 'cut.png'}"])
    assert code == 2
    assert "cannot be read as a picture" in output.err


def test_a_checkpoint_that_never_saw_data_names_the_command_to_use(infer, tmp_path):
    base = shutil.copytree(GOLDEN / "A", tmp_path / "base")
    (base / "norm_stats.json").unlink()
    code, output = infer(checkpoint=base)
    assert code == 2
    assert "labvla data stats" in output.err


def test_a_missing_device_is_the_environments_fault(infer, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, output = infer(device="cuda")
    assert code == 3
    assert "no CUDA device" in output.err


def test_a_missing_package_is_named(infer, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "labvla_policy.model.inference", raising=False)
    code, output = infer()
    assert code == 3
    assert "needs the Python package 'torch'" in output.err


def test_values_that_begin_with_a_minus_are_values():
    words = ["infer", "--state", "-0.1,0.2", "--seed", "-1", "--image", "0=a.png", "-.5"]
    joined = ["infer", "--state=-0.1,0.2", "--seed=-1", "--image", "0=a.png", "-.5"]
    assert cli._with_negative_values(words) == joined
