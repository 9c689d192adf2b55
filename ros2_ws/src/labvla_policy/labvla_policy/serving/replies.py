"""What the server says: rows, and refusals in the two ways that clients understand.

Clients of openpi raise an error when a *text* frame comes, and take every map for a result. Clients
of the original LabVLA server look for `error` in a map. A client that has not said which it is gets
text: neither can mistake it for rows.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from labvla_policy.openpi import names
from labvla_policy.openpi.codec import encode
from labvla_policy.serving.lane import Answer
from labvla_policy.serving.reasons import RequestId, RequestRefused

RETRY_AFTER_MS = 100


class ErrorStyle(enum.Enum):
    """How a client wants to hear of refusals."""

    MAP = "map"
    TEXT = "text"


def rows_reply(answer: Answer, request_id: RequestId, previous: float | None) -> bytes:
    """Return the message with an answer; `previous` is how long the reply before took (s)."""
    took = round(answer.took * 1000, 3)
    continued = answer.said.prefix_rows
    server = {"infer_ms": took, "queue_ms": round(answer.waited * 1000, 3)}
    if previous is not None:
        server["prev_total_ms"] = round(previous * 1000, 3)
    return encode(
        {
            names.ACTIONS: np.ascontiguousarray(answer.said.rows, dtype=np.float32),
            names.POLICY_TIMING: {"infer_ms": took},
            names.SERVER_TIMING: server,
            **({names.PREFIX_ROWS: continued} if continued else {}),
            **_named(request_id),
        }
    )


def refusal_reply(refused: RequestRefused, style: ErrorStyle, request_id: RequestId) -> bytes | str:
    """Return the message that says why there are no rows."""
    if style is ErrorStyle.TEXT:
        return str(refused)
    said: dict[str, Any] = {names.ERROR: refused.reason, names.DETAIL: refused.detail}
    if refused.reason == "overload":
        said[names.RETRY_AFTER_MS] = RETRY_AFTER_MS
    return encode({**said, **_named(request_id)})


def _named(request_id: RequestId) -> dict[str, Any]:
    return {} if request_id is None else {names.REQUEST_ID: request_id}
