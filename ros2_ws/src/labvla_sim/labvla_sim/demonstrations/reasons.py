"""Why a demonstration does not become an episode."""

from __future__ import annotations

REASONS = {
    "no_room": "the drawn ranges left no scene, posture or path with room for everything",
    "failed": "the judge did not see the task done; the detail says what was missing",
    "undone": "done once, but no longer so at the end",
    "early": "done before the disturbance was over: nothing was left to show",
    "stopped": "the controller stopped on the way; the detail counts the stops by reason",
    "gap": "an observation is missing in its midst",
}


class Refused(Exception):
    """A demonstration is left out."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise KeyError(reason)
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def table() -> str:
    """Return the reasons as documentation shows them."""
    rows = [f"| `{name}` | {text} |" for name, text in REASONS.items()]
    return "\n".join(["| reason | meaning |", "|---|---|", *rows])


if __name__ == "__main__":
    print(table())
