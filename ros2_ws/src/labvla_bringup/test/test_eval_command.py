"""`labvla eval`: a policy judged from the command line, in process and through the stack."""

import json

import cell_checkpoint
import pytest

from labvla_bringup import cli
from labvla_bringup.evaluation import stack_path
from labvla_bringup.graph import GraphError
from labvla_policy.runtime.cell import load_cell
from labvla_sim.evaluation.crew import Crew
from labvla_sim.evaluation.ledger import EPISODES


def records(folder):
    return [json.loads(line) for line in (folder / EPISODES).read_text().splitlines()]


@pytest.mark.timeout(600)
def test_two_episodes_and_their_figures_and_then_no_more(tmp_path, capsys, monkeypatch):
    out = tmp_path / "eval"
    words = ["eval", "lab2", "--conditions", "id", "--episodes", "1", "--workers", "1"]
    words += ["--seed", "5", "--out", str(out), "--json"]
    assert cli.main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["tasks"]) == {"press", "pick"}
    for one in told["tasks"].values():
        assert {key: one["id"][key] for key in ("success", "n")} == {"success": 1, "n": 1}
        assert 0.0 < one["id"]["low"] < one["id"]["high"] == 1.0
    assert told["average"] == 1.0
    assert told["average_ood"] is None
    assert (out / "report.html").is_file()
    assert [one["seed"] for one in records(out)] == [5, 5]

    def nothing(_crew, orders):
        assert not orders
        return iter(())

    monkeypatch.setattr(Crew, "play", nothing)
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lab9",), "lab2"),
        (("lab2", "--conditions", "odd"), "layout"),
        (("lab2", "--episodes", "0"), "above 0"),
        (("lab2", "--seed=-1"), "seeds of 0 to"),
        (("lab2", "--cell", "nonsuch"), "nonsuch"),
        (("lab2", "--cell", "ur5e"), "ur5e"),
        (("lab2", "--engine", "labvla", "--checkpoint", "nowhere"), "no such folder"),
        (("lab2", "--engine", "expert", "--steps", "4"), "steps"),
        (("lab2", "--engine", "impostor", "--path", "stack"), "inprocess"),
        (("lab2", "--sweep", "speed=1"), "execute, steps, delay, scheduling"),
        (("lab2", "--execute", "1001"), "1 to 1000"),
        (("lab2", "--delay", "3"), "0 to 2 s"),
        (("lab2", "--path", "stack", "--delay", "0.1"), "inprocess"),
        (("lab2", "--path", "stack", "--sweep", "delay=0,0.1"), "inprocess"),
        (("lab2", "--path", "stack", "--workers", "2"), "expected 1"),
        (("lab2", "--domains", "41"), "for --path stack alone"),
        (("lab2", "--path", "stack", "--domains", "41,41"), "different numbers"),
        (("lab2", "--path", "stack", "--domains", "41,"), "different numbers"),
        (("lab2", "--path", "stack", "--domains", "102"), "0 to 101"),
    ],
)
def test_wrong_use_is_named_before_anything_is_written(words, said, tmp_path, capsys):
    try:
        code = cli.main(["eval", *words, "--out", str(tmp_path / "eval")])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(600)  # PyTorch takes its time to load on a busy machine
def test_a_checkpoint_of_another_layout_is_refused_with_the_difference(tmp_path, capsys):
    folder, cell = tmp_path / "tiny", load_cell("franka")
    cell_checkpoint.write(folder, cell, control={"row_rate": 2 * cell.policy.row_rate})
    words = ["eval", "lab2", "--engine", "labvla", "--checkpoint", str(folder), "--quick"]
    assert cli.main([*words, "--workers", "1", "--out", str(tmp_path / "eval")]) == 2
    said = capsys.readouterr().err
    assert "cannot work here" in said
    assert "row_rate" in said


def test_what_the_simulator_writes_is_read_back():
    event = stack_path.event_of("5.30 s: no longer held 40.1 mm")
    assert (event.time, event.name, event.detail) == (5.3, "no longer held", "40.1 mm")
    event = stack_path.event_of("0.98 s: success")
    assert (event.name, event.detail) == ("success", "")


class Flaky(stack_path.StackPath):
    """Its stacks fail after an episode or two, and then for good."""

    def __init__(self, good):
        self.good, self.stacks = list(good), 0

    def _played(self, choice, jobs, policy):
        self.stacks += 1
        for job in jobs[: self.good.pop(0) if self.good else 0]:
            yield job, {}
        raise GraphError("no answer")


def test_a_stack_that_fails_is_brought_up_anew_for_the_episodes_that_are_left():
    jobs = ["a", "b", "c", "d"]
    some = Flaky([1, 0, 0, 2])
    playing = some._insisted(None, jobs, "policy")
    assert next(playing)[0] == "a"
    with pytest.raises(GraphError):
        next(playing)
    assert some.stacks == 3, "given up when three have failed without an episode in between"
    better = Flaky([1, 0, 2, 0, 1])
    assert [job for job, _ in better._insisted(None, jobs, "policy")] == jobs


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "conditions", ["swap", pytest.param("absent,no_words", marks=pytest.mark.long)]
)
def test_both_paths_agree_on_what_succeeds_and_why_not(conditions, tmp_path, capsys):
    """The expert obeys either instruction; it refuses what is not there, or makes no sense."""
    words = ["eval", "lab2", "--conditions", conditions, "--episodes", "1", "--films", "0"]
    there, here = tmp_path / "inprocess", tmp_path / "stack"
    assert cli.main([*words, "--workers", "1", "--out", str(there)]) == 0
    capsys.readouterr()
    against = ["--path", "stack", "--against", str(there), "--json", "--out", str(here)]
    assert cli.main([*words, *against]) == 0
    told = json.loads(capsys.readouterr().out)
    found = told["agreement"]
    assert found["n"] == len(records(here)) == 2 * len(conditions.split(","))
    assert found["both"] + found["neither"] == found["n"]
    assert found["same_failure"] == found["neither"]
    assert (found["seconds_apart"] or 0.0) < 0.5
    for one, other in zip(*(by_key(folder) for folder in (here, there)), strict=True):
        for figure in ("key", "kept", "done_instead", "policy"):
            assert one[figure] == other[figure]
        assert (one["nearest"] or 0.0) == pytest.approx(other["nearest"] or 0.0, abs=0.03)


def by_key(folder):
    return sorted(records(folder), key=lambda one: one["key"])
