"""Networks that are measured: the public one, its architecture in small, and the bundled one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labvla_policy.model.backbone.mini import MiniConfig
from labvla_policy.model.backbone.public import PUBLIC_BACKBONE
from labvla_policy.model.config import Dtype, ModelConfig

Frame = tuple[int, int]


@dataclass(frozen=True)
class Size:
    """One network, and the frames that it is shown."""

    name: str
    meaning: str
    config: ModelConfig
    vlm: Mapping[str, Any]
    frame: Frame = (480, 640)

    @property
    def is_public_architecture(self) -> bool:
        """Whether the public libraries have a model of this kind to compare with."""
        return bool(self.vlm["model_type"] == PUBLIC_BACKBONE["model_type"])


def _config(dtype: Dtype = "bfloat16", chunk_size: int = 50, **fields: Any) -> ModelConfig:
    return ModelConfig(
        dtype=dtype,
        attn_implementation="sdpa",
        chunk_size=chunk_size,
        n_action_steps=chunk_size,
        **fields,
    )


def _tiny_backbone() -> dict[str, Any]:
    text = dict(PUBLIC_BACKBONE["text_config"]) | {
        "vocab_size": 512,
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "intermediate_size": 128,
        "rope_scaling": {
            "rope_type": "default",
            "mrope_interleaved": True,
            "mrope_section": [6, 5, 5],
        },
    }
    vision = dict(PUBLIC_BACKBONE["vision_config"]) | {
        "depth": 4,
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 64,
        "out_hidden_size": 64,
        "deepstack_visual_indexes": [0, 1, 2],
    }
    tokens = {"image_token_id": 500, "video_token_id": 501, "vision_start_token_id": 502}
    ends = {"vision_end_token_id": 503, "text_config": text, "vision_config": vision}
    return dict(PUBLIC_BACKBONE) | tokens | ends


SIZES = {
    size.name: size
    for size in (
        Size(
            "full", "the public checkpoint's sizes, 4.7 billion weights", _config(), PUBLIC_BACKBONE
        ),
        Size(
            "tiny",
            "the public architecture in small: the same operations on a few numbers each",
            _config("float32", chunk_size=10, dit_num_layers=4, dit_num_heads=2, dit_head_dim=16),
            _tiny_backbone(),
        ),
        Size(
            "mini",
            "the small backbone for CPUs, 5 million weights",
            _config(
                "float32",
                image_resolution=(128, 128),
                tokenizer_max_length=16,
                chunk_size=16,
                dit_num_layers=4,
                dit_num_heads=6,
                dit_head_dim=32,
            ),
            MiniConfig(vocab_size=2048).as_json(),
        ),
    )
}
