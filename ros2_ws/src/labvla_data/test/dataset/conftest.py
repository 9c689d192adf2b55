"""Sound datasets of both versions; every episode stands in files of its own, to be spoiled."""

import pytest
from dataset_support import SOUND_LENGTHS, write

from labvla_data.dataset.layout import V30


@pytest.fixture(scope="session", params=["v2.1", "v3.0"])
def sound(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(V30, "DATA_MB", 0)
        patch.setattr(V30, "VIDEO_MB", 0)
        return write(folder, request.param, lengths=SOUND_LENGTHS)
