"""The engine's own process: makes the engine, then answers until the node hangs up."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback

from labvla_policy.engines.base import EngineError
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.engines.wire import (
    PeerGone,
    Wire,
    send_prediction,
    send_refusal,
    to_question,
)
from labvla_policy.runtime.refusal import Refused

_POLL = 0.5  # s
_GRACE = 3.0  # s for an orderly end, which the closed connection brings about


def _outlive_nobody(parent: int) -> None:
    """End the process when the node is gone and the engine does not listen.

    The kernel's own signal for this (PDEATHSIG) follows the thread that started the process, which
    ends before the node does.
    """
    while os.getppid() == parent:
        time.sleep(_POLL)
    time.sleep(_GRACE)
    os._exit(1)


def main() -> int:
    """Serve one node; return the exit code."""
    # Ctrl-C in a terminal reaches every process of it: the node decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_nobody, args=(os.getppid(),), daemon=True).start()
    connection, memory, spec = sys.argv[1:]
    wire = Wire(socket.socket(fileno=int(connection)), int(memory))
    try:
        engine = make_engine(EngineSpec(**json.loads(spec)))
    except EngineError as error:
        wire.send({"error": str(error)}, {})
        return 2
    except Refused as refused:
        send_refusal(wire, refused.refusal)
        return 2
    wire.send({"policy": engine.policy}, {})
    while True:
        try:
            message = wire.receive()
        except PeerGone:
            engine.close()
            return 0
        try:
            question = to_question(message)
            if message["verb"] == "begin":
                engine.begin(question.observation)
                wire.send({}, {})
            else:
                send_prediction(wire, engine.infer(question))
        except EngineError as error:
            wire.send({"error": str(error)}, {})
        except Refused as refused:
            send_refusal(wire, refused.refusal)
        except Exception as error:  # an engine may raise anything: the node has to know, and go on
            traceback.print_exc()
            wire.send({"error": f"{type(error).__name__}: {error}"}, {})


if __name__ == "__main__":
    sys.exit(main())
