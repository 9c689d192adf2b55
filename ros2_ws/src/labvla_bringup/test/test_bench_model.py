"""`labvla bench model`: complete, honest about what was not run, and its counting is right."""

import json
import sys
from pathlib import Path

import pytest
import torch

from labvla_bringup import cli

ROOT = Path(__file__).resolve().parents[4]
sys.path.append(str(ROOT))

from benchmarks.model.network import random_policy  # noqa: E402
from benchmarks.model.peaks import Peaks  # noqa: E402
from benchmarks.model.sizes import SIZES  # noqa: E402
from benchmarks.model.timing import Latency  # noqa: E402
from benchmarks.model.work import Work, count  # noqa: E402

ROW_KEYS = {
    "size", "device", "dtype", "method", "part", "rtc", "samples", "clients", "run", "why_not",
    "p50_ms", "p99_ms", "first_ms", "calls", "gflop", "megabytes", "roofline_ms",
    "roofline_fraction", "chunks_per_second", "prepare_s",
}  # fmt: skip
STAGES = {"upload", "pixels", "vision", "language", "keys", "restore"}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    words = ["bench", "model", "--size", "tiny", "--device", "cpu", "--quick", "--out", str(out)]
    assert cli.main(words) == 0
    return json.loads((out / "bench_model.json").read_text())


def rows(result, **wanted):
    return [r for r in result["rows"] if all(r[key] == value for key, value in wanted.items())]


def test_the_result_is_complete(result):
    assert result.keys() >= {"rows", "machine", "versions", "networks", "ratios", "aims", "date"}
    assert all(set(row) == ROW_KEYS for row in result["rows"])
    assert {row["part"] for row in rows(result, size="tiny", method="ours")} == {
        *STAGES, "loop", "chunk",
    }  # fmt: skip
    assert {row["rtc"] for row in rows(result, part="loop")} == {"off", "guided 1", "guided 2"}
    assert {row["clients"] for row in rows(result, part="chunk", run=True)} == {1, 2, 4}
    assert {row["method"] for row in rows(result, size="tiny")} == {"ours", "plain", "stock"}
    for row in rows(result, run=True):
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["calls"] > 0
    (network,) = result["networks"]
    assert network["most_mb"] > network["weights_mb"] > 0


def test_what_was_not_run_says_so(result):
    absent = rows(result, run=False)
    assert {(row["size"], row["device"]) for row in absent} == {("full", "cuda")}
    assert all(row["why_not"] and row["p50_ms"] is None for row in absent)
    assert all(aim["found"] is None and aim["reached"] is None for aim in result["aims"])


def test_what_is_measured_is_the_network_as_it_is_written_down(result):
    (network,) = result["networks"]
    assert network["difference_to_plain"] < 1e-4


def test_guiding_costs_what_its_products_cost(result):
    flops = {row["rtc"]: row["gflop"] for row in rows(result, part="loop", samples=1)}
    assert flops["off"] < flops["guided 1"] < flops["guided 2"]
    # A product is a backward pass to the chunk alone: about one forward pass, nine times of ten.
    product = flops["guided 2"] - flops["guided 1"]
    assert product == pytest.approx(0.9 * flops["off"], rel=0.15)


def test_products_are_counted_with_the_bytes_that_they_touch():
    weights = torch.empty(64, 32, device="meta")
    values = torch.empty(2, 5, 32, device="meta")
    found = count(lambda: torch.nn.functional.linear(values, weights).relu())
    assert found.flops == 2 * 10 * 32 * 64
    assert found.bytes == 4 * (10 * 32 + 64 * 32 + 10 * 64)


def test_attention_is_counted_as_one_pass_over_its_tensors():
    query = torch.empty(2, 4, 7, 16, device="meta")
    key = torch.empty(1, 4, 9, 16, device="meta").expand(2, -1, -1, -1)  # lies in memory once
    found = count(lambda: torch.nn.functional.scaled_dot_product_attention(query, key, key))
    assert found.flops == 2 * 2 * (2 * 4 * 7 * 9 * 16)
    assert found.bytes == 4 * (2 * 4 * 7 * 16 * 2 + 2 * (4 * 9 * 16))


def test_a_stage_needs_at_least_what_the_slower_of_two_peaks_allows():
    peaks = Peaks(flops=100.0, bytes=10.0)
    assert Work(flops=200, bytes=1).least_seconds(peaks.flops, peaks.bytes) == 2.0
    assert Work(flops=1, bytes=200).least_seconds(peaks.flops, peaks.bytes) == 20.0


def test_the_first_call_is_in_no_other_figure():
    latency = Latency.of(9.0, [1.0, 2.0, 3.0])
    assert (latency.first, latency.p50, latency.calls) == (9.0, 2.0, 3)


def test_the_full_size_has_the_public_weights():
    policy = random_policy(SIZES["full"], torch.device("meta"), "bfloat16")
    stored = sum(p.nbytes for p in policy.parameters())
    embedding = policy.vlm.token_embedding.weight.nbytes  # in the file twice
    tables = 18 * 512 * 1024 * 2
    assert stored + embedding + tables == 10_213_575_744


def test_wrong_use_and_what_is_lacking(capsys):
    assert cli.main(["bench", "model", "--device", "toaster"]) == 2
    assert "device: expected cpu, cuda or cuda:N" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert cli.main(["bench", "model", "--device", "cuda"]) == 3
        assert "no CUDA device" in capsys.readouterr().err
