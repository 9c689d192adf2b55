"""config.json: released defaults, and combinations that cannot work are refused."""

import json

import pytest

from labvla_policy.model.config import ModelConfig, read_fields
from labvla_policy.model.control import ControlContract, read_control
from labvla_policy.model.errors import ConfigError


def test_released_defaults():
    config = ModelConfig()
    assert (config.chunk_size, config.n_action_steps, config.num_inference_steps) == (50, 50, 10)
    assert (config.dit_num_layers, config.dit_num_heads, config.dit_head_dim) == (18, 8, 128)
    assert (config.max_state_dim, config.max_action_dim) == (32, 32)
    assert (config.time_sampling_beta_alpha, config.time_sampling_beta_beta) == (1.5, 1.0)
    assert config.expert_width == 1024
    assert config.action_mode == "delta"
    assert config.dtype == "bfloat16"
    assert not config.knowledge_isolation


KI = {"knowledge_isolation": True, "use_fast_tokenizer": True}
PRETRAIN = {"training_phase": "vlm_pretrain"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pi05_block_attention_mask": True}, "flash attention has no such mask"),
        (KI | {"dit_layerwise_vlm_features": True}, "exclude each other"),
        ({"knowledge_isolation": True}, "needs use_fast_tokenizer"),
        ({"use_fast_tokenizer": True}, "needs knowledge_isolation"),
        (PRETRAIN, "vlm_pretrain needs use_fast_tokenizer"),
        (PRETRAIN | KI, "no knowledge_isolation"),
        ({"n_action_steps": 51}, "at most chunk_size = 50, got 51"),
        ({"chunk_size": 512, "n_action_steps": 50}, "chunk_size: expected 1 to 511"),
        ({"chunk_size": 0}, "chunk_size: expected 1 to 511, got 0"),
        ({"dit_num_layers": 10**9}, "dit_num_layers: expected 1 to 1000"),
        ({"image_resolution": (10**6, 224)}, "height and width up to 8192"),
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"dit_dropout": 0.1}, "dit_dropout"),
        ({"dit_num_heads": 1, "dit_head_dim": 3}, "even width"),
        ({"image_resolution": (224,)}, "height and width"),
        ({"gripper_action_dims": (32,)}, "columns below 32"),
    ],
)
def test_what_contradicts_itself_is_refused(fields, words):
    with pytest.raises(ConfigError, match=words):
        ModelConfig(**fields)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"chunk_size": "50"}, "chunk_size: expected a whole number, got '50'"),
        ({"chunk_size": True}, "chunk_size: expected a whole number"),
        ({"knowledge_isolation": 1}, "true or false"),
        ({"ki_mse_weight": "ten"}, "a number"),
        ({"image_resolution": 224}, "a list"),
        ({"image_resolution": [224, "x"]}, "a whole number"),
        ({"dtype": "int8"}, "one of bfloat16"),
        ({"attn_implementation": 3}, "a text"),
    ],
)
def test_wrong_types_are_refused_by_name(values, words):
    with pytest.raises(ConfigError, match=words):
        read_fields(ModelConfig, values, "config.json")


def test_a_configuration_survives_writing():
    config = ModelConfig(gripper_action_dims=(7,), dit_cross_attention_dim=2560, ki_mse_weight=3)
    again = read_fields(ModelConfig, json.loads(json.dumps(config.as_json())), "again")
    assert ModelConfig(**again) == config


def test_control_is_read_and_written():
    control = ControlContract(row_rate=60.0, row_offset=1, anchor="measured")
    assert read_control({"control": json.loads(json.dumps(control.as_json()))}, "c") == control
    assert read_control({}, "c") == ControlContract()
    assert ControlContract().as_json() == {}


@pytest.mark.parametrize(
    "control", [3, {"row_rate": 0}, {"row_rate": "60"}, {"row_offset": 2}, {"anchor": "hoped"}]
)
def test_wrong_control_is_refused(control):
    with pytest.raises(ConfigError, match="control"):
        read_control({"control": control}, "config.json")
