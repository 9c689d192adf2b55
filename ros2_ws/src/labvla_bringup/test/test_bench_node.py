"""`labvla bench node`: both nodes do the same work, and every message is accounted for."""

import json

import pytest

from labvla_bringup import cli


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_result_is_complete(tmp_path):
    assert cli.main(["bench", "node", "--quick", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "bench_node.json").read_text())
    ours, naive = sorted(result["rows"], key=lambda row: row["node"])
    assert (ours["node"], naive["node"]) == ("labvla", "naive")
    assert ours["unexplained"] == 0
    for row in (ours, naive):
        assert row["plans_per_second"] > 1.0
        assert 0.0 < row["before_p50"] <= row["before_p99"]
        assert 0.0 < row["after_p50"] <= row["after_p99"]
    assert (tmp_path / "bench_node.png").stat().st_size > 10_000
