"""The page: one HTML file that needs nothing beside it, and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from labvla_data.view.gather import DatasetView, EpisodeView, Motion
from labvla_data.view.svg import Line, histogram, line_plot

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dae1; --card: #fff;
  --page: #f4f6f8; --bar: #4e79a7; --shade: #f28e2b33; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #39424f;
  --card: #1e242c; --page: #14181e; --bar: #76a5d6; --shade: #f28e2b44; --bad: #ff8a80; } }
body { margin: 0 auto; max-width: 1180px; padding: 24px; background: var(--page);
  color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 24px 0 0; }
h3 { font-size: 13px; margin: 14px 0 4px; color: var(--soft); font-weight: 600; }
section, details { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 16px; margin: 12px 0; }
section > h3:first-child { margin-top: 0; }
summary { cursor: pointer; font-weight: 600; }
summary small { color: var(--soft); font-weight: 400; margin-left: 10px; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: 2px 18px 2px 0; vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
.film, .plots { display: flex; flex-wrap: wrap; gap: 4px 6px; }
figure { margin: 0; }
figcaption { font-size: 11px; color: var(--soft); }
.film img { display: block; border-radius: 3px; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font-size: 10px; fill: var(--soft); }
.mid { text-anchor: middle; } .end { text-anchor: end; }
.axis { stroke: var(--soft); fill: none; } .grid { stroke: var(--line); stroke-width: .6; }
.bar { fill: var(--bar); } .shade { fill: var(--shade); }
polyline { fill: none; stroke-width: 1.4; stroke-linejoin: round; }
.dashed { stroke-dasharray: 5 3; opacity: .75; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 11px; color: var(--soft);
  margin-left: 46px; }
.legend i { display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 0; }
.bad { color: var(--bad); }
"""
# Of what is known about an episode, in this order.
_KNOWN = ("operator", "outcome", "engine", "policy", "notes", "tags", "source", "actions", "lost")


def page(view: DatasetView, report: Mapping[str, Any] | None = None) -> str:
    """Return the page; `report` is what `scan` has found."""
    name = escape(view.folder.resolve().name)
    parts = [
        f"<h1>{name}</h1>",
        _summary(view, report),
        _tasks(view),
        _refused(view),
        _histograms(view),
        "<h2>Episodes</h2>",
        *(_episode(view, one, report or {}, n == 0) for n, one in enumerate(view.shown)),
    ]
    if len(view.shown) < view.episodes:
        parts.append(f"<p>{len(view.shown)} of {view.episodes} episodes are shown.</p>")
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{text}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>"


def _bad(text: str) -> str:
    return f'<span class="bad">{escape(text)}</span>'


def _summary(view: DatasetView, report: Mapping[str, Any] | None) -> str:
    minutes = view.frames / view.fps / 60
    cameras = ", ".join(f"{name} ({size})" for name, size in view.cameras.items()) or "none"
    rows = [
        ("folder", escape(str(view.folder))),
        ("format", escape(f"LeRobot {view.version}")),
        ("robot", escape(view.robot_type)),
        ("episodes", f"{view.episodes}"),
        ("frames", f"{view.frames}, {minutes:.1f} min at {view.fps:g} Hz"),
        ("cameras", escape(cameras)),
    ]
    if view.interventions is not None:
        share = view.interventions / max(view.frames, 1)
        rows.append(("interventions", f"{view.interventions} frames ({share:.1%})"))
    for feature, names in view.still.items():
        if names:
            rows.append((f"still in {feature}", escape(", ".join(names))))
    if view.stats_invalidated:
        rows.append(("statistics", _bad("do not hold: run labvla data stats")))
    for number, why in view.unreadable.items():
        rows.append(("unreadable", _bad(f"episode {number}: {why}")))
    rows += _scanned(view, report)
    return f"<section>{_table(rows)}</section>"


