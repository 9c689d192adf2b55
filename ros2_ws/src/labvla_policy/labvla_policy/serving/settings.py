"""How a server is run."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from labvla_policy.openpi.address import is_loopback
from labvla_policy.serving.requests import ReaderSettings

MEGABYTE = 1024 * 1024
SHORTEST_TOKEN = 16


class SettingsError(ValueError):
    """A server cannot be run like this; the text says what to change."""


@dataclass(frozen=True)
class Tls:
    """Certificate and key, as files."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Load both."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"{self.certificate}, {self.key}: {error}") from None
        return context


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, whom it lets in and how much it bears."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: one that is free
    token: str = field(default="", repr=False)
    tls: Tls | None = None
    reader: ReaderSettings = field(default_factory=ReaderSettings)

    # Three raw pictures of 1080p are 18.7 MB; the original's 16 MiB do not hold them.
    most_bytes: int = 32 * MEGABYTE
    most_clients: int = 64
    most_waiting: int = 8  # requests in the queue; with 25 ms each the last one waits 0.2 s
    deadline: float = 10.0  # s for a request; who plans motion has given up long before
    drain: float = 10.0  # s for what is under way when the server is told to end
    open_timeout: float = 10.0  # s for a handshake
    ping_interval: float = 20.0  # s
    # A client that is busy for long, such as a simulator that loads a scene, does not answer pings.
    ping_timeout: float = 60.0  # s
    send_timeout: float = 10.0  # s until a client has taken an answer
    stuck_after: float = 60.0  # s in one inference, after which the server is not healthy

    def __post_init__(self) -> None:
        if self.token and (len(self.token) < SHORTEST_TOKEN or not _is_plain(self.token)):
            raise SettingsError(
                f"token: expected at least {SHORTEST_TOKEN} visible ASCII characters without "
                "spaces; for example: openssl rand -hex 32"
            )
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if not least <= value <= most:  # NaN is in no bounds
                raise SettingsError(f"{name}: expected {least:g} to {most:g}, got {value:g}")
        if not self.token and not self.is_near:
            raise SettingsError(
                f"host {self.host}: whoever reaches this address could use the policy. Set a "
                "token, or stay with 127.0.0.1 and come in through an SSH tunnel"
            )

    @property
    def is_near(self) -> bool:
        """Whether only this machine reaches the server."""
        return is_loopback(self.host)


# Of numbers that come from outside.
_BOUNDS = (
    ("port", 0, 65535),
    ("most_bytes", MEGABYTE, 1024 * MEGABYTE),
    ("most_clients", 1, 10_000),
    ("most_waiting", 1, 10_000),
    ("deadline", 0.01, 3600.0),
    ("drain", 0.0, 3600.0),
)


def _is_plain(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token
