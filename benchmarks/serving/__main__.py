"""python -m benchmarks.serving: the server itself, with a stand-in for the policy that sleeps."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from benchmarks.common.result import machine, now, rounded, versions
from benchmarks.serving.rows import Load, serving_rows
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.serving.policy import PolicyAnswer, PolicyRequest

INFERENCE = 0.025  # s: what a large policy on a large GPU is wanted to take


class StandIn:
    """No policy: waits as long as one would work, and says something of the right shape."""

    metadata = Metadata(
        policy_type="stand-in", action_dim=8, state_dim=8, chunk_size=50, num_cameras=3
    )
    rows = np.full((50, 8), 0.1)

    def prompt_tokens(self, prompt: str) -> int:
        """Return a number of words."""
        return len(prompt.split())

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Sleep."""
        time.sleep(INFERENCE)
        return PolicyAnswer(self.rows)


def main() -> None:
    """Print the result as JSON; the argument is the seconds for each row."""
    load = Load(seconds=float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
    result = {
        "benchmark": "serving",
        "date": now(),
        "policy": f"a stand-in that sleeps {INFERENCE * 1000:g} ms",
        "machine": machine(),
        "versions": versions("websockets", "msgpack", "numpy"),
        "rows": list(serving_rows(StandIn(), load)),
    }
    print(json.dumps(rounded(result), indent=1))


if __name__ == "__main__":
    main()
