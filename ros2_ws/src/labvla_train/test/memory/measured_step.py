"""Takes one step of a policy of some hundred megabytes, and says how much memory that took.

python measured_step.py
"""

import json
from pathlib import Path

import torch

from labvla_policy.model.backbone.mini import MiniConfig
from labvla_policy.model.build import build_policy
from labvla_policy.model.config import ModelConfig
from labvla_train.memory.estimate import StepPlan, estimate
from labvla_train.network.parts import Freezing


def policy():
    config = ModelConfig(
        dtype="float32",
        attn_implementation="sdpa",
        image_resolution=(64, 64),
        chunk_size=16,
        n_action_steps=16,
        dit_num_layers=4,
        dit_num_heads=8,
        dit_head_dim=64,
    )
    backbone = MiniConfig(
        vocab_size=2000, hidden_size=512, num_attention_heads=8, intermediate_size=1024
    )
    return build_policy(config, backbone.as_json(), {})


def plan(**fields):
    usual = {
        "batch": 32,
        "precision": "float32",
        "freezing": Freezing(freeze_vision_encoder=False),
        "kernel": "cpu",
    }
    return StepPlan(**(usual | fields))


def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    # What libraries load at their first use is not the step's.
    estimate(policy, plan(batch=1), "cpu")
    expected = estimate(policy, plan())
    before = memory("VmRSS")
    estimate(policy, plan(), "cpu")
    print(json.dumps({"expected": expected.total, "measured": memory("VmHWM") - before}))
