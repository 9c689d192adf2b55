"""A network with random weights, made where it is measured: nothing is downloaded or copied."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.model.sizes import Size
from labvla_policy.model.build import build_policy
from labvla_policy.model.config import Dtype
from labvla_policy.model.control import ControlContract
from labvla_policy.model.inference import LoadedPolicy
from labvla_policy.model.pipeline.norm_stats import stats_from_json
from labvla_policy.model.pipeline.schema import DataSchema
from labvla_policy.model.pipeline.text import PromptTokenizer, Words
from labvla_policy.model.pipeline.vectors import make_plan
from labvla_policy.model.policy import Policy

COLUMNS = 8
_SPREAD = 0.02
DTYPES: dict[Dtype, torch.dtype] = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


def random_policy(size: Size, device: torch.device, dtype: Dtype, seed: int = 0) -> Policy:
    """Build without weights, then draw them one by one on the device itself."""
    with torch.device("meta"):
        policy = build_policy(size.config, size.vlm, {}, table_dtype=torch.bfloat16)
    chance = None if device.type == "meta" else torch.Generator(device).manual_seed(seed)
    for name, old in list(policy.named_parameters()):
        path, _, attribute = name.rpartition(".")
        new = _drawn(old, name, device, DTYPES[dtype], chance)
        setattr(policy.get_submodule(path), attribute, nn.Parameter(new, requires_grad=False))
    policy.vlm.retie_language_head()
    placed: Policy = policy.to(device).eval()
    return placed


def _drawn(
    old: Tensor, name: str, device: torch.device, dtype: torch.dtype, chance: torch.Generator | None
) -> Tensor:
    new = torch.empty(old.shape, device=device, dtype=dtype)
    if old.ndim == 1 and name.endswith("norm.weight"):
        return new.fill_(1.0)
    return new.normal_(0.0, _SPREAD, generator=chance)


class _AnyWords:
    """Stands where a tokenizer stands; how long a text is does not matter to a fixed length."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __call__(self, prompt: str) -> Words:
        count = min(self._length, max(1, len(prompt.split())))
        ids = tuple(range(1, count + 1)) + (0,) * (self._length - count)
        return Words(ids, count, 0)


def loaded_policy(size: Size, device: torch.device, dtype: Dtype) -> LoadedPolicy:
    """Put a random network where a checkpoint's stands."""
    feature = {"mean": [0.0], "std": [1.0], "q01": [-1.0], "q99": [1.0]}
    columns: Any = {name: numbers * COLUMNS for name, numbers in feature.items()}
    stats = stats_from_json({"observation.state": columns, "action": columns}, "random")
    schema = DataSchema(
        state_dims=(COLUMNS,), action_dims=(COLUMNS,), delta_mask=(True,) * 7 + (False,)
    )
    return LoadedPolicy(
        policy=random_policy(size, device, dtype),
        tokenizer=cast(PromptTokenizer, _AnyWords(size.config.tokenizer_max_length)),
        vectors=make_plan(size.config, schema, stats),
        schema=schema,
        control=ControlContract(),
        stats_digest=stats.digest,
        device=device,
        source=f"random weights of size {size.name}",
        notes=(),
    )


def frames(size: Size, slots: int, seed: int = 1) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Draw what the cameras show."""
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (*size.frame, 3), dtype=np.uint8) for _ in range(slots)]
