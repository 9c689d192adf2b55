"""What is kept of an episode, whichever way it was played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labvla_sim.evaluation.failures import Course, category
from labvla_sim.evaluation.job import Job
from labvla_sim.evaluation.watch import Seen
from labvla_sim.tasks.judging import Event
from labvla_sim.tasks.variation import VARIATIONS

Record = dict[str, Any]

SUCCESS = "success"  # the judges' name of it


@dataclass(frozen=True)
class Played:
    """What came out of an episode."""

    reason: str  # what was missing; empty on success
    events: tuple[Event, ...]
    end: float  # s since the reset
    seen: Seen
    chunks: int
    silence: float  # s from the last plan to the end
    refused: Mapping[str, int]  # by source and reason
    stops: Mapping[str, int]  # of the controller, by reason


def success_time(events: Sequence[Event]) -> float | None:
    """Return when the judge was content."""
    return next((event.time for event in events if event.name == SUCCESS), None)


def record_of(job: Job, played: Played) -> Record:
    """Return an episode's record: the same for the same episode, whoever played it and when."""
    success = success_time(played.events)
    return {
        **_about(job),
        "success": success is not None,
        "failure": None if success is not None else category(_course(job, played)),
        "reason": played.reason,
        "seconds": round(played.end if success is None else success, 3),
        **asdict(played.seen),
        "nearest": None if played.seen.nearest is None else round(played.seen.nearest, 4),
        "chunks": played.chunks,
        "refused": dict(sorted(played.refused.items())),
        "stops": dict(sorted(played.stops.items())),
        "events": [[round(event.time, 3), event.name, event.detail] for event in played.events],
    }


def crashed(job: Job, text: str) -> Record:
    """Return the record of an episode that has no end."""
    return {**_about(job), "success": False, "failure": "crashed", "reason": text}


def _about(job: Job) -> Record:
    return {
        "key": job.key,
        "setting": job.setting.name,
        "condition": job.condition.name,
        "task": job.task,
        "seed": job.seed,
    }


def _course(job: Job, played: Played) -> Course:
    return Course(
        reason=played.reason,
        events=[event.name for event in played.events],
        seen=played.seen,
        chunks=played.chunks,
        silence=played.silence,
        refused=played.refused,
        task=job.task,
        absent=VARIATIONS[job.condition.variation].absent,
    )
