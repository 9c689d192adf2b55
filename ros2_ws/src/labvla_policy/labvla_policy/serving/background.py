"""A server on a thread of its own: for measurements, notebooks and tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from labvla_policy.serving.policy import ServedPolicy
from labvla_policy.serving.server import PolicyServer
from labvla_policy.serving.settings import ServerSettings


@contextmanager
def in_background(policy: ServedPolicy, settings: ServerSettings) -> Iterator[int]:
    """Serve for as long as the context lasts; gives the port."""
    server = PolicyServer(policy, settings)
    port: Future[int] = Future()
    stop = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.run(stop, port.set_result)

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if port.done():
                raise
            port.set_exception(error)

    thread = threading.Thread(target=work, name="policy-server")
    thread.start()
    try:
        yield port.result()
    finally:
        if loops and thread.is_alive():
            loops[0].call_soon_threadsafe(stop.set)
        thread.join()
