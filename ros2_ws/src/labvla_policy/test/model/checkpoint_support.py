"""Checkpoint folders to spoil: copies of the golden ones."""

import json
import shutil

from golden_support import GOLDEN
from safetensors.torch import load_file, save_file

VECTORS = ("vectors.json", "vectors.safetensors")


def copied(variant, folder):
    """A golden checkpoint that a test may change."""
    return shutil.copytree(GOLDEN / variant, folder / variant, ignore=lambda *_: VECTORS)


def edited(path, **changes):
    """Change keys of a JSON file; None takes a key away."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return path.parent


def reweighted(folder, change):
    """Rewrite the weights: `change` gets the dictionary and may return another."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights = change(weights) or weights
    path.unlink()  # the tensors are still mapped from it
    save_file({name: tensor.clone() for name, tensor in weights.items()}, path)
    return folder