def _scanned(view: DatasetView, report: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if report is None:
        return [("scan", f"not given: labvla data scan {escape(view.folder.name)} --out FILE")]
    bad = [str(number) for number in report.get("bad_episodes", ())]
    found = _bad(f"bad episodes: {', '.join(bad)}") if bad else "no bad episode"
    unfit = report.get("dataset_incompatible_reasons", ())
    return [("scan", found), *(("not fit", _bad(str(reason))) for reason in unfit)]


def _tasks(view: DatasetView) -> str:
    rows = [
        (f"{frames} frames", escape(text) or "<i>no instruction</i>")
        for text, frames in view.tasks.items()
    ]
    return f"<section><h3>Instructions</h3>{_table(rows)}</section>"


def _refused(view: DatasetView) -> str:
    """Return what the export has left out."""
    if not view.refused:
        return ""
    rows = [
        (entry["bag"], _bad(entry["reason"]) + " " + escape(entry["detail"]))
        for entry in view.refused
    ]
    return f"<section><h3>Recordings that were refused</h3>{_table(rows)}</section>"


def _histograms(view: DatasetView) -> str:
    parts = ["<section><h3>Length of the episodes (s)</h3>"]
    shown = {"": [view.lengths], **view.columns}
    for feature, columns in shown.items():
        plots = "".join(
            histogram(column.counts, column.low, column.high, column.name if feature else "")
            for column in columns
        )
        title = f"<h3>{escape(feature)}</h3>" if feature else ""
        parts.append(f'{title}<div class="plots">{plots}</div>')
    return "".join([*parts, "</section>"])


def _episode(view: DatasetView, one: EpisodeView, report: Mapping[str, Any], opened: bool) -> str:
    number = str(one.number)
    reasons = report.get("per_episode_reasons", {}).get(number, ())
    warnings = report.get("per_episode_warnings", {}).get(number, ())
    texts = [
        *(_bad(_finding(entry)) for entry in reasons),
        *(escape(_finding(entry)) for entry in warnings),
        *(_bad(problem) for problem in one.problems),
    ]
    mark = f" {_bad('bad')}" if reasons else ""
    task = escape("; ".join(one.tasks))
    seconds = one.frames / view.fps
    head = (
        f"<summary>Episode {number}{mark}"
        f"<small>{one.frames} frames, {seconds:.1f} s: {task}</small></summary>"
    )
    known = [
        (key, escape(_text(one.known[key]))) for key in _KNOWN if one.known.get(key) not in _EMPTY
    ]
    body = [
        _table(known) if known else "",
        "<ul>" + "".join(f"<li>{text}</li>" for text in texts) + "</ul>" if texts else "",
        *(_film(camera, pictures) for camera, pictures in one.thumbnails.items()),
        *(_plot("joints", arm, view, one, "rad") for arm in one.joints),
        _plot("grippers", one.grippers, view, one, "") if one.grippers else "",
    ]
    return f"<details{' open' if opened else ''}>{head}{''.join(body)}</details>"


_EMPTY: tuple[Any, ...] = (None, "", [], {})


def _finding(entry: Mapping[str, Any]) -> str:
    detail = ", ".join(f"{key} {value}" for key, value in entry["detail"].items())
    return f"{entry['detector']}: {entry['kind']} {detail}".strip()


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _film(camera: str, pictures: Sequence[tuple[int, str]]) -> str:
    figures = "".join(
        f'<figure><img src="{url}" alt="frame {frame}"><figcaption>{frame}</figcaption></figure>'
        for frame, url in pictures
    )
    return f'<h3>{escape(camera)}</h3><div class="film">{figures}</div>'


def _plot(
    title: str, motions: Sequence[Motion], view: DatasetView, one: EpisodeView, unit: str
) -> str:
    lines = []
    for motion in motions:
        for values, dashed in ((motion.state, False), (motion.action, True)):
            if values is not None:
                lines.append(Line(motion.name, values, dashed))
    plot = line_plot(lines, 1 / view.fps, unit, shaded=one.interventions)
    marked = ", interventions shaded" if one.interventions else ""
    return f"<h3>{title}: state, action dashed{marked}</h3>{plot}"
