"""How much of an episode is done, told from what the expert sees. A part that a policy may have.

It stands beside the policy and not in it: the weights of a policy keep the released layout.
"""

from __future__ import annotations

from torch import Tensor

from labvla_policy.model.config import ModelConfig
from labvla_policy.model.inputs import Prefix
from labvla_policy.model.queries import Queries


class ProgressHead(Queries):
    """Tells the share of the episode that lies behind: 0 in its first frame, 1 in its last."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.expert_width, config.dit_num_heads, config.source_width, [1])

    def forward(self, prefix: Prefix) -> Tensor:
        """Return a share for each of the batch, in fp32."""
        return self._unbounded(prefix).clamp(0, 1)

    def loss(self, prefix: Prefix, done: Tensor) -> Tensor:
        """Return the mean distance to the shares that are `done`.

        Of what was told before it is cut to 0..1: beyond, nothing would be learnt any more.
        """
        return (self._unbounded(prefix) - done).abs().mean()

    def _unbounded(self, prefix: Prefix) -> Tensor:
        (share,) = self.told(prefix)
        return share[:, 0].float()
