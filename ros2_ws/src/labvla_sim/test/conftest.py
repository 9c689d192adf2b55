"""What the tests of the simulation share."""

import pytest

from labvla_policy.runtime.cell import load_cell
from labvla_sim.plant import SimCell
from labvla_sim.tasks import Trial


@pytest.fixture(scope="session")
def cell():
    return load_cell("franka")


@pytest.fixture
def sim(cell):
    return SimCell(cell)


@pytest.fixture
def trial(sim):
    return Trial(sim)
