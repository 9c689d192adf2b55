"""A small policy with random weights: everything but the public backbone."""

import json

import torch
from golden_support import GOLDEN

from labvla_policy.model.backbone.mini import MiniConfig
from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.checkpoint.write import Description, tokenizer_files, write_checkpoint
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.control import ControlContract
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.pipeline.norm_stats import stats_from_json
from labvla_policy.model.pipeline.schema import schema_from_json

CONTROL = ControlContract(row_rate=10.0, row_offset=1, anchor="measured")
VOCABULARY = 512


def a_config(**fields):
    usual = {
        "dtype": "float32",
        "attn_implementation": "sdpa",
        "image_resolution": (64, 64),
        "tokenizer_max_length": 12,
        "chunk_size": 10,
        "n_action_steps": 10,
        "num_inference_steps": 3,
        "dit_num_layers": 2,
        "dit_num_heads": 2,
        "dit_head_dim": 16,
        "discrete_action_vocab_size": 20,
    }
    return ModelConfig(**(usual | fields))


def a_backbone(**fields):
    usual = {
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "intermediate_size": 64,
        "eye_channels": (8, 8, 16),
    }
    return MiniConfig(**(usual | fields))


def mini_policy(backbone=None, seed=0, **fields):
    torch.manual_seed(seed)
    return build_policy(a_config(**fields), (backbone or a_backbone()).as_json(), {}).eval()


def mini_inputs(policy, batch=2, seed=1):
    draw = torch.Generator().manual_seed(seed)
    slots, length = policy.vlm.camera_slots, policy.config.tokenizer_max_length
    side = policy.config.image_resolution
    text_mask = torch.zeros(batch, length, dtype=torch.bool)
    text_mask[:, :5] = True
    return PolicyInputs(
        pixels=torch.randn(batch, slots, 3, *side, generator=draw),
        image_mask=torch.ones(batch, slots, dtype=torch.bool),
        text_ids=torch.randint(VOCABULARY, (batch, length), generator=draw),
        text_mask=text_mask,
        state=torch.randn(batch, policy.config.max_state_dim, generator=draw),
    )


def description_of(policy, backbone=None):
    golden = GOLDEN / "A"
    schema = json.loads((golden / "labvla_schema.json").read_text())
    stats = json.loads((golden / "norm_stats.json").read_text())
    return Description(
        config=policy.config,
        vlm=(backbone or a_backbone()).as_json(),
        processor={},
        schema=schema_from_json(schema, "schema"),
        stats=stats_from_json(stats, "stats"),
        tokenizer_files=tokenizer_files(CheckpointFolder(golden)),
        control=CONTROL,
        other_config={"optimizer_lr": 1e-4},
    )


def written(folder, policy=None, **options):
    policy = policy or mini_policy()
    write_checkpoint(folder, policy, description_of(policy), **options)
    return folder
