"""Runs a server in the foreground until a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from labvla_policy.serving.server import PolicyServer


def until_signalled(server: PolicyServer, listening: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way; a second signal ends at once.

    `listening` is told the port as soon as clients can come.
    """
    asyncio.run(_run(server, listening))


async def _run(server: PolicyServer, listening: Callable[[int], None]) -> None:
    stop = asyncio.Event()
    work = asyncio.current_task()
    assert work is not None
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            work.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await server.run(stop, listening)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
