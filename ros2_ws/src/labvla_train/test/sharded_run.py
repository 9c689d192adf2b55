"""Trains with every weight shared out between processes on CPUs, as FSDP does it on GPUs.

accelerate launch sharded_run.py SETTINGS RUN UNTIL
"""

import sys
from pathlib import Path

from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from labvla_train import run
from labvla_train.processes import Processes
from labvla_train.settings import read_settings


class Sharing(Processes):
    """accelerate shares weights out on GPUs alone: here it is done by hand."""

    def join(self, learner, optimizer):
        mesh = init_device_mesh("cpu", (self.share.of,))
        policy = learner.policy
        for block in (*policy.vlm.language_layers, *policy.dit_action_head.transformer_blocks):
            fully_shard(block, mesh=mesh)
        fully_shard(learner, mesh=mesh)
        shares = dict(learner.named_parameters())
        for group in optimizer.param_groups:
            group["params"] = [shares[name] for name in group["names"]]
        return learner, optimizer


if __name__ == "__main__":
    settings, folder, until = sys.argv[1:]
    run.Processes = Sharing
    run.train("flow", read_settings(Path(settings)), Path(folder), beside=Path(), until=int(until))
