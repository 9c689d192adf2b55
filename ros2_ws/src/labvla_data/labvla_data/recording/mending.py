"""Repairs episodes that were interrupted, and writes down what they lack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labvla_data.bag.errors import BagError
from labvla_data.bag.reader import mcap_of
from labvla_data.bag.repair import (
    Mended,
    Progress,
    is_sound,
    is_whole,
    locked,
    nothing,
    repair,
)
from labvla_data.recording import sidecar as sidecars
from labvla_data.recording.incidents import Incident
from labvla_data.recording.sidecar import Sidecar
from labvla_policy.runtime.types import NANOSECONDS


@dataclass(frozen=True)
class Report:
    """What a repair has found."""

    bag: Path
    whole: bool  # there was nothing to repair
    messages: int = 0
    cut_bytes: int = 0
    missing: int = 0  # messages that are known to have arrived and are not there

    def text(self) -> str:
        """Return it as a line for people."""
        if self.whole:
            return f"{self.bag}: nothing to repair"
        return (
            f"{self.bag}: {self.messages} messages kept, {self.cut_bytes} bytes of no use, "
            f"at least {self.missing} messages missing, besides what arrived in the last second"
        )


def bags_in(path: Path) -> Iterator[Path]:
    """Return a bag, or all bags right below a folder of recordings."""
    if path.is_file() or any(path.glob("*.mcap")):
        yield path if path.is_dir() else path.parent
        return
    for folder in sorted(path.iterdir() if path.is_dir() else ()):
        if folder.is_dir() and any(folder.glob("*.mcap")):
            yield folder


def needs_repair(bag: Path) -> bool:
    """Tell whether an episode was interrupted.

    One that is being recorded was not. Bags that are no episodes are somebody else's, who may just
    be writing them.
    """
    sidecar = sidecars.load(bag)
    if sidecar is None:
        return False
    try:
        path = mcap_of(bag)
        with locked(path):
            return sidecar.state == sidecars.RECORDING or not is_whole(path)
    except BagError:
        return False


def mend(bag: Path, progress: Progress = nothing) -> Report:
    """Repair a bag and its episode.json. A bag that can be read stays as it is."""
    folder = bag.parent if bag.is_file() else bag
    path = mcap_of(folder)
    sidecar = sidecars.load(folder)
    with locked(path):
        sound = is_sound(path, progress)
    if sound and (sidecar is None or sidecar.state != sidecars.RECORDING):
        return Report(folder, whole=True)
    mended = repair(path, progress)
    if sidecar is None:
        return Report(folder, False, mended.summary.messages, mended.cut_bytes)
    finished = amended(sidecar, mended)
    finished.save(folder)
    missing = sum(finished.repairs[-1]["missing_messages"].values())
    return Report(folder, False, mended.summary.messages, mended.cut_bytes, missing)


def mend_all(bags: Iterable[Path], tell: Callable[[Incident], None]) -> None:
    """Repair those of some bags that need it, and tell about each."""
    for bag in bags:
        if not needs_repair(bag):
            continue
        try:
            report = mend(bag)
        except (BagError, OSError) as error:
            tell(Incident("repair_failed", str(error), subject=bag.name))
        else:
            missing = float(report.missing)
            tell(Incident("bag_repaired", report.text(), subject=bag.name, value=missing))


def amended(sidecar: Sidecar, mended: Mended) -> Sidecar:
    """Return the sidecar of an episode whose bag was repaired."""
    summary = mended.summary
    kept = {channel.topic: summary.counts[channel.id] for channel in summary.channels}
    ledger, missing = {}, {}
    for topic, entry in sidecar.ledger.items():
        written = kept.get(topic, 0)
        arrived = max(entry["arrived"], written)
        ledger[topic] = {**entry, "written": written, "arrived": arrived}
        ledger[topic]["lost_writer"] = arrived - written
        if lost := arrived - written - entry["lost_writer"]:
            missing[topic] = lost
    safe, end = sidecar.safe_until, summary.end or sidecar.begin
    repair_note: dict[str, Any] = {
        "date": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "messages": summary.messages,
        "last_message": summary.end or None,
        "cut_bytes": mended.cut_bytes,
        "damaged_chunks": mended.damaged_chunks,
        "missing_messages": missing,  # at least: known to have arrived
        "missing_seconds": round(max(0, (safe or end) - end) / NANOSECONDS, 3),  # at least
        "unknown": "what arrived between the last message and the interruption",
    }
    return replace(
        sidecar,
        state=sidecars.REPAIRED,
        bag=mended.path.name,
        end=end,
        ended_by=sidecar.ended_by or "interruption",
        ledger=ledger,
        repairs=(*sidecar.repairs, repair_note),
    )
