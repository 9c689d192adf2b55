"""Every reason for which the server refuses something: its name is part of the protocol.

`python -m labvla_policy.serving.reasons` prints the table in docs/serving.md.
"""

from __future__ import annotations

import sys

from labvla_policy.runtime.quoting import quoted

LONGEST_DETAIL = 500  # characters

RequestId = int | str | None

REASONS: dict[str, str] = {
    "request_type": "a text frame, or a message that is no map",
    "request_malformed": "bytes that are no MessagePack, or arrays that are no plain numbers",
    "camera_missing": "a camera of the policy is not in the request, or all of them are masked",
    "camera_unknown": "a picture under a name that this policy does not have",
    "image_shape": "not height x width x 3 (or 3 x height x width), or of an absurd size",
    "image_values": "neither 8-bit numbers nor numbers between 0 and 1",
    "state_missing": "no state: it is never taken to be zeros",
    "state_shape": "not as many numbers as the policy's state has",
    "state_values": "not numbers, or NaN or infinite",
    "prompt_unreadable": "an instruction that is no text, or that the policy cannot read",
    "prompt_missing": "no instruction, and the server has no default one",
    "prompt_conflict": "`prompt` and `language_instruction` say different things",
    "prompt_too_long": "more characters or tokens than the policy reads",
    "extension": "an extension that the policy does not have, or that holds nonsense",
    "overload": "as many requests are waiting as are allowed; try again after `retry_after_ms`",
    "deadline": "not answered within the request's or the server's time",
    "draining": "the server is going down",
    "policy_input": "the policy cannot take what it is given; its own text says why",
    "policy_answer": "the policy answered with NaN or another shape: not handed on",
    "internal_server_error": "the policy failed; the server's log has the reason",
}


class RequestRefused(ValueError):
    """A request that gets no rows, and the name of the reason why."""

    request_id: RequestId = None  # what the client calls it, where that could be read

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise KeyError(f"{reason!r} is not described in reasons.py")
        self.reason = reason
        self.detail = quoted(
            detail, LONGEST_DETAIL
        )  # it may quote what came, which may be megabytes
        super().__init__(f"{reason}: {self.detail}")


def as_markdown() -> str:
    """Return all reasons as a table."""
    lines = ["| reason | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in REASONS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
