"""The page: one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from labvla_data.view.gather import DatasetView, EpisodeView
from labvla_data.view.svg import Line, histogram, line_plot

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dae1; --card: #fff;
  --page: #f4f6f8; --bar: #4e79a7; --shade: #f28e2b33; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #39424f;
  --card: #1e242c; --page: #14181e; --bar: #76a5d6; --shade: #f28e2b44; --bad: #ff8a80; } }
body { margin: 0 auto; max-width: 1180px; padding: 24px; background: var(--page);
  color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 17px; }
h3 { font-size: 13px; margin: 14px 0 4px; color: var(--soft); font-weight: 600; }
section, details { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 16px; margin: 12px 0; }
summary { cursor: pointer; font-weight: 600; } summary small { color: var(--soft);
  font-weight: 400; margin-left: 10px; }
table { border-collapse: collapse; } td, th { text-align: left; padding: 2px 18px 2px 0;
  vertical-align: top; overflow-wrap: anywhere; } th { color: var(--soft); font-weight: 500; }
.film { display: flex; gap: 4px; flex-wrap: wrap; } .film figure { margin: 0; }
.film img { display: block; border-radius: 3px; } figcaption { font-size: 11px;
  color: var(--soft); } .grid-of-plots { display: flex; flex-wrap: wrap; gap: 10px; }
.grid-of-plots figure { margin: 0; } svg { max-width: 100%; height: auto; }
svg text { font-size: 10px; fill: var(--soft); } .mid { text-anchor: middle; }
.end { text-anchor: end; } .axis { stroke: var(--soft); fill: none; }
.grid { stroke: var(--line); stroke-width: .6; } .bar { fill: var(--bar); }
.shade { fill: var(--shade); } polyline { stroke-width: 1.3; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 11px; color: var(--soft);
  margin-left: 46px; } .legend i { display: inline-block; width: 10px; height: 3px;
  margin: 0 4px 3px 0; } .bad { color: var(--bad); }
"""
_KNOWN = ("operator", "outcome", "policy", "engine", "notes", "tags", "source", "actions")


def page(view: DatasetView, report: Mapping[str, Any] | None = None) -> str:
    """Return the page; `report` is what `scan` has found."""
    name = escape(view.folder.name)
    reasons = dict((report or {}).get("per_episode_reasons", {}))
    warnings = dict((report or {}).get("per_episode_warnings", {}))
    parts = [
        f"<h1>{name}</h1>",
        _summary(view, report),
        _tasks(view),
        _histograms(view),
        "<h2>Episodes</h2>",
        *(_episode(view, one, reasons, warnings, n == 0) for n, one in enumerate(view.shown)),
    ]
    if len(view.shown) < view.episodes:
        parts.append(f"<p>{len(view.shown)} of {view.episodes} episodes are shown.</p>")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{text}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>"


def _summary(view: DatasetView, report: Mapping[str, Any] | None) -> str:
    rows = [
        ("folder", escape(str(view.folder))),
        ("format", escape(f"LeRobot {view.version}")),
        ("robot", escape(view.robot_type)),
        ("episodes", f"{view.episodes}"),
        ("frames", f"{view.frames}, {view.frames / view.fps / 60:.1f} min at {view.fps:g} Hz"),
        (
            "cameras",
            escape(", ".join(f"{n} ({size})" for n, size in view.cameras.items()) or "none"),
        ),
    ]
    if view.stats_invalidated:
        rows.append(("statistics", '<span class="bad">do not hold: run labvla data stats</span>'))
    if view.unreadable:
        text = ", ".join(map(str, view.unreadable))
        rows.append(("unreadable", f'<span class="bad">episodes {text}</span>'))
    if report is not None:
        bad = report.get("bad_episodes", [])
        text = ", ".join(map(str, bad)) or "none"
        kind = ' class="bad"' if bad else ""
        rows.append(("bad by scan", f"<span{kind}>{escape(text)}</span>"))
        for reason in report.get("dataset_incompatible_reasons", ()):
            rows.append(("not fit", f'<span class="bad">{escape(reason)}</span>'))
    return f"<section>{_table(rows)}</section>"


