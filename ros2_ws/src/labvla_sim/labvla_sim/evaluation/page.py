"""The report: one HTML file with charts and films inside, and no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from labvla_data.view.svg import COLOURS
from labvla_sim.evaluation.chart import Share, bars, line
from labvla_sim.evaluation.failures import FAILURES
from labvla_sim.evaluation.suite import Condition
from labvla_sim.evaluation.summary import Figures, rows_of

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dae1; --card: #fff;
  --page: #f4f6f8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #39424f;
  --card: #1e242c; --page: #14181e; --bad: #ff8a80; } }
body { margin: 0 auto; max-width: 1180px; padding: 24px; background: var(--page);
  color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 28px 0 0; }
h3 { font-size: 14px; margin: 0 0 8px; }
p { max-width: 75ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 16px; margin: 12px 0; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); gap: 12px; }
.side section { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: 3px 18px 3px 0; vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
tr.sum td { border-top: 1px solid var(--line); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font-size: 10.5px; fill: var(--soft); } svg .name { font-size: 12px; fill: var(--ink); }
.mid { text-anchor: middle; } .end { text-anchor: end; }
.grid { stroke: var(--line); stroke-width: .8; fill: none; }
polyline { fill: none; stroke-width: 1.6; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12px; color: var(--soft); }
.legend i { display: inline-block; width: 12px; height: 3px; margin: 0 5px 3px 0; }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 12px; }
figure { margin: 0; } video { width: 100%; border-radius: 4px; background: #000; }
figcaption { font-size: 12.5px; color: var(--soft); } figcaption b { color: var(--ink); }
.big { font-size: 26px; font-weight: 600; margin-right: 6px; }
.heads { display: flex; flex-wrap: wrap; gap: 8px 40px; margin: 8px 0; }
.bad { color: var(--bad); }
"""


@dataclass(frozen=True)
class Shown:
    """What the report is about."""

    result: Mapping[str, Any]
    conditions: Sequence[Condition]
    films: Path  # folder of the result's films


def page(shown: Shown) -> str:
    """Return the page."""
    result = shown.result
    title = f"{result['suite']}: {result['policy'] or result['engine']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _heads(result),
        _asked(result),
        "<h2>Success</h2>",
        _charts(result["tasks"]),
        _table(result["tasks"], shown.conditions),
        _failures(result["tasks"]),
        _sweep(result["sweep"]),
        _agreement(result["agreement"]),
        _films(result["films"], shown.films),
    ]
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n{body}\n"
        "</body></html>\n"
    )


def _heads(result: Mapping[str, Any]) -> str:
    heads = [
        f'<div><span class="big">{result[key] * 100:.0f} %</span>{text}</div>'
        for key, text in (("average", "in distribution"), ("average_ood", "out of distribution"))
        if result[key] is not None
    ]
    crashed = result["crashed"]
    if crashed:
        heads.append(f'<div class="bad"><span class="big">{crashed}</span>episodes crashed</div>')
    return f'<div class="heads">{"".join(heads)}</div>' if heads else ""


def _asked(result: Mapping[str, Any]) -> str:
    ways = {
        "inprocess": "in process, in simulated time",
        "stack": "through the running stack, in lock-step",
    }
    setting = result["setting"]
    steps = "" if setting["steps"] is None else f", {setting['steps']} Euler steps"
    rows = [
        ("engine", result["engine"]),
        ("options", ", ".join(f"{k}={v}" for k, v in result["options"].items()) or "none"),
        ("checkpoint", result["checkpoint"] or "none"),
        ("cell", f"{result['cell']} ({result['cell_hash'][:12]})"),
        ("played", ways[result["path"]]),
        (
            "scheduling",
            f"{setting['scheduling']}, {setting['execute']} rows executed{steps}, answers "
            f"{setting['delay'] * 1e3:g} ms late",
        ),
        (
            "seeds",
            f"{result['seed']} to {result['seed'] + result['episodes'] - 1} of each task in each "
            "condition",
        ),
    ]
    cells = "".join(f"<tr><th>{n}</th><td>{escape(str(v))}</td></tr>" for n, v in rows)
    note = (
        "<p>This engine reads the simulation's true state: it shows what is possible, "
        "not what a policy can do.</p>"
        if result["engine"] in ("expert", "impostor")
        else ""
    )
    return f"<section><table>{cells}</table>{note}</section>"


def _share(name: str, one: Figures) -> Share:
    return Share(name, one["success"], one["n"], one["low"], one["high"])


def _charts(tasks: Mapping[str, Figures]) -> str:
    parts = []
    for number, (task, own) in enumerate(tasks.items()):
        rows = [_share(name, one) for _, name, one in rows_of({task: own})]
        if rows:
            chart = bars(rows, COLOURS[number % len(COLOURS)])
            parts.append(f"<section><h3>{escape(task)}</h3>{chart}</section>")
    return (
        f'<div class="side">{"".join(parts)}</div>'
        "<p>Dots are shares of success, bars their 95 % Wilson intervals.</p>"
    )


