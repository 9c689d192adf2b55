import pytest
import torch
from train_support import write_dataset

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "demos")
