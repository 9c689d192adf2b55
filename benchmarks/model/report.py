"""The result as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common.result import Table, select


def tables(result: dict[str, Any]) -> list[Table]:
    """Return everything that is printed."""
    rows = result["rows"]
    found = [_networks(result["networks"])]
    for network in result["networks"]:
        found.append(_latencies(network, select(rows, size=network["size"], run=True)))
    found.append(_ratios(result["ratios"]))
    found.append(_aims(result["aims"], select(rows, run=False)))
    return found


def _networks(networks: list[dict[str, Any]]) -> Table:
    columns = ("size", "on", "weights MB", "most MB", "peak TFLOP/s", "peak GB/s", "what it is")
    cells = [
        (
            entry["size"],
            entry["device"],
            f"{entry['weights_mb']:,.0f}",
            f"{entry['most_mb']:,.0f}",
            f"{entry['peak_tflops']:.3g}",
            f"{entry['peak_gb_per_s']:.3g}",
            entry["meaning"],
        )
        for entry in networks
    ]
    return Table("Networks, and what the machine can do at best", columns, cells)


def _latencies(network: dict[str, Any], rows: list[dict[str, Any]]) -> Table:
    columns = (
        "method", "part", "rtc", "samples", "clients", "p50", "p99", "first", "GFLOP", "MB",
        "roofline", "of it",
    )  # fmt: skip
    cells = [
        (
            row["method"],
            row["part"],
            row["rtc"],
            str(row["samples"]),
            str(row["clients"]),
            f"{row['p50_ms']:.3g}",
            f"{row['p99_ms']:.3g}",
            f"{row['first_ms']:.3g}",
            _number(row["gflop"]),
            _number(row["megabytes"]),
            _number(row["roofline_ms"]),
            "" if row["roofline_fraction"] is None else f"{row['roofline_fraction'] * 100:.0f} %",
        )
        for row in rows
    ]
    return Table(f"{network['size']} on {network['device']} [ms]", columns, cells)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _ratios(ratios: list[dict[str, Any]]) -> Table:
    cells = [(r["size"], r["method"], f"{r['times_as_long']:.2f}") for r in ratios]
    return Table("A chunk takes so many times as long as ours", ("size", "method", "times"), cells)


def _aims(aims: list[dict[str, Any]], absent: list[dict[str, Any]]) -> Table:
    verdicts = {True: "reached", False: "NOT reached", None: "not run"}
    cells = [
        (
            entry["aim"],
            f"{entry['wanted']:g}",
            _number(entry["found"]),
            verdicts[entry["reached"]],
        )
        for entry in aims
    ]
    for row in absent:
        what = f"{row['method']}, {row['size']} on {row['device']}, rtc {row['rtc']}"
        cells.append((what, "", "", f"not run: {row['why_not']}"))
    return Table("Aims", ("aim", "at most", "found", ""), cells)