def _table(tasks: Mapping[str, Figures], conditions: Sequence[Condition]) -> str:
    meanings = {one.name: one.meaning for one in conditions} | {"ood": "all of these"}
    head = "".join(
        f"<th{kind}>{text}</th>"
        for text, kind in (
            ("task", ""),
            ("condition", ""),
            ("success", ' class="number"'),
            ("95 %", ' class="number"'),
            ("median time", ' class="number"'),
            ("stands as if done", ' class="number"'),
            ("not kept", ' class="number"'),
            ("", ""),
        )
    )
    rows = []
    for task, name, one in rows_of(tasks):
        seconds = "" if one["seconds"] is None else f"{one['seconds']:.1f} s"
        cells = [
            f"<td>{escape(task)}</td><td>{escape(name)}</td>",
            *(
                f'<td class="number">{value}</td>'
                for value in (
                    f"{one['success']}/{one['n']}",
                    f"{one['low'] * 100:.0f} to {one['high'] * 100:.0f}",
                    seconds,
                    one["false_completion"],
                    one["not_kept"],
                )
            ),
            f"<td>{escape(meanings.get(name, ''))}</td>",
        ]
        mark = ' class="sum"' if name == "ood" else ""
        rows.append(f"<tr{mark}>{''.join(cells)}</tr>")
    return (
        f'<section class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></section>'
        "<p><i>Stands as if done</i>: failed, and the arm has not moved in the last three seconds. "
        "<i>Not kept</i>: of the successes, those that were undone a second later.</p>"
    )


def _failures(tasks: Mapping[str, Figures]) -> str:
    rows = [(task, name, one["failures"]) for task, name, one in rows_of(tasks) if name != "ood"]
    kinds = [kind for kind in FAILURES if any(kind in failures for _, _, failures in rows)]
    if not kinds:
        return "<h2>Failures</h2><section>None.</section>"
    names = "".join(f'<th class="number">{kind.replace("_", " ")}</th>' for kind in kinds)
    lines = []
    for task, name, failures in rows:
        counts = "".join(f'<td class="number">{failures.get(kind, "")}</td>' for kind in kinds)
        lines.append(f"<tr><td>{escape(task)}</td><td>{escape(name)}</td>{counts}</tr>")
    meanings = "".join(
        f"<tr><th>{kind.replace('_', ' ')}</th><td>{escape(FAILURES[kind])}</td></tr>"
        for kind in kinds
    )
    return (
        '<h2>Failures</h2><section class="wide"><table>'
        f"<tr><th>task</th><th>condition</th>{names}</tr>{''.join(lines)}</table></section>"
        f"<section><table>{meanings}</table></section>"
    )


def _sweep(points: Sequence[Mapping[str, Any]]) -> str:
    if not points:
        return ""
    names = list(points[0]["tasks"])
    lines = [
        [_share(point["name"], point["tasks"][name]["id"]) for point in points] for name in names
    ]
    wide = max(560.0, 110.0 * len(points))
    return f'<h2>Sweep</h2><section class="wide">{line(lines, names, wide)}</section>'


def _agreement(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    rows = [
        ("episodes that both have played", found["n"]),
        ("done in both", found["both"]),
        ("done in neither", f"{found['neither']}, {found['same_failure']} of the same category"),
        ("done here alone", ", ".join(found["only_here"]) or "none"),
        ("done there alone", ", ".join(found["only_there"]) or "none"),
    ]
    if found["seconds_apart"] is not None:
        rows.append(("times to success apart, median", f"{found['seconds_apart']:.2f} s"))
    cells = "".join(f"<tr><th>{name}</th><td>{escape(str(v))}</td></tr>" for name, v in rows)
    where = escape(f"{found['folder']} ({found['path']})")
    return f"<h2>Against {where}</h2><section><table>{cells}</table></section>"


def _films(films: Sequence[Mapping[str, Any]], folder: Path) -> str:
    if not films:
        return ""
    parts = []
    for film in films:
        data = base64.b64encode((folder / film["file"]).read_bytes()).decode()
        text = (
            f"<b>{escape(film['task'])}, {escape(film['condition'])}, seed {film['seed']}: "
            f"{escape(film['failure'])}</b><br>{escape(film['reason'])}"
        )
        parts.append(
            f'<figure><video controls muted preload="metadata" '
            f'src="data:video/mp4;base64,{data}"></video><figcaption>{text}</figcaption></figure>'
        )
    return f'<h2>Failures on film</h2><section><div class="films">{"".join(parts)}</div></section>'
