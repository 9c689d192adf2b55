"""What a person does about a fault, as the operations manual says."""

from __future__ import annotations

import enum
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labvla_bringup.campaign.bench import Bench

RESTART_TIMEOUT = 60.0  # s for a process and its engine to be there again


class Recovery(enum.Enum):
    """What is needed before an instruction can be given again, once the cause is repaired."""

    NOTHING = "nothing"
    RECOVER = "`labvla recover`"
    RESTARTED = "nothing: the supervisor starts it again"
    CONTINUE = "`kill -CONT`"
    KILL = "`kill -KILL`: the supervisor starts it again"


def recover(bench: Bench, recovery: Recovery, pid: int | None, restarts: int) -> None:
    """Do it; `pid` and `restarts` are of the policy's process before the fault."""
    if recovery is Recovery.RECOVER:
        bench.trigger("labvla/recover")
        return
    if recovery is Recovery.CONTINUE and pid is not None:
        os.kill(pid, signal.SIGCONT)
    if recovery is Recovery.KILL and pid is not None:
        os.kill(pid, signal.SIGKILL)
    if recovery in (Recovery.RESTARTED, Recovery.KILL):
        bench.until(
            lambda: bench.restarts("policy") > restarts and bench.ready(),
            "the supervisor has started the policy again",
            RESTART_TIMEOUT,
        )
