"""Several stacks side by side: each in its domain, all of them gone in the end."""

from pathlib import Path

import fleet_paths
import pytest

from labvla_bringup.evaluation import fleet
from labvla_bringup.graph import GraphError
from labvla_policy.runtime.cell import load_cell
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.evaluation.crew import Order, UnfitEngine
from labvla_sim.evaluation.job import Job, Setting
from labvla_sim.evaluation.suite import suite_of

ID = suite_of("lab2").chosen(["id"])[0]
ORDERS = [Order(Job(Setting(), ID, "press", seed)) for seed in range(5)]


@pytest.fixture
def a_fleet(monkeypatch, tmp_path):
    def make(path, domains=(41, 42)):
        monkeypatch.setattr(fleet, "StackPath", path)
        cell = Path(load_cell("franka").origin.file)
        return fleet.Fleet(cell, Contestant("expert", {}), tmp_path, domains)

    return make


def test_every_episode_is_played_once_and_each_domain_has_its_share(a_fleet):
    played = list(a_fleet(fleet_paths.Telling).play(ORDERS))
    assert sorted(job.seed for job, _ in played) == [0, 1, 2, 3, 4]
    assert {job.seed: record["domain"] for job, record in played} == {
        0: "41", 1: "41", 2: "42", 3: "42", 4: "42",
    }  # fmt: skip
    assert {record["logs"] for _, record in played} == {"domain-41", "domain-42"}


def test_there_are_no_more_stacks_than_episodes(a_fleet):
    assert list(a_fleet(fleet_paths.Telling).play([])) == []
    played = list(a_fleet(fleet_paths.Dying, (41,)).play([]))
    assert played == []
    one = list(a_fleet(fleet_paths.Telling, (41, 42, 43)).play(ORDERS[:1]))
    assert [record["domain"] for _, record in one] == ["43"]


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        (fleet_paths.Failing, GraphError, "ROS domain 41: no answer"),
        (fleet_paths.Unfit, UnfitEngine, "no weights"),
        (fleet_paths.Dying, GraphError, "the process of ROS domain 41 has ended"),
    ],
)
def test_what_ends_a_stack_ends_the_evaluation_by_name(a_fleet, path, error, said):
    with pytest.raises(error, match=said):
        list(a_fleet(path, (41,)).play(ORDERS))


def test_whoever_stops_listening_has_all_stacks_go_down(a_fleet, tmp_path):
    playing = a_fleet(fleet_paths.Waiting).play(ORDERS)
    heard = {next(playing)[0].seed, next(playing)[0].seed}
    assert heard == {0, 2}
    playing.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["domain-41", "domain-42"]
