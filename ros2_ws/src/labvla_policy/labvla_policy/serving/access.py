"""Who may connect: decided from the handshake alone, before a connection costs anything."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from labvla_policy.openpi.names import HEALTH_PATH, SUBPROTOCOL
from labvla_policy.serving.replies import ErrorStyle

_SCHEMES = ("bearer", "api-key")  # LabVLA's clients, openpi's clients


@dataclass(frozen=True)
class Doorkeeper:
    """Answers handshakes: health, tokens, too many clients."""

    token: str
    trouble: Callable[[], str]  # why the server is not healthy; empty if it is
    full: Callable[[], str]  # why nobody else is let in; empty if there is room

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return a response that ends the handshake, or None to go on with it."""
        parts = urlsplit(request.path)
        if parts.path == HEALTH_PATH:
            trouble = self.trouble()
            status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
            return connection.respond(status, f"{trouble or 'OK'}\n")
        if parts.query:
            return connection.respond(
                HTTPStatus.BAD_REQUEST,
                "No query, please: a token in an address ends up in logs. Send it in the header "
                "Authorization.\n",
            )
        if "Origin" in request.headers:
            # Any web page may open connections to this machine; robots do not run in browsers.
            return connection.respond(HTTPStatus.FORBIDDEN, "Web pages are not let in.\n")
        if not self._knows(request):
            response = connection.respond(
                HTTPStatus.UNAUTHORIZED,
                "Expected the header Authorization with 'Bearer' or 'Api-Key' and the token.\n",
            )
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        if full := self.full():
            response = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{full}\n")
            response.headers["Retry-After"] = "1"
            return response
        return None

    def _knows(self, request: Request) -> bool:
        if not self.token:
            return True
        scheme, token = _authorization(request)
        known = hmac.compare_digest(token.encode(errors="replace"), self.token.encode())
        return known and scheme in _SCHEMES


def _authorization(request: Request) -> tuple[str, str]:
    said = request.headers.get_all("Authorization")
    scheme, _, token = (said[0] if len(said) == 1 else "").strip().partition(" ")
    return scheme.lower(), token.strip()


def offer_extensions(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Speak of the extensions to who asks for them; whoever asks for nothing is welcome too."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def announces_extensions(connection: ServerConnection) -> bool:
    """Whether the client has asked for the extensions of this stack."""
    return connection.subprotocol == SUBPROTOCOL


def error_style(connection: ServerConnection) -> ErrorStyle:
    """Return how this client understands refusals, by what it said in the handshake."""
    request = connection.request
    bearer = request is not None and _authorization(request)[0] == "bearer"
    return ErrorStyle.MAP if bearer or announces_extensions(connection) else ErrorStyle.TEXT
