"""What a policy is: the network's part of config.json, with the released defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from labvla_policy.model.errors import ConfigError

ActionMode = Literal["delta", "abs"]
Phase = Literal["posttrain", "vlm_pretrain"]
Dtype = Literal["bfloat16", "float16", "float32"]
Objective = Literal["flow", "l1"]

POSITIONS = 512  # rows of the expert's position table in the files

# Far beyond every known policy: a typing error must not ask for all of the memory.
_LARGEST = {
    "tokenizer_max_length": 8192,
    "chunk_size": POSITIONS - 1,  # the state takes one
    "n_action_steps": POSITIONS - 1,
    "max_state_dim": 4096,
    "max_action_dim": 4096,
    "num_inference_steps": 10_000,
    "dit_num_layers": 1000,
    "dit_num_heads": 1024,
    "dit_head_dim": 1024,
    "discrete_action_vocab_size": 1_000_000,
    "discrete_action_max_length": 8192,
}
_LARGEST_SIDE = 8192

# What config.json tells to training alone: read there, kept when a checkpoint is written again.
TRAINING_KEYS = frozenset(
    {
        "compile_mode", "compile_model", "device", "discretize_state_in_vlm_pretrain",
        "empty_cameras", "freeze_vision_encoder", "gc_dit", "gc_language_model",
        "gc_visual_encoder", "gradient_checkpointing", "n_obs_steps", "normalization_mapping",
        "optimizer_betas", "optimizer_dit_lr", "optimizer_eps", "optimizer_grad_clip_norm",
        "optimizer_lr", "optimizer_vlm_lr", "optimizer_weight_decay",
        "scheduler_allow_auto_scale", "scheduler_decay_lr", "scheduler_decay_steps",
        "scheduler_warmup_steps", "train_expert_only", "train_vlm_only",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Fields carry the names of the file; what a file does not say has the released value."""

    dtype: Dtype = "bfloat16"
    attn_implementation: str = "flash_attention_2"
    image_resolution: tuple[int, ...] = (224, 224)
    tokenizer_max_length: int = 48
    chunk_size: int = 50
    n_action_steps: int = 50
    max_state_dim: int = 32
    max_action_dim: int = 32
    num_inference_steps: int = 10

    dit_num_layers: int = 18
    dit_num_heads: int = 8
    dit_head_dim: int = 128
    dit_dropout: float = 0.0
    dit_cross_attention_dim: int | None = None
    dit_interleave_self_attention: bool = True
    dit_layerwise_vlm_features: bool = False
    # Our own key: training gave leading rows clean, so that chunks continue them by themselves.
    rtc_trained_prefix: bool = False
    # Our own key: l1 is the baseline whose expert answers a chunk at once, from zeros at time 0.
    objective: Objective = "flow"
    pi05_block_attention_mask: bool = False

    training_phase: Phase = "posttrain"
    action_mode: ActionMode = "delta"
    knowledge_isolation: bool = False
    use_fast_tokenizer: bool = False
    ki_mse_weight: float = 10.0
    discrete_action_vocab_size: int = 2048
    discrete_action_max_length: int = 240

    time_sampling_beta_alpha: float = 1.5
    time_sampling_beta_beta: float = 1.0
    time_sampling_scale: float = 0.999
    time_sampling_offset: float = 0.0
    gripper_loss_weight: float = 1.0
    gripper_action_dims: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        problems = list(_contradictions(self))
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def expert_width(self) -> int:
        """Width of the action expert."""
        return self.dit_num_heads * self.dit_head_dim

    @property
    def source_width(self) -> int:
        """Width of what the expert looks at."""
        return self.dit_cross_attention_dim or self.expert_width

    def as_json(self) -> dict[str, Any]:
        """Return the fields as the file holds them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def _contradictions(config: ModelConfig) -> Iterator[str]:
    for name, most in _LARGEST.items():
        if not 1 <= getattr(config, name) <= most:
            yield f"{name}: expected 1 to {most}, got {getattr(config, name)}"
            return  # nothing else can be judged
    sides = config.image_resolution
    if len(sides) != 2 or not all(1 <= side <= _LARGEST_SIDE for side in sides):
        yield (
            f"image_resolution: expected height and width up to {_LARGEST_SIDE}, got {list(sides)}"
        )
    if config.expert_width % 2:
        yield f"dit_num_heads * dit_head_dim: expected an even width, got {config.expert_width}"
    if config.n_action_steps > config.chunk_size:
        yield (
            f"n_action_steps: expected at most chunk_size = {config.chunk_size}, "
            f"got {config.n_action_steps}"
        )
    if any(not 0 <= column < config.max_action_dim for column in config.gripper_action_dims):
        yield (
            f"gripper_action_dims: expected columns below {config.max_action_dim}, "
            f"got {list(config.gripper_action_dims)}"
        )
    if config.dit_dropout:
        yield f"dit_dropout: expected 0, as in every released recipe, got {config.dit_dropout}"
    if config.pi05_block_attention_mask and config.attn_implementation == "flash_attention_2":
        yield (
            "pi05_block_attention_mask: flash attention has no such mask; set "
            "attn_implementation to sdpa"
        )
    if config.objective == "l1":
        if config.num_inference_steps != 1:
            yield (
                "num_inference_steps: expected 1 with objective l1, which answers at once, "
                f"got {config.num_inference_steps}"
            )
        if config.rtc_trained_prefix:
            yield "objective l1 looks at no leading rows: rtc_trained_prefix must be false"
    if config.knowledge_isolation and config.dit_layerwise_vlm_features:
        yield "knowledge_isolation and dit_layerwise_vlm_features exclude each other"
    if config.knowledge_isolation and not config.use_fast_tokenizer:
        yield "knowledge_isolation needs use_fast_tokenizer"
    if config.training_phase == "posttrain":
        if config.use_fast_tokenizer and not config.knowledge_isolation:
            yield "use_fast_tokenizer in posttrain needs knowledge_isolation"
    elif config.knowledge_isolation or not config.use_fast_tokenizer:
        yield "vlm_pretrain needs use_fast_tokenizer, and no knowledge_isolation"


def read_fields(kind: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what `values` holds of the fields of a configuration, checked by type."""
    hints = get_type_hints(kind)
    wanted = {field.name: hints[field.name] for field in fields(kind)}
    read, problems = {}, []
    for name in wanted.keys() & values.keys():
        try:
            read[name] = _converted(values[name], wanted[name])
        except TypeError as error:
            problems.append(f"{where}: {name}: expected {error}, got {values[name]!r}")
    if problems:
        raise ConfigError("; ".join(sorted(problems)))
    return read


def _converted(value: Any, kind: Any) -> Any:
    options = get_args(kind)
    if type(None) in options:
        return None if value is None else _converted(value, options[0])
    if get_origin(kind) is Literal:
        if value in options:
            return value
        raise TypeError(f"one of {', '.join(options)}")
    if get_origin(kind) is tuple:
        if isinstance(value, list):
            return tuple(_converted(item, options[0]) for item in value)
        raise TypeError("a list")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    raise TypeError(
        {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text")
    )
