"""Moving finished files into a dataset without copying them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def place(source: Path, target: Path) -> None:
    """Give a finished file a second name; where the file system cannot, copy it.

    The first name stays: if the run is interrupted, the episode need not be made again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
