"""The golden vectors: policies, their inputs, and how close is close enough."""

import json
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from labvla_policy.model.build import build_policy
from labvla_policy.model.config import ModelConfig, read_fields
from labvla_policy.model.inputs import PolicyInputs

GOLDEN = Path(__file__).parent / "golden"
VARIANTS = ("A", "B", "A_ki")
CASES = ("c0", "c1", "c2")
PREFIX_IMAGES = 3 * 66


@cache
@torch.inference_mode(False)  # kept for tests that need gradients, whoever asks first
def tensors(variant):
    return load_file(GOLDEN / variant / "vectors.safetensors")


@cache
def facts(variant):
    return json.loads((GOLDEN / variant / "vectors.json").read_text())


@cache
def pixels():
    return load_file(GOLDEN / "frames" / "pixels.safetensors")


@cache
@torch.inference_mode(False)
def frame(name):
    """A camera's frame: 3 x height x width bytes."""
    with Image.open(GOLDEN / "frames" / f"{name}.png") as image:
        width, height = image.size
        flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.reshape(height, width, 3).permute(2, 0, 1)


@cache
@torch.inference_mode(False)
def _seen(pixel_plan, name):
    return pixel_plan(frame(name))


def golden_policy(variant, dtype=torch.float32, table_dtype=torch.float32, attention=None, **over):
    """The policy of a folder, with fields of its configuration replaced."""
    folder = GOLDEN / variant
    config, vlm, processor = (
        json.loads((folder / f"{name}.json").read_text())
        for name in ("config", "vlm_config", "preprocessor_config")
    )
    config = ModelConfig(**(read_fields(ModelConfig, config, "config.json") | over))
    options = {"attention": attention} if attention else {}
    policy = build_policy(config, vlm, processor, table_dtype=table_dtype, **options)
    weights = {
        key.removeprefix("model."): weight
        for key, weight in load_file(folder / "model.safetensors").items()
        if not key.endswith(".pe")  # the table follows from a formula, in the precision asked for
    }
    policy.load_state_dict(weights, strict=False)
    return policy.to(dtype).eval()


def golden_inputs(policy, variant, case):
    """What goes into the network in a case."""
    vectors, slots = tensors(variant), facts(variant)["cases"][case]["slots"]
    shown = next(slot for slot in slots if slot)
    seen = [_seen(policy.vlm.pixel_plan, slot or shown) for slot in slots]
    return PolicyInputs(
        pixels=torch.stack(seen)[None],
        image_mask=torch.tensor([[slot is not None for slot in slots]]),
        text_ids=vectors[f"{case}.input_ids"][:, PREFIX_IMAGES:],
        text_mask=vectors[f"{case}.attention_mask"][:, PREFIX_IMAGES:].bool(),
        state=vectors[f"{case}.state_norm"],
    )


def assert_golden(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
