"""What the remote engine can be told: read once, and refused by name where it makes no sense.

Nothing secret is among it: options are seen in process lists and parameter dumps. A token comes
from a file or from the environment.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from labvla_policy.engines.base import EngineError
from labvla_policy.openpi.address import is_loopback
from labvla_policy.openpi.names import TOKEN_VARIABLE
from labvla_policy.runtime.cell.contract import ActionSpace

DIALECTS = ("auto", "labvla-ros", "labvla", "openpi")
SCHEMES = {"bearer": "Bearer", "api-key": "Api-Key"}
SPACES = cast("tuple[ActionSpace, ...]", get_args(ActionSpace))


@dataclass(frozen=True)
class StateKey:
    """A key of the request that holds some of the policy's columns."""

    name: str
    columns: int | None  # None: all that are left


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """Where the server is and how it is spoken to."""

    uri: str
    dialect: str = "auto"
    deadline: float = 1.0  # s for an answer; whoever waits longer for a plan has none
    connect_timeout: float = 5.0  # s for the handshake when the engine is loaded
    probe_timeout: float = 60.0  # s for the first answer: many servers compile their network then
    token_file: str = ""
    auth: str = ""  # bearer or api-key; empty: what the dialect's own clients use
    ca_file: str = ""  # for a server whose certificate no public authority has signed

    # What no server of openpi's says about itself
    images: tuple[str, ...] = ()
    state: tuple[StateKey, ...] = ()
    prompt: str = "prompt"
    action_space: ActionSpace | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return what can be told."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> RemoteOptions:
        """Read the options, or raise EngineError."""
        unknown = sorted(set(texts) - set(cls.names()))
        if unknown:
            known = ", ".join(cls.names())
            raise EngineError(f"remote: expected options out of {known}; got {unknown[0]}")
        if "uri" not in texts:
            raise EngineError("remote: expected the option uri, e.g. uri=ws://127.0.0.1:8000")
        values = {}
        for name, text in texts.items():
            try:
                values[name] = _READERS[name](text)
            except ValueError as error:
                raise EngineError(f"remote: option {name}: {error}") from None
        options = cls(**values)
        if options.dialect == "openpi":
            options.check_openpi()
        return options

    def check_openpi(self) -> None:
        """Insist on what has to be said where the server says nothing."""
        missing = [name for name in ("images", "state", "action_space") if not getattr(self, name)]
        if missing:
            raise EngineError(
                f"remote: a server of openpi's says nothing about its policy; expected the options "
                f"{', '.join(missing)} (docs/serving.md has examples)"
            )

    @property
    def shown(self) -> str:
        """The server's address for logs and recordings."""
        return urlsplit(self.uri).netloc

    @property
    def is_secure(self) -> bool:
        """Whether the road to the server is encrypted."""
        return urlsplit(self.uri).scheme == "wss"

    @property
    def is_near(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(urlsplit(self.uri).hostname or "")

    def token(self) -> str:
        """Read the token; empty if there is none."""
        if not self.token_file:
            return os.environ.get(TOKEN_VARIABLE, "")
        try:
            return Path(self.token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"remote: token_file: {error}") from None


def _uri(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"expected ws://HOST:PORT or wss://HOST:PORT, got {text!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address is seen by everybody: no password or token in it (token_file, or "
            f"{TOKEN_VARIABLE} in the environment)"
        )
    _ = parts.port  # raises a ValueError of its own
    return text


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected one of {', '.join(known)}, got {text!r}")
        return text

    return read


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"expected {least:g} to {most:g} s, got {text!r}")
        return value

    return read


def _names(text: str) -> tuple[str, ...]:
    names = tuple(word.strip() for word in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"expected different names, separated by commas; got {text!r}")
    return names


def _state(text: str) -> tuple[StateKey, ...]:
    words = _names(text)
    if len(words) == 1 and ":" not in text:
        return (StateKey(text, None),)
    keys = []
    for word in words:
        name, _, count = word.rpartition(":")
        if not name or not count.isdecimal() or not int(count):
            raise ValueError(f"expected NAME:COLUMNS, separated by commas; got {text!r}")
        keys.append(StateKey(name, int(count)))
    return tuple(keys)


def _text(text: str) -> str:
    if not text:
        raise ValueError("expected a text, got nothing")
    return text


_READERS: Mapping[str, Callable[[str], Any]] = {
    "uri": _uri,
    "dialect": _one_of(*DIALECTS),
    "deadline": _seconds(0.02, 30.0),
    "connect_timeout": _seconds(0.1, 60.0),
    "probe_timeout": _seconds(0.1, 600.0),
    "token_file": _text,
    "auth": _one_of(*SCHEMES),
    "ca_file": _text,
    "images": _names,
    "state": _state,
    "prompt": _text,
    "action_space": _one_of(*SPACES),
}
