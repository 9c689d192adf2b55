"""A small sound dataset, and others that have one thing wrong with them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dataset"))

from dataset_support import write

from labvla_data.dataset.layout import V30

LENGTHS = (45, 50, 55, 60, 48, 52)


@pytest.fixture(scope="session", params=["v2.1", "v3.0"])
def sound(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(V30, "DATA_MB", 0)
        patch.setattr(V30, "VIDEO_MB", 0)
        return write(folder, request.param, lengths=LENGTHS)
