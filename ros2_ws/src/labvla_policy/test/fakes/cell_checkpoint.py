"""A small checkpoint with random weights whose contract is a cell's: it fits, and knows nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from labvla_policy.model.backbone.mini import MiniConfig
from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.checkpoint.write import Description, tokenizer_files, write_checkpoint
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.control import ControlContract
from labvla_policy.model.pipeline.norm_stats import stats_from_json
from labvla_policy.model.pipeline.schema import schema_from_json
from labvla_policy.runtime.grippers import column_of_opening

GOLDEN = Path(__file__).resolve().parents[1] / "model" / "golden" / "A"
PROMPT_TOKENS = 12
CHUNK = 50


def write(folder, cell, *, reach=0.3, grip=0.1, stats=None, schema=None, control=None, **fields):
    """Write a checkpoint for the cell.

    Its rows are noise: joints by about `reach` rad around where they are, grippers by about `grip`
    of their stroke around the middle. The other arguments replace parts of its files.
    """
    torch.manual_seed(0)
    config = ModelConfig(
        **{
            "dtype": "float32",
            "attn_implementation": "sdpa",
            "image_resolution": (64, 64),
            "tokenizer_max_length": PROMPT_TOKENS,
            "chunk_size": CHUNK,
            "num_inference_steps": 4,
            "dit_num_layers": 2,
            "dit_num_heads": 2,
            "dit_head_dim": 16,
            "gripper_action_dims": cell.policy.columns.gripper_columns,
        }
        | fields
    )
    vlm = MiniConfig(
        vocab_size=512,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=64,
        eye_channels=(8, 8, 16),
    ).as_json()
    description = Description(
        config=config,
        vlm=vlm,
        processor={},
        schema=schema_from_json(schema_of(cell) | (schema or {}), "schema"),
        stats=stats_from_json(stats_of(cell, reach, grip) | (stats or {}), "stats"),
        tokenizer_files=tokenizer_files(CheckpointFolder(GOLDEN)),
        control=replace(
            ControlContract(
                row_rate=cell.policy.row_rate,
                row_offset=cell.policy.row_offset,
                anchor=cell.policy.anchor,
            ),
            **(control or {}),
        ),
    )
    write_checkpoint(folder, build_policy(config, vlm, {}).eval(), description, overwrite=True)
    return folder


def schema_of(cell):
    columns = cell.policy.columns
    cameras = [camera.name for camera in cell.policy_cameras]
    return {
        "state_dims": [columns.width],
        "action_dims": [columns.width],
        "delta_mask": [c not in columns.gripper_columns for c in range(columns.width)],
        "gripper_action_dims": list(columns.gripper_columns),
        "image_mapping": {
            f"observation.images.{name}": f"observation.images.image{slot}"
            for slot, name in enumerate(cameras)
        },
        "gripper_semantic": "width",
    }


def stats_of(cell, reach, grip):
    """Statistics of data around the cell's first posture."""
    width = cell.policy.columns.width
    state_mean, state_std = np.zeros(width), np.full(width, 0.3)
    middle, half = np.zeros(width), np.ones(width)
    for arm, places in zip(cell.arms, cell.policy.columns.arms, strict=True):
        state_mean[list(places.joints[: len(arm.joints)])] = arm.postures[0].joints
        ends = [float(column_of_opening(arm.gripper, m)) for m in (0.0, arm.gripper.stroke)]
        middle[places.gripper] = sum(ends) / 2
        half[places.gripper] = grip * abs(ends[1] - ends[0])
    delta_std = np.full(width, reach)
    return {
        "observation.state": _feature(state_mean, state_std, middle, half),
        "action": _feature(np.zeros(width), delta_std, middle, half),
        "action_abs": _feature(state_mean, state_std, middle, half),
        "_chunk_size": CHUNK,
    }


def _feature(mean, std, middle, half):
    return {
        "mean": mean.tolist(),
        "std": std.tolist(),
        "q01": (middle - half).tolist(),
        "q99": (middle + half).tolist(),
    }
