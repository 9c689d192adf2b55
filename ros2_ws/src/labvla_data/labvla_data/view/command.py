"""`view`: writes the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labvla_data.dataset.errors import writing
from labvla_data.files import replace_text
from labvla_data.parallel import Progress, silent
from labvla_data.view.gather import gather
from labvla_data.view.page import page

EPISODES, PICTURES = 20, 6


def view(
    folder: Path,
    out: Path,
    *,
    episodes: int = EPISODES,
    pictures: int = PICTURES,
    report: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write a page about a dataset; return what is on it.

    Args:
        folder: of the dataset.
        out: the file to write.
        episodes: how many are shown one by one, spread evenly over all.
        pictures: of every camera in each of them.
        report: what `scan` has found.
        progress: hears how many episodes are read.
    """
    gathered = gather(folder, episodes, pictures, progress)
    text = page(gathered, report)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_text(out, text)
    return {
        "root": str(folder),
        "page": str(out),
        "bytes": len(text.encode()),
        "episodes": gathered.episodes,
        "shown": [one.number for one in gathered.shown],
        "unreadable": list(gathered.unreadable),
        "refused": list(gathered.refused),
    }
