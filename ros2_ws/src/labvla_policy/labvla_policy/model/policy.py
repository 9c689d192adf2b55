"""The whole policy: backbone, expert, and the projections around them.

Attributes have the names of the released weight files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labvla_policy.model import flow
from labvla_policy.model.backbone.base import Backbone
from labvla_policy.model.backbone.sequence import Segment, TokenSequence
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.expert import Expert
from labvla_policy.model.flow import FlowDraw
from labvla_policy.model.inputs import KeyValue, Modulation, PolicyInputs, Prefix
from labvla_policy.model.ki import DiscreteActionHead, mean_over_tokens


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Observations and what was done after them."""

    inputs: PolicyInputs
    actions: Tensor  # batch x chunk x max_action_dim: normalised, padded with zeros
    action_is_pad: Tensor  # batch x chunk, bool: rows beyond the end of the episode
    action_tokens: Tensor | None = None  # batch x tokens; knowledge isolation needs them
    action_token_mask: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Losses:
    """Scalars; `total` is what training minimises."""

    total: Tensor
    flow: Tensor
    seen: Prefix  # with its gradient, for whoever wants to learn more from it
    tokens: Tensor | None = None


class Policy(nn.Module):
    """Encode an observation once, then follow the velocity from noise to a chunk of actions."""

    def __init__(
        self,
        config: ModelConfig,
        backbone: Backbone,
        *,
        table_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.config = config
        hidden, width, source = backbone.hidden_width, config.expert_width, config.source_width
        if source not in (hidden, width):
            raise ConfigError(
                f"dit_cross_attention_dim: expected {hidden} (the backbone's width) or null, "
                f"got {source}"
            )
        self.vlm = backbone
        self.dit_action_head = Expert(
            layers=config.dit_num_layers,
            heads=config.dit_num_heads,
            head_width=config.dit_head_dim,
            source_width=source,
            interleave=config.dit_interleave_self_attention,
            table_dtype=table_dtype,
        )
        self.proj_vlm_to_dit = nn.Identity() if source == hidden else nn.Linear(hidden, width)
        self.state_proj = nn.Linear(config.max_state_dim, width)
        self.action_in_proj = nn.Linear(config.max_action_dim, width)
        self.action_out_proj = nn.Linear(width, config.max_action_dim)
        if config.knowledge_isolation:
            self.ki_head = DiscreteActionHead(config.discrete_action_vocab_size, hidden)
            self.state_vlm_proj = nn.Linear(config.max_state_dim, hidden)
        self._check_depth()

    def _check_depth(self) -> None:
        if self._feature_layers > self.vlm.layer_count:
            raise ConfigError(
                f"dit_layerwise_vlm_features: expected at most {self.vlm.layer_count} "
                f"cross-attentions (the backbone's layers), got {self._feature_layers}"
            )

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.state_proj.weight.dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.state_proj.weight.device

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """Rows and columns of a chunk, padding columns included."""
        return self.config.chunk_size, self.config.max_action_dim

    @property
    def _feature_layers(self) -> int:
        if self.config.dit_layerwise_vlm_features:
            return self.dit_action_head.cross_attentions
        return 1

    def embed(self, inputs: PolicyInputs) -> TokenSequence:
        """Embed the prefix, with the state in front of it under knowledge isolation."""
        sequence = self.vlm.embed_prefix(inputs)
        if not self.config.knowledge_isolation:
            return sequence
        state = inputs.state.to(self.dtype)
        return sequence.with_state(self.state_vlm_proj(state))

    def encode(self, inputs: PolicyInputs) -> Prefix:
        """Run the backbone: once for an observation, whatever is sampled from it."""
        sequence = self.embed(inputs)
        return self._prefix(self.vlm(sequence, self._feature_layers), sequence.mask)

    def _prefix(self, hidden: tuple[Tensor, ...], mask: Tensor) -> Prefix:
        # The expert gets the state by itself, so the backbone's state token is dropped again.
        first = 1 if self.config.knowledge_isolation else 0
        features = tuple(self.proj_vlm_to_dit(layer[:, first:]) for layer in hidden)
        return Prefix(features, mask[:, first:])

    def cross_kv(self, prefix: Prefix) -> tuple[KeyValue, ...]:
        """Keys and values of every cross-attention: constant over the steps of a chunk."""
        return self.dit_action_head.keys_and_values(prefix.features)

    def velocity(
        self,
        chunk: Tensor,
        time: Tensor,
        state: Tensor,
        prefix: Prefix,
        cross_kv: tuple[KeyValue, ...] | None = None,
        modulation: Modulation | None = None,
    ) -> Tensor:
        """Return the velocity at `chunk` (batch x rows x columns) and `time`, in fp32.

        `time` is one for each chunk of the batch, or one for each of its rows. What depends on the
        prefix or on the time alone may be kept from call to call and be handed in.
        """
        if cross_kv is None:
            cross_kv = self.cross_kv(prefix)
        if modulation is None:
            modulation = self.modulation(time)
        suffix = self.embed_suffix(chunk, state)
        hidden = self.dit_action_head(suffix, modulation, cross_kv, prefix.mask)
        return self.action_out_proj(hidden[:, 1:]).float()

    def modulation(self, time: Tensor) -> Modulation:
        """Return what the time does to the expert's norms.

        Where rows have times of their own, the state has that of the rows that are noisiest.
        """
        if time.ndim == 2:
            time = torch.cat([time.amin(dim=1, keepdim=True), time], dim=1)
        kept: Modulation = self.dit_action_head.modulation(time)
        return kept

    def embed_suffix(self, chunk: Tensor, state: Tensor) -> Tensor:
        """Embed [state | chunk]."""
        first = self.state_proj(state.to(self.dtype))
        return torch.cat([first[:, None], self.action_in_proj(chunk.to(self.dtype))], dim=1)

    def sample(self, inputs: PolicyInputs, noise: Tensor, steps: int | None = None) -> Tensor:
        """Return the chunk that the noise leads to (batch x rows x columns, fp32)."""
        return self.sample_seen(self.encode(inputs), inputs.state, noise, steps)

    def sample_seen(
        self, prefix: Prefix, state: Tensor, noise: Tensor, steps: int | None = None
    ) -> Tensor:
        """Return the chunk for an observation that is encoded already."""
        cross_kv = self.cross_kv(prefix)
        return flow.euler(
            lambda chunk, time: self.velocity(chunk, time, state, prefix, cross_kv),
            self.start(noise),
            self.steps(steps),
        )

    def start(self, noise: Tensor) -> Tensor:
        """Return where the Euler steps begin: the baseline knows no chance."""
        return torch.zeros_like(noise) if self.config.objective == "l1" else noise

    def steps(self, wanted: int | None = None) -> int:
        """Return the number of Euler steps: the wanted one, or the configuration's."""
        if self.config.objective == "l1" and wanted not in (None, 1):
            raise ConfigError(f"steps: expected 1 with objective l1, got {wanted}")
        return self.config.num_inference_steps if wanted is None else wanted

    def losses(self, batch: TrainingBatch, drawn: FlowDraw, real_columns: int) -> Losses:
        """Return the losses of a batch; `real_columns` of the actions are not padding.

        With several draws of noise and time for each observation (one after the other), it is
        encoded once for all of them.
        """
        if self.config.knowledge_isolation:
            return self._isolated_losses(batch, drawn, real_columns)
        prefix = self.encode(batch.inputs)
        loss = self._action_loss(prefix, batch, drawn, real_columns)
        return Losses(total=loss, flow=loss, seen=prefix)

    def token_loss(self, batch: TrainingBatch) -> Tensor:
        """Return the loss of the action tokens alone, which the expert has no part in."""
        return self._token_loss(batch)[0]

    def _isolated_losses(self, batch: TrainingBatch, drawn: FlowDraw, real_columns: int) -> Losses:
        """The flow loss ends before the projection; the backbone learns from the tokens alone."""
        token_loss, hidden, mask = self._token_loss(batch)
        isolated = self._prefix((hidden.detach(),), mask)
        flow_loss = self._action_loss(isolated, batch, drawn, real_columns)
        total = self.config.ki_mse_weight * flow_loss + token_loss
        seen = self._prefix((hidden,), mask)
        return Losses(total=total, flow=flow_loss, seen=seen, tokens=token_loss)

    def _token_loss(self, batch: TrainingBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Also return the prefix' hidden states and mask, the state's token in front of them."""
        tokens, mask = batch.action_tokens, batch.action_token_mask
        if tokens is None or mask is None:
            raise ValueError("knowledge isolation: expected action tokens and their mask, got none")
        prefix = self.embed(batch.inputs)
        length = prefix.mask.shape[1]
        sequence = prefix.extended(self.ki_head.embedding(tokens), mask, Segment.ACTION)
        (hidden,) = self.vlm(sequence)
        each = self.ki_head.cross_entropies(hidden[:, length - 1 : -1], tokens, mask)
        return mean_over_tokens(each, mask), hidden[:, :length], prefix.mask

    def _action_loss(
        self, prefix: Prefix, batch: TrainingBatch, drawn: FlowDraw, real_columns: int
    ) -> Tensor:
        weights = torch.ones(real_columns, device=batch.actions.device)
        weights[list(self.config.gripper_action_dims)] = self.config.gripper_loss_weight
        if self.config.objective == "l1":
            start = torch.zeros_like(batch.actions)
            time = batch.actions.new_zeros(len(batch.actions))
            predicted = self.velocity(start, time, batch.inputs.state, prefix)
            return flow.l1_loss(predicted, batch.actions, batch.action_is_pad, weights)
        draws = len(drawn.time) // len(batch.actions)
        actions, state, is_pad = (
            tensor.repeat_interleave(draws, dim=0)
            for tensor in (batch.actions, batch.inputs.state, batch.action_is_pad)
        )
        noisy = flow.interpolate(actions, drawn.noise, drawn.time)
        predicted = self.velocity(noisy, drawn.time, state, prefix)
        target = flow.target_velocity(actions, drawn.noise)
        if drawn.time.ndim == 2:
            is_pad = is_pad | (drawn.time >= 1)  # given: there is nothing to be learnt of them
        return flow.flow_loss(predicted, target, is_pad, weights)
