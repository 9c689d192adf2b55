"""Reads vlm_config.json with the library that defines it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig

from labvla_policy.model.errors import ConfigError


def qwen_config(values: Mapping[str, Any]) -> Qwen3VLConfig:
    """Read vlm_config.json."""
    try:
        return Qwen3VLConfig.from_dict(_copy(values))
    except Exception as error:  # the library's own checks raise many kinds
        raise ConfigError(f"vlm_config.json: not a Qwen3-VL configuration: {error}") from error


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy deeply: the library changes what it is given."""
    return {
        key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()
    }
