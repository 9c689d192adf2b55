"""What the simulator frees goes back to the system, whatever lives on beside it."""

import platform
import subprocess
import sys

import pytest

PATTERN = """
import os, sys
from pathlib import Path
from labvla_sim.nodes.heap import LARGE, give_large_blocks_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

if sys.argv[1] == "settled":
    give_large_blocks_back()
bytearray(4 * LARGE)  # freed at once: from this the C library learns
before, large, small = resident(), [], []
for _ in range(20):
    block = bytearray(4 * LARGE)
    block[::4096] = bytes(4 * LARGE // 4096)  # every page is there
    large.append(block)
    small.append(bytes(60_000))
del large, block
print((resident() - before) / (20 * 4 * LARGE))
"""


def kept(how):
    """Share of what was freed that the process keeps."""
    done = subprocess.run(
        [sys.executable, "-c", PATTERN, how], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such rule")
def test_large_blocks_go_back_although_small_ones_live_on():
    assert kept("settled") < 0.1
    assert kept("as it is") > 0.5  # or else this test shows nothing
