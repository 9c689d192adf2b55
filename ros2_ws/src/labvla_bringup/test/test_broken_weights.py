"""Weights that are cut short, of another shape or no numbers: every command says so and ends."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from labvla_bringup import cli

GOLDEN = Path(__file__).resolve().parents[2] / "labvla_policy" / "test" / "model" / "golden"
WEIGHT = "model.proj_vlm_to_dit.weight"
ASKED = (
    "--image", f"0={GOLDEN / 'frames' / 'a.png'}", "--state", "0,0,0,-1.5,0,1.5,0,0.02",
    "--prompt", "press", "--out", "unwritten.safetensors",
)  # fmt: skip


def cut_short(file):
    file.write_bytes(file.read_bytes()[:500_000])


def rewritten(file, change):
    weights = {name: weight.copy() for name, weight in load_file(file).items()}
    weights[WEIGHT] = change(weights[WEIGHT])
    file.unlink()
    save_file(weights, file)


def not_a_number(file):
    rewritten(file, lambda weight: np.where(np.arange(weight.shape[1]) == 3, np.nan, weight))


def narrow(file):
    rewritten(file, lambda weight: np.ascontiguousarray(weight[:, :-1]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_short, "cut short"),
        (not_a_number, "proj_vlm_to_dit.weight holds NaN or infinity"),
        (narrow, "proj_vlm_to_dit.weight: expected 32 x 64, got 32 x 63"),
    ],
)
@pytest.mark.parametrize("command", [("infer", *ASKED), ("serve", "--port", "0")])
def test_broken_weights_are_named(tmp_path, monkeypatch, capsys, command, spoil, words):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(GOLDEN / "A", tmp_path / "broken")
    spoil(folder / "model.safetensors")
    name, *options = command
    assert cli.main((name, "--checkpoint", str(folder), *options)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert not Path("unwritten.safetensors").exists()


def test_the_same_weights_unbroken_are_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(GOLDEN / "A", tmp_path / "sound")
    rewritten(folder / "model.safetensors", np.copy)
    assert cli.main(("infer", "--checkpoint", str(folder), *ASKED, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 10