def _tasks(view: DatasetView) -> str:
    rows = [
        (f"{frames} frames", escape(text) or "<i>no instruction</i>")
        for text, frames in view.tasks.items()
    ]
    return f"<section><h3>Instructions</h3>{_table(rows)}</section>"


def _histograms(view: DatasetView) -> str:
    lengths = view.lengths
    parts = [
        "<section><h3>Length of the episodes (s)</h3><div class='grid-of-plots'>",
        histogram(lengths.counts, lengths.low, lengths.high, ""),
        "</div>",
    ]
    for feature, columns in view.columns.items():
        plots = "".join(histogram(c.counts, c.low, c.high, c.name) for c in columns)
        parts.append(f"<h3>{escape(feature)}</h3><div class='grid-of-plots'>{plots}</div>")
    return "".join([*parts, "</section>"])


def _episode(
    view: DatasetView,
    one: EpisodeView,
    reasons: Mapping[str, Any],
    warnings: Mapping[str, Any],
    opened: bool,
) -> str:
    found = [(entry, "bad") for entry in reasons.get(str(one.number), ())]
    found += [(entry, "") for entry in warnings.get(str(one.number), ())]
    texts = [
        f'<li class="{kind}">{escape(entry["detector"])}: {escape(entry["kind"])} '
        f"{escape(_detail(entry['detail']))}</li>"
        for entry, kind in found
    ]
    if one.problem:
        texts.append(f'<li class="bad">{escape(one.problem)}</li>')
    mark = ' <span class="bad">bad</span>' if str(one.number) in reasons else ""
    task = escape("; ".join(one.tasks))
    head = (
        f"<summary>Episode {one.number}{mark}<small>{one.frames} frames, "
        f"{one.frames / view.fps:.1f} s — {task}</small></summary>"
    )
    known = [
        (key, escape(_text(one.known[key])))
        for key in _KNOWN
        if one.known.get(key) not in (None, "")
    ]
    body = [
        _table(known),
        f"<ul>{''.join(texts)}</ul>" if texts else "",
        *(_film(camera, pictures) for camera, pictures in one.thumbnails.items()),
        *_plots(view, one),
    ]
    return f"<details{' open' if opened else ''}>{head}{''.join(body)}</details>"


def _detail(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in detail.items())


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _film(camera: str, pictures: Sequence[tuple[int, str]]) -> str:
    figures = "".join(
        f'<figure><img src="{url}" alt="frame {frame}"><figcaption>{frame}</figcaption></figure>'
        for frame, url in pictures
    )
    return f'<h3>{escape(camera)}</h3><div class="film">{figures}</div>'


def _plots(view: DatasetView, one: EpisodeView) -> list[str]:
    """Plot joints and grippers apart: their units differ."""
    width = one.states.shape[1] if one.states.ndim == 2 else 0
    grippers = [column for column in view.grippers if column < width]
    joints = [
        column
        for column in range(width)
        if column not in grippers and (np.ptp(one.states[:, column]) > 0)
    ]
    plots = []
    for title, columns, unit in (("joints", joints, "rad"), ("grippers", grippers, "")):
        if not columns:
            continue
        lines = []
        for column in columns:
            name = view.names[column] if column < len(view.names) else str(column)
            lines.append(Line(name, one.states[:, column]))
            if one.actions.ndim == 2 and column < one.actions.shape[1]:
                lines.append(Line(name, one.actions[:, column], dashed=True))
        plot = line_plot(lines, 1 / view.fps, unit, shaded=one.interventions)
        marked = ", interventions marked" if one.interventions else ""
        plots.append(f"<h3>{title}: state, action dashed{marked}</h3>{plot}")
    return plots
