"""`clean`: a copy of a dataset without the bad episodes.

Videos are not copied but linked; tables are written anew, since episodes and frames are numbered
without gaps. Normalisation statistics no longer hold then, and the copy says so until `stats` has
computed them again.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from labvla_data.checks import copy_v21, copy_v30
from labvla_data.dataset.errors import DatasetError, writing
from labvla_data.dataset.layout import (
    INFO,
    INVALIDATED,
    INVALIDATED_FLAG,
    NORM_STATS,
    SIDECAR,
    STATS,
)
from labvla_data.dataset.reader import Dataset, open_dataset
from labvla_data.files import make_safe
from labvla_data.json_files import read_json, read_lines, write_json, write_lines
from labvla_data.parallel import Progress, silent


def clean(
    source: Path,
    target: Path,
    drop: Collection[int],
    *,
    replace: bool = False,
    preserve_stats: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Copy a dataset without some episodes; return what was done.

    Args:
        source: the dataset, which stays as it is and must stay where it is: videos are links to it.
        target: where the copy will stand.
        drop: numbers of the episodes to leave out.
        replace: put the copy in place of what stands there.
        preserve_stats: keep normalisation statistics although they include dropped episodes.
        workers: processes; one for each core if not given.
        progress: hears how many tables are done.
    """
    dataset = open_dataset(source)
    unknown = sorted(set(drop) - {entry.index for entry in dataset.entries})
    if unknown:
        raise DatasetError(f"{source}: there are no episodes {unknown}; the report is another's")
    kept = [entry for entry in dataset.entries if entry.index not in set(drop)]
    if not kept:
        raise DatasetError(f"{source}: all {len(dataset)} episodes are bad; nothing is left")
    if target.exists() and any(target.iterdir()) and not replace:
        raise DatasetError(f"{target}: exists already; ask for it to be replaced, or name another")
    fresh = target.with_name(f"{target.name}.partial")
    with writing(fresh):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        copy = copy_v21.copy if dataset.version.startswith("v2") else copy_v30.copy
        copy(dataset, kept, fresh, workers, progress)
        _copy_the_rest(dataset, [entry.index for entry in kept], fresh)
        dropped = sorted(set(drop))
        if dropped and not preserve_stats:
            _invalidate(fresh)
        make_safe(fresh)
        if replace:
            shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    return {
        "source": str(source),
        "target": str(target),
        "episodes": len(kept),
        "dropped": dropped,
        "stats_invalidated": bool(dropped) and not preserve_stats,
    }


def _copy_the_rest(dataset: Dataset, kept: list[int], fresh: Path) -> None:
    """Copy the files that no version of LeRobot knows."""
    for path in (dataset.folder / "meta").iterdir():
        place = fresh / "meta" / path.name
        if path.is_file() and not place.exists():
            shutil.copyfile(path, place)
    if (dataset.folder / SIDECAR).exists():
        lines = {line["episode_index"]: line for line in read_lines(dataset.folder / SIDECAR)}
        write_lines(
            fresh / SIDECAR,
            [
                {**lines.get(old, {}), "episode_index": new, "episode_index_before": old}
                for new, old in enumerate(kept)
            ],
        )


def _invalidate(fresh: Path) -> None:
    """Take the normalisation statistics out of reach of whoever would train with them."""
    info = read_json(fresh / INFO)
    # LeRobot's of version 3.0 were pooled anew; LabVLA's cannot be.
    stale = [NORM_STATS] + ([STATS] if str(info["codebase_version"]).startswith("v2") else [])
    found = [fresh / name for name in stale if (fresh / name).exists()]
    if found:
        shutil.copyfile(found[0], fresh / INVALIDATED)
        for path in found:
            path.unlink()
    write_json(fresh / INFO, {**info, INVALIDATED_FLAG: True})
