"""openpi's own client, unchanged and with the NumPy that it asks for, drives the server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from serving_support import TOKEN, serving

PYTHON = Path(sys.prefix) / "openpi-client" / "bin" / "python"
SCRIPT = Path(__file__).with_name("stock_client.py")


@pytest.mark.skipif(not PYTHON.exists(), reason="no stock client here: `make setup-tests`")
def test_a_thousand_requests_of_the_stock_client():
    with serving(token=TOKEN) as (policy, uri):
        done = subprocess.run(
            [PYTHON, "-I", SCRIPT, uri, "1000", TOKEN],
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["wrong"] == 0
    assert report["versions"]["openpi-client"] == "0.1.2"
    assert report["versions"]["numpy"].startswith("1.")
    assert report["metadata"]["action_dim"] == 8
    assert "extensions" not in report["metadata"]
    assert report["shape_after_refusals"] == [50, 8]
    for refusal, reason in zip(
        report["refusals"], ("state_shape", "prompt_missing", "image_shape"), strict=True
    ):
        assert f"\n{reason}: " in refusal
    assert policy.count == 1001
