"""What the settings change about a network that is trained: additions, layers computed twice."""

from __future__ import annotations

from labvla_policy.model.errors import ModelError
from labvla_policy.model.policy import Policy
from labvla_train.errors import TrainError
from labvla_train.network.lora import add_lora, halve_frozen
from labvla_train.network.recompute import recompute
from labvla_train.settings import Settings


def shape_network(policy: Policy, settings: Settings) -> None:
    """Change the network in place; what is frozen is decided before."""
    try:
        if settings.lora is not None:
            add_lora(policy, settings.lora)
            if settings.run.precision == "bfloat16":
                halve_frozen(policy)
        recompute(policy, settings.run.recompute)
    except ModelError as error:
        raise TrainError(str(error)) from None
