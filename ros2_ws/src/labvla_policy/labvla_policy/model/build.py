"""Puts a policy together from its configuration and that of its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from labvla_policy.model.attention import Attention
from labvla_policy.model.backbone.base import Backbone
from labvla_policy.model.backbone.mini import MiniBackbone, mini_config
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.pipeline.pixels import patch_plan
from labvla_policy.model.policy import Policy


def build_policy(
    config: ModelConfig,
    vlm: Mapping[str, Any],
    processor: Mapping[str, Any],
    *,
    attention: Attention = Attention.DENSE,
    table_dtype: torch.dtype = torch.float32,
) -> Policy:
    """Build with random weights, in fp32; under `torch.device("meta")` without any.

    `vlm` and `processor` are the contents of vlm_config.json and preprocessor_config.json.
    """
    backbone = _backbone(config, vlm, processor, attention, table_dtype)
    return Policy(config, backbone, table_dtype=table_dtype)


def _backbone(
    config: ModelConfig,
    vlm: Mapping[str, Any],
    processor: Mapping[str, Any],
    attention: Attention,
    table_dtype: torch.dtype,
) -> Backbone:
    kind = vlm.get("model_type")
    if kind == "qwen3_vl":
        # Imported here: transformers takes seconds to import, and a small policy needs none of it.
        from labvla_policy.model.backbone.qwen import QwenBackbone
        from labvla_policy.model.backbone.qwen_config import qwen_config

        height, width = config.image_resolution
        plan = patch_plan((height, width), processor)
        return QwenBackbone(
            qwen_config(vlm, plan),
            plan,
            attention=attention,
            block_mask=config.pi05_block_attention_mask,
            table_dtype=table_dtype,
        )
    if kind == "labvla_mini":
        return MiniBackbone(mini_config(vlm), config.image_resolution, table_dtype=table_dtype)
    raise ConfigError(
        f"vlm_config.json: model_type: expected qwen3_vl or labvla_mini, got {kind!r}"
    )
