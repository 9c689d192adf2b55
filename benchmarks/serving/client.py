"""Several clients of one machine, in a process of their own: they must not share the server's.

    python -m benchmarks.serving.client URI CLIENTS SECONDS SOURCE SIZE

prints what happened as one line of JSON. The clock starts when all clients are connected and "go"
comes on standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from labvla_policy.openpi import names
from labvla_policy.openpi.codec import decode, encode


@dataclass
class Tally:
    """What one client got."""

    latency_ms: list[float] = field(default_factory=list)
    added_ms: list[float] = field(default_factory=list)  # neither inference nor waiting for it
    refused: Counter[str] = field(default_factory=Counter)


def message_for(metadata: Mapping[str, Any], size: int) -> bytes:
    """Return a request that a server's policy understands."""
    chance = np.random.default_rng(0)
    pictures = {
        name: chance.integers(0, 256, (size, size, 3), dtype=np.uint8)
        for name in metadata["cameras"]
    }
    state = np.zeros(metadata["state_dim"], dtype=np.float32)
    return encode({**pictures, names.STATE: state, names.PROMPT: "pick up the beaker"})


async def ask_until(connection: ClientConnection, message: bytes, end: float) -> Tally:
    """Ask again and again, as soon as there is an answer."""
    tally = Tally()
    while (begin := time.perf_counter()) < end:
        await connection.send(message)
        reply = decode(await connection.recv(decode=False))
        took = (time.perf_counter() - begin) * 1000
        if names.ERROR in reply:
            tally.refused[reply[names.ERROR]] += 1
            await asyncio.sleep(reply.get(names.RETRY_AFTER_MS, 0) / 1000)
            continue
        timing = reply[names.SERVER_TIMING]
        tally.latency_ms.append(took)
        tally.added_ms.append(took - timing["infer_ms"] - timing["queue_ms"])
    return tally


async def crowd(uri: str, clients: int, seconds: float, source: str, size: int) -> list[Tally]:
    """Connect all, wait for the sign, ask for as long as was said."""
    connections = [
        await connect(
            uri,
            compression=None,
            proxy=None,
            max_size=None,
            subprotocols=[Subprotocol(names.SUBPROTOCOL)],
            local_addr=(source, 0),
        )
        for _ in range(clients)
    ]
    metadata = [decode(await connection.recv(decode=False)) for connection in connections]
    message = message_for(metadata[0], size)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    end = time.perf_counter() + seconds
    work = (ask_until(connection, message, end) for connection in connections)
    tallies = await asyncio.gather(*work)
    for connection in connections:
        await connection.close()
    return list(tallies)


def main() -> None:
    """Run the clients that the command line asks for."""
    uri, clients, seconds, source, size = sys.argv[1:]
    tallies = asyncio.run(crowd(uri, int(clients), float(seconds), source, int(size)))
    print(json.dumps([asdict(tally) for tally in tallies]))


if __name__ == "__main__":
    main()
