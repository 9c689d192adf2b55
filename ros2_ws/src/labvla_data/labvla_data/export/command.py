"""`export`: bags become a dataset, side by side, and go on where they were interrupted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from labvla_data.bag.errors import BagError
from labvla_data.bag.reader import mcap_of
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.features import PictureFormat
from labvla_data.dataset.layout import VERSIONS, Version
from labvla_data.dataset.parts import DatasetSpec, read_part
from labvla_data.dataset.robot_schema import of_cell
from labvla_data.dataset.video import VideoSettings
from labvla_data.dataset.writer import Workplace
from labvla_data.export.episode import Job, Wishes, export_bag, features_of
from labvla_data.export.reasons import Refused
from labvla_data.export.source import source_of
from labvla_data.parallel import Progress, cores, run_parallel, silent
from labvla_policy.runtime.cell import Cell

REPORT = "meta/labvla_export.json"


@dataclass(frozen=True)
class Form:
    """What the dataset shall be like."""

    version: Version = "v3.0"
    images: PictureFormat = "video"
    fps: int | None = None  # the policy's rate if not given
    video: VideoSettings = field(default_factory=VideoSettings)


def export(
    bags: Sequence[Path],
    target: Path,
    *,
    cell: Cell | None = None,
    form: Form = Form(),
    wishes: Wishes = Wishes(),  # noqa: B008  frozen
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Export bags; return the quality report.

    Args:
        bags: folders of episodes, or folders that hold such folders.
        target: where the dataset will stand.
        cell: for bags that do not say in which cell they were recorded.
        form: what the dataset shall be like.
        wishes: what is wanted of every episode.
        workers: processes; one for each core if not given.
        progress: hears how many bags are done.
    """
    if form.version not in VERSIONS:
        raise DatasetError(f"expected a version of {', '.join(VERSIONS)}, got {form.version!r}")
    found = find_bags(bags)
    reference = _reference_cell(found, cell)
    spec = _spec(reference, form, max(1, cores() // min(workers or cores(), len(found))))
    place = Workplace(target, resume=True)
    try:
        jobs = [
            Job(bag, cell, spec, wishes, place.parts, _key(bag, spec, form, wishes))
            for bag in found
        ]
        strangers = {job.key: _stranger(job, reference) for job in jobs}
        results = {
            job.key: {"bag": str(job.bag), "parts": [], "refused": stranger.as_json()}
            for job in jobs
            if (stranger := strangers[job.key]) is not None
        }
        mine = [job for job in jobs if strangers[job.key] is None]
        for job, result in run_parallel(export_bag, mine, workers, progress):
            results[job.key] = result
        ordered = [results[job.key] for job in jobs]
        report = _report(target, form, ordered)
        names = [name for result in ordered for name in result["parts"]]
        if not names:
            place.remove()
            return report
        parts = [read_part(place.parts / name) for name in names]
        place.publish(spec, form.version, parts, of_cell(reference), {REPORT: report})
    finally:
        place.close()
    return report


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """Return the bags that paths stand for, each once."""
    found: list[Path] = []
    for path in paths:
        if path.is_file() or any(path.glob("*.mcap")):
            found.append(path)
            continue
        inside = sorted({mcap.parent for mcap in path.rglob("*.mcap")})
        if not inside:
            raise DatasetError(f"{path}: expected a bag, or a folder with bags; there is none")
        found += inside
    return list(dict.fromkeys(found))


def _reference_cell(bags: Sequence[Path], cell: Cell | None) -> Cell:
    """Return the cell of the dataset: the given one, or that of the first bag that can be read."""
    refusals = []
    for bag in bags:
        try:
            return source_of(bag, cell).cell
        except Refused as refused:
            refusals.append(f"{bag}: {refused}")
    if cell is not None:
        return cell
    raise DatasetError("no bag says in which cell it was recorded: " + "; ".join(refusals[:3]))


def _spec(cell: Cell, form: Form, threads: int) -> DatasetSpec:
    rate = form.fps if form.fps is not None else cell.policy.row_rate
    if rate != int(rate):
        raise DatasetError(
            f"the policy of cell {cell.name} has {rate:g} rows a second, and a dataset needs a "
            "whole number; choose one with --fps"
        )
    video = replace(form.video, threads=threads)
    return DatasetSpec(features_of(cell), int(rate), form.images, video, cell.name)


def _stranger(job: Job, reference: Cell) -> Refused | None:
    """Return why a bag does not go with the others; what else is wrong its worker finds out."""
    try:
        own = source_of(job.bag, job.cell).cell
    except Refused:
        return None
    for what, mine, theirs in (
        ("columns", own.column_names, reference.column_names),
        ("policy contract", own.policy, reference.policy),
        ("cameras", _cameras(own), _cameras(reference)),
    ):
        if mine != theirs:
            return Refused("other_cell", f"its {what} are {mine}, those of the others {theirs}")
    return None


def _cameras(cell: Cell) -> list[tuple[str, int, int]]:
    return [(camera.name, camera.height, camera.width) for camera in cell.policy_cameras]


def _key(bag: Path, spec: DatasetSpec, form: Form, wishes: Wishes) -> str:
    """Return a name that changes with the bag and with everything that its export depends on."""
    asked: list[Any] = [str(bag.resolve()), spec.fps, form.images, asdict(wishes)]
    asked.append({**asdict(spec.video), "threads": 0})
    try:
        state = mcap_of(bag).stat()
        asked += [state.st_size, state.st_mtime_ns]
    except (BagError, OSError):
        pass  # its worker says what is wrong with it
    digest = sha256(json.dumps(asked).encode()).hexdigest()
    return f"{bag.name}-{digest[:12]}"


def _report(target: Path, form: Form, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    good = [result for result in results if result["refused"] is None]
    episodes, number = [], 0
    for result in good:
        kept = {key: value for key, value in result.items() if key not in ("parts", "refused")}
        count = len(result["parts"])
        episodes.append({"episodes": list(range(number, number + count)), **kept})
        number += count
    hashes = {
        verdict: sum(result["hashes"].get(verdict, 0) for result in good)
        for verdict in ("equal", "different", "missing")
    }
    return {
        "dataset": str(target),
        "version": form.version,
        "images": form.images,
        "episodes": number,
        "frames": sum(result["rows"] for result in good),
        "exported": episodes,
        "refused": [
            {"bag": result["bag"], **result["refused"]}
            for result in results
            if result["refused"] is not None
        ],
        "observations": hashes,
    }
