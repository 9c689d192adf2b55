"""Reads vlm_config.json with the library that defines it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.pipeline.pixels import PatchPlan

_MOST_LAYERS = 1000
_AXES = 3  # of positions: time, height, width


def qwen_config(values: Mapping[str, Any], pixel_plan: PatchPlan) -> Qwen3VLConfig:
    """Read vlm_config.json, and check it against how pictures are cut."""
    try:
        config = Qwen3VLConfig.from_dict(_copy(values))
        problems = [*_text_problems(config.text_config), *_vision_problems(config.vision_config)]
    except Exception as error:  # the library's own checks raise many kinds
        raise ConfigError(f"vlm_config.json: not a Qwen3-VL configuration: {error}") from error
    problems += _pixel_problems(config.vision_config, pixel_plan)
    if problems:
        raise ConfigError("vlm_config.json: " + "; ".join(problems))
    return config


def _text_problems(text: Any) -> Iterator[str]:
    if not 1 <= text.num_hidden_layers <= _MOST_LAYERS:
        yield f"num_hidden_layers: expected 1 to {_MOST_LAYERS}, got {text.num_hidden_layers}"
    if text.num_attention_heads % text.num_key_value_heads:
        yield (
            f"num_attention_heads: expected a multiple of num_key_value_heads = "
            f"{text.num_key_value_heads}, got {text.num_attention_heads}"
        )
    sections = text.rope_parameters["mrope_section"]
    if len(sections) != _AXES or 2 * sum(sections) != text.head_dim:
        yield (
            f"mrope_section: expected {_AXES} numbers that make {text.head_dim // 2}, half of "
            f"head_dim, got {sections}"
        )


def _vision_problems(vision: Any) -> Iterator[str]:
    if not 1 <= vision.depth <= _MOST_LAYERS:
        yield f"depth: expected 1 to {_MOST_LAYERS}, got {vision.depth}"
    if vision.hidden_size % (4 * vision.num_heads):
        yield (
            f"vision hidden_size: expected a multiple of 4 x num_heads = {4 * vision.num_heads}, "
            f"got {vision.hidden_size}"
        )
    side = math.isqrt(vision.num_position_embeddings)
    if side**2 != vision.num_position_embeddings:
        yield (
            "num_position_embeddings: expected a square number, got "
            f"{vision.num_position_embeddings}"
        )


def _pixel_problems(vision: Any, plan: PatchPlan) -> Iterator[str]:
    cut = {
        "patch_size": plan.patch,
        "spatial_merge_size": plan.merge,
        "temporal_patch_size": plan.copies,
    }
    for name, expected in cut.items():
        if getattr(vision, name) != expected:
            yield (
                f"{name}: expected {expected}, as preprocessor_config.json cuts pictures, "
                f"got {getattr(vision, name)}"
            )


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy deeply: the library changes what it is given."""
    return {
        key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()
    }
