"""The whole benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import result as results
from benchmarks.model.measure import Bench
from benchmarks.model.rows import Case, not_run
from benchmarks.model.sizes import SIZES
from labvla_policy.model.checkpoint.read import chosen_device
from labvla_policy.model.config import Dtype

RESULT = "bench_model.json"
QUICK_CALLS = 4
# Medians on the house's own anchors (an H200, three cameras, ten steps, a chunk of 50 rows).
AIM_MS, AIM_SPREAD = 25.0, 1.1


def device_of(name: str | None) -> torch.device:
    """Return the device that is wanted, or the best there is; raises Unavailable, ConfigError."""
    return chosen_device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def run(
    out: Path,
    sizes: tuple[str, ...],
    place: torch.device,
    dtype: Dtype | None,
    calls: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measure, write the result into `out`, return it.

    Without sizes those are taken that make sense on the device.
    """
    chosen = sizes or (("full", "mini") if place.type == "cuda" else ("tiny", "mini"))
    rows: list[dict[str, Any]] = []
    networks = []
    for name in chosen:
        size = SIZES[name]
        bench = Bench(size, place, dtype or size.config.dtype, calls, tell)
        rows += bench.run()
        networks.append(
            {
                "size": name,
                "device": place.type,
                "meaning": size.meaning,
                "peak_tflops": bench.peaks.flops / 1e12,
                "peak_gb_per_s": bench.peaks.bytes / 1e9,
                "difference_to_plain": bench.difference(),
                **bench.memory(),
            }
        )
        del bench
        if place.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(place)
    if not any(row["size"] == "full" and row["device"] == "cuda" for row in rows):
        why = "no CUDA device" if not torch.cuda.is_available() else "not asked for"
        rows += [
            not_run(Case("full", "cuda", "bfloat16", method, "chunk", rtc), why)
            for method, rtc in (("ours", "off"), ("ours", "guided 2"), ("stock", "off"))
        ]
    result = {
        "benchmark": "model",
        "date": results.now(),
        "machine": results.machine() | _gpu(place) | {"threads": torch.get_num_threads()},
        "versions": results.versions("torch", "transformers", "numpy"),
        "networks": networks,
        "ratios": _ratios(rows),
        "aims": _aims(rows),
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    return result


def _gpu(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"gpu": None}
    about = torch.cuda.get_device_properties(device)
    return {
        "gpu": about.name,
        "gpu_memory_gb": about.total_memory / 1e9,
        "cuda": torch.version.cuda,
    }


def _whole(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any] | None:
    wanted = {"part": "chunk", "rtc": "off", "samples": 1, "clients": 1, "run": True} | wanted
    found = results.select(rows, **wanted)
    return found[0] if found else None


def _ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare within the run: how many times as long the other ways take for a chunk."""
    found = []
    for name in dict.fromkeys(row["size"] for row in rows):
        ours = _whole(rows, size=name, method="ours")
        for method in ("plain", "stock"):
            other = _whole(rows, size=name, method=method)
            if ours and other:
                times = other["p50_ms"] / ours["p50_ms"]
                found.append({"size": name, "method": method, "times_as_long": times})
        guided = results.select(
            rows, size=name, method="ours", part="chunk", rtc="guided 2", run=True
        )
        if ours and guided:
            times = guided[0]["p50_ms"] / ours["p50_ms"]
            found.append({"size": name, "method": "ours with rtc", "times_as_long": times})
    return found


def _aims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ours = _whole(rows, size="full", device="cuda", method="ours")
    aims = (
        ("full size on a GPU, a chunk, p50 [ms]", AIM_MS, ours and ours["p50_ms"]),
        ("the same, p99 / p50", AIM_SPREAD, ours and ours["p99_ms"] / ours["p50_ms"]),
    )
    return [
        {"aim": aim, "wanted": wanted, "found": found, "reached": found and found <= wanted}
        for aim, wanted, found in aims
    ]
