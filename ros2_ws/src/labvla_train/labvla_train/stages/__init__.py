"""The stages of training: what is learnt. `labvla train STAGE` picks one by its name here."""

from __future__ import annotations

from collections.abc import Mapping

from labvla_train.stages.base import Stage
from labvla_train.stages.flow import make_flow
from labvla_train.stages.tokens import make_fast, make_isolated

STAGES: Mapping[str, Stage] = {
    "fast": make_fast,
    "ki": make_isolated,
    "flow": make_flow,
    "finetune": make_flow,
}
