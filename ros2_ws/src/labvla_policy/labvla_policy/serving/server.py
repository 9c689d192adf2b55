"""The server: listens, lets clients in, ends in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from labvla_policy.openpi import names
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.serving.access import Doorkeeper, offer_extensions
from labvla_policy.serving.lane import Lane
from labvla_policy.serving.policy import ServedPolicy
from labvla_policy.serving.refusal_log import RefusalLog
from labvla_policy.serving.requests import RequestReader
from labvla_policy.serving.session import Session
from labvla_policy.serving.settings import ServerSettings

_LOG = logging.getLogger(__name__)
_POLL = 0.02  # s


class PolicyServer:
    """Serves one policy until it is told to end."""

    def __init__(self, policy: ServedPolicy, settings: ServerSettings) -> None:
        self._policy, self._settings = policy, settings
        self._metadata = completed(policy)
        self._reader = RequestReader(self._metadata, policy.prompt_tokens, settings.reader)
        self._tls = settings.tls.context() if settings.tls else None
        self._sessions: set[Session] = set()
        self._log = RefusalLog()
        self._draining = False
        self._lane: Lane | None = None

    async def run(self, stop: asyncio.Event, listening: Callable[[int], None]) -> None:
        """Serve until `stop` is set, then finish what is under way.

        `listening` is told the port as soon as clients can come.
        """
        self._lane = Lane(self._policy, self._settings.most_waiting)
        try:
            async with self._listen() as server:
                listening(server.sockets[0].getsockname()[1])
                await stop.wait()
                await self._drain()
        finally:
            if not self._lane.close(self._settings.drain):
                _LOG.warning("the policy did not come back from its last inference")
            if summary := self._log.summary():
                _LOG.info("refused in all: %s", summary)

    def _listen(self) -> AbstractAsyncContextManager[Server]:
        settings = self._settings
        return serve(
            self._on_client,
            settings.host,
            settings.port,
            ssl=self._tls,
            process_request=Doorkeeper(settings.token, self._trouble, self._full),
            subprotocols=[Subprotocol(names.SUBPROTOCOL)],
            select_subprotocol=offer_extensions,
            compression=None,  # pictures hardly shrink; and a small message stays a small one
            server_header="labvla",
            max_size=settings.most_bytes,
            max_queue=1,  # a client asks one thing at a time: more is kept waiting in its socket
            open_timeout=settings.open_timeout,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
            close_timeout=settings.send_timeout,
        )

    async def _on_client(self, connection: ServerConnection) -> None:
        assert self._lane is not None
        settings = self._settings
        session = Session(
            connection,
            self._lane,
            self._reader,
            lambda: self._draining,
            self._log,
            settings.deadline,
            settings.send_timeout,
        )
        self._sessions.add(session)
        try:
            await session.run(self._metadata)
        finally:
            self._sessions.discard(session)

    async def _drain(self) -> None:
        """Let what is under way be finished; nothing new is begun."""
        self._draining = True
        deadline = time.monotonic() + self._settings.drain
        while any(session.busy for session in self._sessions):
            if time.monotonic() > deadline:
                _LOG.warning("clients are still waiting after %g s", self._settings.drain)
                return
            await asyncio.sleep(_POLL)

    def _trouble(self) -> str:
        assert self._lane is not None
        if self._draining:
            return "draining"
        busy = self._lane.busy_for
        return (
            f"stuck: an inference takes {busy:.0f} s" if busy > self._settings.stuck_after else ""
        )

    def _full(self) -> str:
        if self._draining:
            return "The server is going down."
        most = self._settings.most_clients
        return f"There are {most} clients already." if len(self._sessions) >= most else ""


def completed(policy: ServedPolicy) -> Metadata:
    """Return the policy's metadata, completed by what every server here can do."""
    metadata = policy.metadata
    return replace(
        metadata,
        cameras=metadata.cameras or names.CAMERAS[: metadata.num_cameras],
        extensions=(names.REQUEST_ID, names.DEADLINE_MS, *(metadata.extensions or ())),
    )
