"""Why an episode does not become part of a dataset."""

from __future__ import annotations

REASONS = {
    "unreadable": ("the bag cannot be read", "labvla record --repair BAG"),
    "unfinished": ("its recording was never finished", "labvla record --repair BAG"),
    "no_cell": ("nothing says in which cell it was recorded", "--cell CELL"),
    "other_cell": ("recorded in a cell with other columns, cameras or rate", "export it apart"),
    "outcome": ("the operator called it a failure", "--include-failures"),
    "no_instruction": ("nobody said what was to be done", "--task TEXT"),
    "topic_missing": ("a camera, the joint states or a gripper were not recorded", "none"),
    "no_actions": ("no commands were recorded", "--actions executed"),
    "gap": ("a moment in its midst has no observation; the detail says why", "--split"),
    "too_short": ("too few moments have an observation", "none"),
}


class Refused(Exception):
    """An episode is left out."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise KeyError(reason)
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail

    def as_json(self) -> dict[str, str]:
        """Return it as it stands in a report."""
        return {"reason": self.reason, "detail": self.detail}


def table() -> str:
    """Return the reasons as documentation shows them."""
    rows = [f"| `{name}` | {text} | {help_} |" for name, (text, help_) in REASONS.items()]
    return "\n".join(["| reason | meaning | what helps |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
