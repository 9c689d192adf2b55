"""From what was noted to figures and verdicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.soak import accounts
from benchmarks.soak.accounts import Account
from benchmarks.soak.growth import ALLOWED, growth
from benchmarks.soak.session import Session
from benchmarks.soak.witness import CLOCK
from labvla_policy.runtime.cell import Cell

Row = dict[str, Any]

PACE = 0.99
CAMERA_RATE = 29.0  # Hz
STRETCH = 5.0  # s over which the lowest pace and rates are taken


def figures(session: Session, cell: Cell) -> Row:
    """Return everything that the result holds of a session."""
    processes = [_process(session, name) for name in session.courses]
    cameras = [_camera(session, cell, camera.name) for camera in cell.policy_cameras]
    books = _accounts(session, cell)
    pace = _pace(session)
    return {
        "seconds": session.seconds,
        "pace": pace,
        "cameras_seen": cameras,
        "accounts": [{**asdict(account), "unaccounted": account.unaccounted} for account in books],
        "work": _episodes(session),
        "verdicts": _verdicts(session, pace, cameras, processes, books),
        "rows": processes,
    }


def _pace(session: Session) -> Row:
    clock = session.streams[CLOCK]
    return {
        "whole": clock.pace(session.begin, session.end),
        "lowest": _lowest(clock.paces(session.begin, session.end, STRETCH)),
    }


def _camera(session: Session, cell: Cell, name: str) -> Row:
    topic = next(camera.topic for camera in cell.cameras if camera.name == name)
    stream = session.streams[topic]
    first, last = session.reports[0], session.reports[-1]
    came = last.received[topic].received - first.received[topic].received
    return {
        "camera": name,
        "client": stream.rate(session.begin, session.end),
        "client_lowest": _lowest(stream.rates(session.begin, session.end, STRETCH)),
        "policy": came / ((last.at - first.at) * 1e-9),
        "policy_lowest": _lowest(np.array([report.rates[name] for report in session.reports])),
    }


def _process(session: Session, name: str) -> Row:
    course = session.courses[name]
    grown = growth(course.seconds, course.memory)
    return {
        "process": name,
        "cpu": course.load,
        "memory_mb": course.memory[-1],
        "memory_peak_mb": max(course.memory),
        "growth_mb_per_minute": grown.slope,
        "growth_later_mb_per_minute": grown.later,
        "memory_settled_mb": grown.first,
        "memory_at_the_end_mb": grown.last,
        "grows": not grown.none,
        "ended": name in session.gone,
    }


def _accounts(session: Session, cell: Cell) -> list[Account]:
    first, last = session.reports[0], session.reports[-1]
    rates = {camera.topic: camera.rate for camera in cell.policy_cameras}
    rates[cell.joint_states.topic] = cell.joint_states.rate
    found = []
    for topic, rate in rates.items():
        stream = session.streams[topic]
        found.append(accounts.of_witness(topic, stream.within(session.begin, session.end)))
        refused = last.refused[topic] - first.refused[topic]
        found.append(
            accounts.of_policy(
                topic, stream, rate, first.received[topic], last.received[topic], refused
            )
        )
        if session.ledgers:
            entries = [ledger[f"/{topic}"] for ledger in session.ledgers]  # no namespace here
            found.append(accounts.of_recorder(topic, stream, entries))
    return found


def _episodes(session: Session) -> Row:
    done = [episode for episode in session.episodes if episode.success]
    first, last = session.reports[0], session.reports[-1]
    return {
        "episodes": len(session.episodes),
        "success": len(done),
        "seconds_median": float(np.median([e.seconds for e in done])) if done else float("nan"),
        "missing": dict(Counter(e.missing for e in session.episodes if not e.success)),
        "chunks": session.chunks,
        "chunks_lost": session.chunks_lost,
        "chunks_refused_by_controller": session.chunks_refused,
        "observations_refused": last.observations_refused - first.observations_refused,
        "predictions_refused": last.predictions_refused - first.predictions_refused,
        "restarts": session.restarts,
        "exit_code": session.exit_code,
    }


def _verdicts(
    session: Session, pace: Row, cameras: list[Row], processes: list[Row], books: list[Account]
) -> list[Row]:
    slowest = min(min(camera["client"], camera["policy"]) for camera in cameras)
    growing = max(row["growth_mb_per_minute"] for row in processes)
    unaccounted = sum(account.unaccounted for account in books)
    ended = session.restarts + len(session.gone)
    return [
        _verdict("real-time factor", f">= {PACE}", pace["whole"], pace["whole"] >= PACE),
        _verdict(
            "slowest camera, client and policy node [Hz]",
            f">= {CAMERA_RATE:g}",
            slowest,
            slowest >= CAMERA_RATE,
        ),
        _verdict(
            "fastest growth of a process's memory [MB/min]",
            f"<= {ALLOWED:g}",
            growing,
            growing <= ALLOWED,
        ),
        _verdict("messages that nobody accounts for", "0", unaccounted, unaccounted == 0),
        _verdict("chunks lost on the way", "0", session.chunks_lost, session.chunks_lost == 0),
        _verdict("processes that ended or began again", "0", ended, ended == 0),
    ]


def _verdict(aim: str, wanted: str, found: float, reached: bool) -> Row:
    return {"aim": aim, "wanted": wanted, "found": found, "reached": bool(reached)}


def _lowest(values: np.ndarray) -> float:
    return float(values.min()) if len(values) else float("nan")
