"""Writes or loads a policy of full size with random weights, and says how much memory it took.

python full_size.py write|load FOLDER
"""

import json
import sys
import time
from pathlib import Path

import torch

from labvla_policy.model.backbone.public import PUBLIC_BACKBONE
from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.read import describe, load_network
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.checkpoint.write import Description, write_weights
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.expert import position_table

BLOCK = 1 << 22


def full_policy(**fields):
    """The released sizes, without any weights."""
    with torch.device("meta"):
        return build_policy(ModelConfig(**fields), PUBLIC_BACKBONE, {})


def full_specs(policy):
    """Names, types and shapes of its file."""
    return {
        f"model.{name}": (torch.bfloat16, tuple(tensor.shape))
        for name, tensor in policy.state_dict().items()
    }


def random_weights(specs):
    """Make one tensor at a time; equal names give equal weights."""
    block = (torch.randn(BLOCK, generator=torch.Generator().manual_seed(0)) * 0.02).bfloat16()

    def produce(name):
        _, shape = specs[name]
        if name.endswith(".pe"):
            return position_table(shape[-1]).bfloat16()
        size = torch.Size(shape).numel()
        return block.repeat(-(-size // BLOCK))[:size].reshape(shape)

    return produce


def peak_memory():
    """The most this process ever held, file pages included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def write(folder):
    policy = full_policy()
    specs = full_specs(policy)
    description = Description(config=policy.config, vlm=PUBLIC_BACKBONE, processor={})
    write_weights(folder, specs, random_weights(specs), description)
    return {}


def load(folder):
    files = describe(find_checkpoint(folder))
    policy, _ = load_network(files, device=torch.device("cpu"), dtype=torch.bfloat16)
    return {
        "variant": files.variant.name,
        "weights": sum(parameter.numel() for parameter in policy.parameters()),
        "first": policy.vlm.token_embedding.weight[0, :3].tolist(),
    }


if __name__ == "__main__":
    began = time.monotonic()
    what = {"write": write, "load": load}[sys.argv[1]](Path(sys.argv[2]))
    took = {"seconds": time.monotonic() - began, "peak": peak_memory()}
    print(json.dumps(what | took))
