"""One client's connection, from the metadata to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from labvla_policy.openpi.codec import encode
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.serving.access import announces_extensions, error_style
from labvla_policy.serving.lane import Answer, Lane
from labvla_policy.serving.reasons import RequestId, RequestRefused
from labvla_policy.serving.refusal_log import RefusalLog
from labvla_policy.serving.replies import refusal_reply, rows_reply
from labvla_policy.serving.requests import Incoming, RequestReader

_LOG = logging.getLogger(__name__)


class Session:
    """Answers one client, one request after another."""

    def __init__(
        self,
        connection: ServerConnection,
        lane: Lane,
        reader: RequestReader,
        draining: Callable[[], bool],
        log: RefusalLog,
        deadline: float,
        send_timeout: float,
    ) -> None:
        self._connection = connection
        self._lane, self._reader, self._draining, self._log = lane, reader, draining, log
        self._deadline, self._send_timeout = deadline, send_timeout
        self._style = error_style(connection)
        self._previous: float | None = None
        # Turns are taken by machine: a client does not get more of them by connecting twice.
        address = connection.remote_address
        self._client = str(address[0]) if address else "local"
        self.busy = False

    async def run(self, metadata: Metadata) -> None:
        """Serve until the client goes."""
        announced = announces_extensions(self._connection)
        _LOG.info("%s is here%s", self._client, ", with extensions" if announced else "")
        if not announced:
            metadata = replace(metadata, extensions=None, prefix_rows=None)
        gone = asyncio.ensure_future(self._connection.wait_closed())
        try:
            await self._send(encode(metadata.as_map()))
            async for message in self._connection:
                begin = time.monotonic()
                self.busy = True
                await self._answer(message, gone)
                self.busy = False
                self._previous = time.monotonic() - begin
        except (ConnectionClosed, ConnectionAbortedError):
            _LOG.info("%s has gone", self._client)
        finally:
            self.busy = False
            gone.cancel()

    async def _answer(self, message: bytes | str, gone: asyncio.Future[None]) -> None:
        request_id: RequestId = None
        try:
            if self._draining():
                raise RequestRefused("draining", "the server is going down; try another one")
            begin = time.monotonic()
            # Pictures of megabytes are taken apart aside, so that other clients' pings go on.
            incoming = await asyncio.to_thread(self._reader.incoming, message)
            request_id = incoming.request_id
            answer = await self._ask(incoming, begin, gone)
        except RequestRefused as refused:
            await self._refuse(refused, refused.request_id or request_id)
        except (ConnectionClosed, ConnectionAbortedError):
            raise
        except Exception:  # a fault of this server: its client has to know, the others go on
            _LOG.exception("%s: a request could not be handled", self._client)
            await self._refuse(
                RequestRefused("internal_server_error", "see the server's log"), request_id
            )
        else:
            if answer is not None:
                await self._send(rows_reply(answer, request_id, self._previous))

    async def _refuse(self, refused: RequestRefused, request_id: RequestId) -> None:
        self._log.add(self._client, refused)
        await self._send(refusal_reply(refused, self._style, request_id))
        if refused.reason == "internal_server_error":
            await self._connection.close(CloseCode.INTERNAL_ERROR, refused.reason)

    async def _ask(
        self, incoming: Incoming, begin: float, gone: asyncio.Future[None]
    ) -> Answer | None:
        """Return the policy's answer; None if the client has gone meanwhile."""
        allowed = min(self._deadline, incoming.deadline or self._deadline)
        job = self._lane.submit(self._client, incoming.request)
        answer = asyncio.wrap_future(job.answer)
        left = max(0.0, begin + allowed - time.monotonic())
        ends: set[asyncio.Future[Any]] = {answer, gone}
        await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return await answer
        self._lane.abandon(job)
        answer.cancel()  # whatever still becomes of it is nobody's
        if gone.done():
            return None
        raise RequestRefused("deadline", f"not answered within {allowed * 1000:.0f} ms")

    async def _send(self, message: bytes | str) -> None:
        try:
            async with asyncio.timeout(self._send_timeout):
                await self._connection.send(message)
        except TimeoutError:
            _LOG.warning("%s does not take its answers: disconnected", self._client)
            self._connection.transport.abort()
            raise ConnectionAbortedError from None
