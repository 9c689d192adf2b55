"""What people would run without this stack: the public library's model, and a plain sampler.

Qwen3-VL as transformers has it, eager, with scaled dot-product attention; the expert as it is
written down: keys, values and time embeddings anew in every step. It shares the weights' memory
with our network, so both are in one process and see the same machine.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLModel,
    Qwen3VLTextRotaryEmbedding,
    Qwen3VLVisionRotaryEmbedding,
)

from labvla_policy.model import flow
from labvla_policy.model.backbone.qwen_config import qwen_config
from labvla_policy.model.inputs import PolicyInputs, Prefix
from labvla_policy.model.pipeline.pixels import PatchPlan
from labvla_policy.model.policy import Policy


class StockSampler:
    """Observation in, chunk out, nothing kept in between."""

    def __init__(self, policy: Policy, vlm: Any) -> None:
        self._policy = policy
        config = qwen_config(vlm, cast(PatchPlan, policy.vlm.pixel_plan))
        config._attn_implementation = "sdpa"
        for part in (config.text_config, config.vision_config):
            part._attn_implementation = "sdpa"
        with torch.device("meta"):
            self._model = Qwen3VLModel(config)
        weights = policy.vlm.model.state_dict()
        self._model.load_state_dict(weights, assign=True)
        self._renew_tables(config, policy.device)
        self._model.eval().requires_grad_(False)
        self._plan = cast(PatchPlan, policy.vlm.pixel_plan)
        rows, columns = self._plan.grid
        slots = policy.vlm.camera_slots
        self._grid = torch.tensor([[1, rows, columns]] * slots, device=policy.device)

    def _renew_tables(self, config: Any, device: torch.device) -> None:
        """Tables are not in files: make those of the meta device anew."""
        text = Qwen3VLTextRotaryEmbedding(config.text_config)
        vision = Qwen3VLVisionRotaryEmbedding(config.vision_config)
        self._model.language_model.rotary_emb = text.to(device)
        self._model.visual.rotary_pos_emb = vision.to(device)

    def __call__(self, inputs: PolicyInputs, noise: Tensor) -> Tensor:
        """Return the chunk on the CPU."""
        policy = self._policy
        ids = policy.vlm.token_ids(inputs.text_ids)
        patches = self._plan.tokens
        mask = torch.cat(
            [inputs.image_mask.repeat_interleave(patches + 2, dim=1), inputs.text_mask], dim=1
        )
        hidden = self._model(
            input_ids=ids,
            attention_mask=mask.long(),
            pixel_values=inputs.pixels.flatten(0, 2).to(policy.dtype),
            image_grid_thw=self._grid,
            mm_token_type_ids=(ids == self._model.config.image_token_id).int(),
            use_cache=False,
        ).last_hidden_state
        prefix = Prefix((policy.proj_vlm_to_dit(hidden),), mask)
        return plain_chunk(policy, inputs, prefix, noise)


def plain_chunk(policy: Policy, inputs: PolicyInputs, prefix: Prefix, noise: Tensor) -> Tensor:
    """Follow the velocity, every step from scratch."""
    return flow.euler(
        lambda chunk, time: policy.velocity(chunk, time, inputs.state, prefix),
        noise.to(policy.device),
        policy.config.num_inference_steps,
    ).cpu()


class PlainSampler:
    """Our own network, run as it is written down: no caches, no graphs."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self, inputs: PolicyInputs, noise: Tensor) -> Tensor:
        """Return the chunk on the CPU."""
        return plain_chunk(self._policy, inputs, self._policy.encode(inputs), noise)
