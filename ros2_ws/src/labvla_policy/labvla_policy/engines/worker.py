"""The engine's own process: makes the engine, then answers until the node hangs up."""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import sys
import traceback

from labvla_policy.engines.base import EngineError
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.engines.wire import PeerGone, Wire, send_prediction, to_observation

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Serve one node; return the exit code."""
    # Ctrl-C in a terminal reaches every process of it: the node decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    connection, memory, spec = sys.argv[1:]
    wire = Wire(socket.socket(fileno=int(connection)), int(memory))
    try:
        engine = make_engine(EngineSpec(**json.loads(spec)))
    except EngineError as error:
        wire.send({"error": str(error)}, {})
        return 2
    wire.send({"policy": engine.policy}, {})
    while True:
        try:
            message = wire.receive()
        except PeerGone:
            engine.close()
            return 0
        try:
            observation = to_observation(message)
            if message["verb"] == "begin":
                engine.begin(observation)
                wire.send({}, {})
            else:
                send_prediction(wire, engine.infer(observation))
        except EngineError as error:
            wire.send({"error": str(error)}, {})
        except Exception as error:  # an engine may raise anything: the node has to know, and go on
            traceback.print_exc()
            wire.send({"error": f"{type(error).__name__}: {error}"}, {})


if __name__ == "__main__":
    sys.exit(main())
