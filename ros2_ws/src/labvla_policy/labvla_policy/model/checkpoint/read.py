"""A checkpoint's folder as a policy that can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from labvla_policy.model.attention import Attention, choose_attention
from labvla_policy.model.backbone.public import PUBLIC_BACKBONE
from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.keys import Variant, detect
from labvla_policy.model.checkpoint.progress import (
    PROGRESS_HEAD,
    PROGRESS_WEIGHTS,
    has_progress_head,
)
from labvla_policy.model.checkpoint.source import CONFIG, CheckpointFolder
from labvla_policy.model.checkpoint.weights import StoredWeights, find_weights, load_weights
from labvla_policy.model.config import TRAINING_KEYS, ModelConfig, read_fields
from labvla_policy.model.control import CONTROL, ControlContract, read_control
from labvla_policy.model.errors import ConfigError, ModelError, Unavailable
from labvla_policy.model.json_files import read_json
from labvla_policy.model.pipeline.norm_stats import NORM_STATS, NormStats, stats_from_json
from labvla_policy.model.pipeline.schema import (
    SCHEMA,
    SCHEMAS,
    DataSchema,
    pick_repo,
    schema_from_json,
)
from labvla_policy.model.pipeline.text import (
    TOKENIZER,
    TOKENIZER_CONFIG,
    PromptTokenizer,
    load_tokenizer,
)
from labvla_policy.model.policy import Policy

VLM_CONFIG = "vlm_config.json"
PROCESSOR_CONFIG = "preprocessor_config.json"
EMA_STATE = "training_state/ema_state.pt"
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
_FROM_DATA = (
    "it belongs to the data that the policy was fine-tuned on, and the public base has none. "
    "Make the statistics with `labvla data stats DATASET`, and copy them from the dataset's meta/ "
    "together with its labvla_schema.json"
)


@dataclass(frozen=True, eq=False)
class NetworkFiles:
    """What describes the network, and where its weights are."""

    config: ModelConfig
    vlm: Mapping[str, Any]
    processor: Mapping[str, Any]
    variant: Variant
    weights: StoredWeights
    control: ControlContract
    progress_head: bool  # whether there is one
    raw_config: Mapping[str, Any]
    notes: tuple[str, ...]  # what people should know, none of it a fault


def describe(folder: CheckpointFolder) -> NetworkFiles:
    """Read everything about a network but its weights."""
    path = folder.need(CONFIG, "it says what the weights are for")
    raw = read_json(path)
    notes: list[str] = []
    known = {f.name for f in fields(ModelConfig)} | TRAINING_KEYS | {CONTROL, PROGRESS_HEAD}
    unknown = sorted(raw.keys() - known)
    if unknown:
        notes.append(f"{CONFIG}: unknown and left aside: {', '.join(unknown)}")
    values = read_fields(ModelConfig, raw, str(path))
    chunk = values.get("chunk_size", ModelConfig.chunk_size)
    if values.get("n_action_steps", 0) > chunk:
        notes.append(f"{CONFIG}: n_action_steps is cut to chunk_size = {chunk}")
        values["n_action_steps"] = chunk
    values.setdefault("n_action_steps", chunk)
    try:
        config = ModelConfig(**values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if config.training_phase != "posttrain":
        raise ConfigError(
            f"{path}: training_phase: expected posttrain, got {config.training_phase}: the first "
            "stage has no action expert yet"
        )
    vlm = _optional_json(folder, VLM_CONFIG, PUBLIC_BACKBONE, notes)
    processor = _optional_json(folder, PROCESSOR_CONFIG, {}, notes)
    weights = find_weights(folder)
    variant = detect(weights.tensors, weights.where)
    config = _corrected(config, variant, notes)
    if (folder.root / EMA_STATE).exists():
        notes.append(
            f"{EMA_STATE}: averaged weights lie there and not in {weights.where}; they are a "
            "pickle, and not read"
        )
    head = has_progress_head(raw, str(path))
    if not head and folder.find(PROGRESS_WEIGHTS) is not None:
        notes.append(f"{PROGRESS_WEIGHTS}: left aside, {CONFIG} does not speak of it")
    return NetworkFiles(
        config=config,
        vlm=vlm,
        processor=processor,
        variant=variant,
        weights=weights,
        control=read_control(raw, str(path)),
        progress_head=head,
        raw_config=raw,
        notes=tuple(notes),
    )


def _optional_json(
    folder: CheckpointFolder, name: str, usual: Mapping[str, Any], notes: list[str]
) -> Mapping[str, Any]:
    path = folder.find(name)
    if path is not None:
        return read_json(path)
    notes.append(f"{name}: missing; taken as in the public model")
    return usual


def _corrected(config: ModelConfig, variant: Variant, notes: list[str]) -> ModelConfig:
    """Where configuration and weights disagree about the variant, the weights are right."""
    if variant.knowledge_isolation and not config.knowledge_isolation:
        notes.append(f"{CONFIG}: knowledge_isolation is off: the weights of its parts are not used")
    said = config.dit_cross_attention_dim
    if (said or config.expert_width) == variant.source_width:
        return config
    notes.append(
        f"{CONFIG}: dit_cross_attention_dim says {said}, the weights are of variant {variant.name}"
    )
    return replace(config, dit_cross_attention_dim=variant.source_width if variant.wide else None)


def table_dtype(config: ModelConfig, dtype: torch.dtype) -> torch.dtype:
    """Tables are rounded as the weights' training rounded them, or as the weights are now."""
    rounded = torch.bfloat16
    return rounded if rounded in (dtype, DTYPES[config.dtype]) else torch.float32


