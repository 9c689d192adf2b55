"""From what a client sent to a request that a policy can be asked, or the named refusal.

The original server masks a camera that it does not find, takes a missing state for zeros and
answers zeros when it sees nothing. None of that is done here: whatever is not as the policy needs
it is refused, and the refusal says what was expected and what came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from labvla_policy.openpi import names
from labvla_policy.openpi.codec import CodecError, decode
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.runtime.types import Array, Pixels
from labvla_policy.serving.policy import CommittedRows, PolicyRequest
from labvla_policy.serving.reasons import RequestId, RequestRefused
from labvla_policy.serving.values import (
    image_of,
    is_number,
    is_whole,
    numbers_of,
    shortened,
    text_of,
)

_LOG = logging.getLogger(__name__)

MOST_CHARACTERS = 2000  # as `labvla say` allows; tokens are counted where this is passed
LONGEST_DEADLINE = 3_600_000.0  # ms
LONGEST_ID = 64  # characters
_CUTS_REMEMBERED = 100  # instructions, each of which is told once


@dataclass(frozen=True)
class ReaderSettings:
    """What is accepted besides complete requests, because somebody said so."""

    default_prompt: str = ""
    mask_missing_cameras: bool = False
    truncate_prompts: bool = False


@dataclass(frozen=True, eq=False)
class Incoming:
    """A request with what concerns the server alone."""

    request: PolicyRequest
    request_id: RequestId
    deadline: float | None  # s


class RequestReader:
    """Reads the requests of one policy."""

    def __init__(
        self, metadata: Metadata, prompt_tokens: Callable[[str], int], settings: ReaderSettings
    ) -> None:
        assert metadata.state_dim is not None
        assert metadata.action_dim is not None
        assert metadata.cameras is not None
        self._cameras = metadata.cameras
        self._state_dim, self._action_dim = metadata.state_dim, metadata.action_dim
        self._most_tokens = metadata.prompt_tokens
        self._prefix_rows = metadata.prefix_rows or 0
        self._extensions = metadata.extensions or ()
        self._prompt_tokens = prompt_tokens
        self._settings = settings
        self._cuts: set[str] = set()

    def incoming(self, message: bytes | str) -> Incoming:
        """Return a message's request, or raise RequestRefused."""
        found = opened(message)
        request_id = request_id_of(found)
        try:
            return Incoming(self.read(found), request_id, deadline_of(found))
        except RequestRefused as refused:
            refused.request_id = request_id
            raise

    def read(self, found: Mapping[str, Any]) -> PolicyRequest:
        """Return what the policy is asked, or raise RequestRefused."""
        return PolicyRequest(
            images=self._images(found),
            state=self._state(found),
            prompt=self._prompt(found),
            prefix=self._prefix(found),
            seed=self._seed(found),
        )

    def _images(self, found: Mapping[str, Any]) -> tuple[Pixels | None, ...]:
        expected = ", ".join(self._cameras)
        strange = sorted(
            key
            for key, value in found.items()
            if key not in self._cameras and isinstance(value, np.ndarray) and value.ndim >= 3
        )
        if strange:
            raise RequestRefused(
                "camera_unknown", f"expected pictures called {expected}; got {', '.join(strange)}"
            )
        missing = [name for name in self._cameras if name not in found]
        if missing and not self._settings.mask_missing_cameras:
            raise RequestRefused(
                "camera_missing",
                f"expected {expected}; got no {', '.join(missing)}. Send nil for a camera that the "
                "policy is to do without",
            )
        images = tuple(image_of(name, found.get(name)) for name in self._cameras)
        if all(image is None for image in images):
            raise RequestRefused("camera_missing", f"expected {expected}; all of them are masked")
        return images

    def _state(self, found: Mapping[str, Any]) -> Array:
        value = found.get(names.STATE)
        if value is None:
            raise RequestRefused(
                "state_missing", f"expected {names.STATE}: {self._state_dim} numbers"
            )
        state = numbers_of(value, names.STATE, "state_values")
        if state.shape != (self._state_dim,):
            raise RequestRefused(
                "state_shape",
                f"{names.STATE}: expected {self._state_dim} numbers, got the shape {state.shape}",
            )
        return state

    def _prompt(self, found: Mapping[str, Any]) -> str:
        said = {
            key: text_of(key, found[key])
            for key in (names.PROMPT, names.OTHER_PROMPT)
            if found.get(key) is not None
        }
        different = {text for text in said.values() if text}
        if len(different) > 1:
            raise RequestRefused("prompt_conflict", " and ".join(map(shortened, different)))
        prompt = next(iter(different), self._settings.default_prompt)
        if not prompt.strip():
            raise RequestRefused(
                "prompt_missing", f"expected the instruction under {names.PROMPT}, got none"
            )
        self._check_length(prompt)
        return prompt

    def _check_length(self, prompt: str) -> None:
        if len(prompt) > MOST_CHARACTERS:
            raise RequestRefused(
                "prompt_too_long",
                f"expected at most {MOST_CHARACTERS} characters, got {len(prompt)}",
            )
        tokens = self._prompt_tokens(prompt)
        if self._most_tokens is None or tokens <= self._most_tokens:
            return
        if not self._settings.truncate_prompts:
            raise RequestRefused(
                "prompt_too_long",
                f"the policy reads {self._most_tokens} tokens, the instruction has {tokens}: what "
                "comes after would be ignored. Give one step at a time",
            )
        self._tell_cut(prompt, tokens - self._most_tokens)

    def _tell_cut(self, prompt: str, dropped: int) -> None:
        if prompt in self._cuts:
            return
        if len(self._cuts) >= _CUTS_REMEMBERED:
            self._cuts.clear()
        self._cuts.add(prompt)
        _LOG.warning("the last %d tokens of %s are cut off", dropped, shortened(prompt))

    def _prefix(self, found: Mapping[str, Any]) -> CommittedRows | None:
        value = found.get(names.PREFIX)
        if value is None:
            return None
        self._check_extension(names.PREFIX)
        prefix = numbers_of(value, names.PREFIX, "extension")
        if prefix.ndim != 2 or prefix.shape[1] != self._action_dim:
            raise RequestRefused(
                "extension",
                f"{names.PREFIX}: expected rows of {self._action_dim} numbers, got the shape "
                f"{prefix.shape}",
            )
        if not 0 < len(prefix) <= self._prefix_rows:
            raise RequestRefused(
                "extension",
                f"{names.PREFIX}: expected 1 to {self._prefix_rows} rows, got {len(prefix)}",
            )
        frozen = found.get(names.PREFIX_FROZEN, len(prefix))
        if not is_whole(frozen) or not 0 <= frozen <= len(prefix):
            raise RequestRefused(
                "extension",
                f"{names.PREFIX_FROZEN}: expected 0 to {len(prefix)}, got {shortened(frozen)}",
            )
        return CommittedRows(prefix, int(frozen))

    def _seed(self, found: Mapping[str, Any]) -> int | None:
        value = found.get(names.SEED)
        if value is None:
            return None
        self._check_extension(names.SEED)
        if not is_whole(value) or not 0 <= value < 2**63:
            raise RequestRefused(
                "extension",
                f"{names.SEED}: expected a whole number from 0, got {shortened(value)}",
            )
        return int(value)

    def _check_extension(self, name: str) -> None:
        if name not in self._extensions:
            raise RequestRefused("extension", f"{name}: this policy does not have it")


