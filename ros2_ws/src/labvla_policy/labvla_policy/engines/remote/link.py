"""One connection to a policy server. Everything has an end in time, and a name when it fails."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from labvla_policy.engines.base import EngineError
from labvla_policy.engines.remote.options import SCHEMES, RemoteOptions
from labvla_policy.openpi.codec import CodecError, decode
from labvla_policy.openpi.names import SUBPROTOCOL
from labvla_policy.runtime.quoting import quoted
from labvla_policy.runtime.refusal import Refusal, Refused

MOST_BYTES = 8 * 1024 * 1024  # of a reply; 50 rows of 16 columns are 3 kB
CLOSING = 0.5  # s for a polite end


class Link:
    """Connects, asks one thing at a time, and lets go."""

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        self._token = options.token()
        self._trust = _trust(options)
        self._stack = contextlib.ExitStack()
        self._connection: ClientConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known without asking."""
        return self._connection is not None and self._connection.state is State.OPEN

    @property
    def speaks_extensions(self) -> bool:
        """Whether the server has answered that it is one of this stack's."""
        return self._connection is not None and self._connection.subprotocol == SUBPROTOCOL

    @property
    def sends_token_openly(self) -> bool:
        """Whether others on the network may read the token."""
        return bool(self._token) and not self._options.is_secure and not self._options.is_near

    def open(self, timeout: float) -> Any:
        """Connect and return the server's first message."""
        self.drop()
        begin = time.monotonic()
        try:
            self._connection = self._stack.enter_context(
                connect(
                    self._options.uri,
                    ssl=self._trust,
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    additional_headers=self._headers(),
                    compression=None,
                    proxy=None,  # a robot's plans do not take detours that an environment names
                    open_timeout=timeout,
                    close_timeout=CLOSING,
                    max_size=MOST_BYTES,
                )
            )
        except InvalidStatus as error:
            raise self._refused_entry(error) from None
        except ssl.SSLCertVerificationError as error:
            raise self._failed(
                "server_refused", f"its certificate: {error.verify_message}"
            ) from None
        # AssertionError: the library's own, where the other side hangs up while the first is sent.
        except (OSError, EOFError, InvalidHandshake, ConnectionClosed, AssertionError) as error:
            detail = str(error) or type(error).__name__
            raise self._failed("server_unreachable", detail) from None
        self._bound_sending()
        return self._receive(max(0.0, timeout - (time.monotonic() - begin)))

    def ask(self, message: bytes, timeout: float) -> Any:
        """Send a request and return the reply to it."""
        assert self._connection is not None
        end = time.monotonic() + timeout
        self._expect_silence()
        try:
            self._connection.send(message)
        except ConnectionClosed as closed:
            if time.monotonic() >= end:
                raise self._timed_out(timeout) from None
            raise self._lost(closed) from None
        return self._receive(end - time.monotonic(), timeout)

    def drop(self) -> None:
        """Let go at once: whatever still comes on this connection belongs to nobody."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                # Of the plain socket: the one of an encrypted connection would take it apart while
                # the thread that reads from it is still at work.
                socket.socket.shutdown(self._connection.socket, socket.SHUT_RDWR)
        self.close()

    def close(self) -> None:
        """Say good-bye."""
        self._connection = None
        self._stack.close()

    def _expect_silence(self) -> None:
        """Refuse what came before the question: it would be taken for the answer."""
        assert self._connection is not None
        try:
            self._connection.recv(timeout=0)
        except (TimeoutError, ConnectionClosed):
            return
        self.drop()
        raise self._failed("reply_unrequested", "it said something that nobody had asked for")

    def _receive(self, timeout: float, whole: float | None = None) -> Any:
        assert self._connection is not None
        try:
            message = self._connection.recv(timeout=max(0.0, timeout))
        except TimeoutError:
            self.drop()
            raise self._timed_out(whole or timeout) from None
        except ConnectionClosed as closed:
            raise self._lost(closed) from None
        if isinstance(message, str):
            raise self._failed("error_reply", f"it answers: {_gist(message)}")
        try:
            return decode(message)
        except CodecError as error:
            self.drop()  # where this came from, the next one cannot be trusted either
            raise self._failed("reply_malformed", str(error)) from None

    def _headers(self) -> dict[str, str]:
        if not self._token:
            return {}
        usual = "api-key" if self._options.dialect == "openpi" else "bearer"
        return {"Authorization": f"{SCHEMES[self._options.auth or usual]} {self._token}"}

    def _bound_sending(self) -> None:
        """A server that does not read must not hold us: the kernel gives up sending in time."""
        assert self._connection is not None
        seconds = self._options.deadline
        bound = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        with contextlib.suppress(OSError):  # closed already: receiving will say so
            self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)

    def _refused_entry(self, error: InvalidStatus) -> Refused:
        response = error.response
        said = _gist(bytes(response.body or b"").decode(errors="replace"))
        return self._failed(
            "server_refused", f"HTTP {response.status_code} {response.reason_phrase}: {said}"
        )

    def _timed_out(self, timeout: float) -> Refused:
        return self._failed("server_timeout", f"no answer within {timeout * 1000:.0f} ms")

    def _lost(self, closed: ConnectionClosed) -> Refused:
        self.drop()
        sent = None if closed.rcvd_then_sent else closed.sent  # else it is the server's own, echoed
        if sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
            return self._failed("reply_malformed", f"an answer above {MOST_BYTES} bytes")
        if sent is not None and sent.code in (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA):
            return self._failed("reply_malformed", f"no WebSocket frames: {sent.reason}")
        return self._failed("connection_lost", str(closed))

    def _failed(self, reason: str, detail: str) -> Refused:
        return Refused(Refusal(reason, f"{self._options.shown}: {detail}"))


def _trust(options: RemoteOptions) -> ssl.SSLContext | None:
    if not options.is_secure:
        return None
    try:
        return ssl.create_default_context(cafile=options.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise EngineError(f"remote: ca_file: {error}") from None


def _gist(text: str) -> str:
    """Return what matters of a server's text: of a traceback, the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return quoted(lines[-1] if lines else "nothing")
