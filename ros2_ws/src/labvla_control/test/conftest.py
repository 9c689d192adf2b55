from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# One example is a stream of thousands of control cycles; time per example says nothing here.
settings.register_profile(
    "streams",
    max_examples=1000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
settings.load_profile("streams")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; run with -m long")