def request_id_of(found: Mapping[str, Any]) -> RequestId:
    """Return what the client calls its request, if it does."""
    value = found.get(names.REQUEST_ID)
    if value is None:
        return None
    number = is_whole(value)
    if not number and not (isinstance(value, str) and len(value) <= LONGEST_ID):
        raise RequestRefused(
            "extension",
            f"{names.REQUEST_ID}: expected a whole number or a short text, got {shortened(value)}",
        )
    return int(value) if number else value


def opened(message: bytes | str) -> Mapping[str, Any]:
    """Return the map in a message, or raise RequestRefused."""
    if isinstance(message, str):
        raise RequestRefused("request_type", "expected a binary frame, got a text frame")
    try:
        found = decode(message)
    except CodecError as error:
        raise RequestRefused("request_malformed", str(error)) from None
    if not isinstance(found, Mapping):
        raise RequestRefused("request_type", f"expected a map, got a {type(found).__name__}")
    return found


def deadline_of(found: Mapping[str, Any]) -> float | None:
    """Return the seconds after which the client does not want the answer any more."""
    value = found.get(names.DEADLINE_MS)
    if value is None:
        return None
    if not is_number(value) or not 0 < value <= LONGEST_DEADLINE:
        raise RequestRefused(
            "extension",
            f"{names.DEADLINE_MS}: expected above 0 and at most {LONGEST_DEADLINE:g}, got "
            f"{shortened(value)}",
        )
    return float(value) / 1000