def chosen_dtype(config: ModelConfig, name: str | None, device: torch.device) -> torch.dtype:
    """Return the wanted type, or the configuration's.

    Weights that are kept as float16 are computed as float32 on a CPU: it is five times as fast.
    """
    if name is not None and name not in DTYPES:
        raise ConfigError(f"dtype: expected one of {', '.join(DTYPES)}, got {name!r}")
    if name is None and config.dtype == "float16" and device.type == "cpu":
        return torch.float32
    return DTYPES[name or config.dtype]


def chosen_device(name: str | torch.device) -> torch.device:
    """Return a device that is there."""
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device: expected cpu, cuda or cuda:N, got {str(name)!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Unavailable(
            f"device {device}: no CUDA device, or a PyTorch without CUDA (`make setup TORCH=cuda`)"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Unavailable(f"device {device}: there are {torch.cuda.device_count()}")
    return device


def load_network(
    files: NetworkFiles, *, device: torch.device, dtype: torch.dtype, attention: str = "sdpa"
) -> tuple[Policy, tuple[str, ...]]:
    """Build the policy of a checkpoint and load its weights; return notes besides."""
    way, note = choose_attention(attention, device)
    policy = _without_weights(files, way, table_dtype(files.config, dtype))
    load_weights(policy, files.weights, dtype, device)
    return policy.eval(), (*files.notes, *([note] if note else []))


def _without_weights(files: NetworkFiles, attention: Attention, tables: torch.dtype) -> Policy:
    try:
        with torch.device("meta"):
            return build_policy(
                files.config, files.vlm, files.processor, attention=attention, table_dtype=tables
            )
    except ModelError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        # Sizes that do not fit together fail wherever a layer is made of them.
        raise ConfigError(f"{CONFIG}, {VLM_CONFIG}: no network has these sizes: {e}") from e


def read_schema(folder: CheckpointFolder, dataset: str | None = None) -> DataSchema:
    """Read what the columns mean; `dataset` picks one of several."""
    several = folder.find(SCHEMAS)
    if several is not None and (dataset is not None or folder.find(SCHEMA) is None):
        values = pick_repo(read_json(several), dataset, str(several))
        return schema_from_json(values, str(several))
    path = folder.need(SCHEMA, _FROM_DATA)
    return schema_from_json(read_json(path), str(path))


def read_stats(folder: CheckpointFolder, dataset: str | None = None) -> NormStats:
    """Read the data's statistics; `dataset` picks one of several."""
    path = folder.need(NORM_STATS, _FROM_DATA)
    return stats_from_json(pick_repo(read_json(path), dataset, str(path)), str(path))


def read_tokenizer(folder: CheckpointFolder, length: int) -> PromptTokenizer:
    """Read the tokenizer that belongs to the weights."""
    path = folder.need(TOKENIZER, "it is part of the released checkpoint; it fits its weights only")
    return load_tokenizer(path, folder.find(TOKENIZER_CONFIG), length)
