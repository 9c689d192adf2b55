"""`labvla eval`: a policy judged from the command line, in process and through the stack."""

import json

import cell_checkpoint
import pytest

from labvla_bringup import cli
from labvla_bringup.evaluation import stack_path
from labvla_policy.runtime.cell import load_cell
from labvla_sim.evaluation.crew import Crew
from labvla_sim.evaluation.ledger import EPISODES


def records(folder):
    return [json.loads(line) for line in (folder / EPISODES).read_text().splitlines()]


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
        (("lab2", "--seed=-1"), "0 or more"),
        (("lab2", "--cell", "nonsuch"), "nonsuch"),
        (("lab2", "--cell", "ur5e"), "ur5e"),
        (("lab2", "--engine", "labvla"), "checkpoint"),
        (("lab2", "--engine", "expert", "--steps", "4"), "steps"),
        (("lab2", "--engine", "impostor", "--path", "stack"), "inprocess"),
        (("lab2", "--sweep", "speed=1"), "execute, steps, delay, scheduling"),
        (("lab2", "--execute", "1001"), "1 to 1000"),
        (("lab2", "--delay", "3"), "0 to 2 s"),
        (("lab2", "--path", "stack", "--delay", "0.1"), "inprocess"),
        (("lab2", "--path", "stack", "--sweep", "delay=0,0.1"), "inprocess"),
        (("lab2", "--path", "stack", "--workers", "2"), "expected 1"),
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


@pytest.mark.timeout(900)
def test_both_paths_agree_on_what_succeeds(tmp_path):
    """The expert does both; without words it has nothing to do and no plan is made."""
    words = ["eval", "lab2", "--conditions", "swap,no_words", "--episodes", "1", "--films", "0"]
    found = {}
    for path in ("inprocess", "stack"):
        out = tmp_path / path
        assert cli.main([*words, "--path", path, "--workers", "1", "--out", str(out)]) == 0
        found[path] = {one["key"]: one for one in records(out)}
    assert found["stack"].keys() == found["inprocess"].keys()
    for key, one in found["inprocess"].items():
        other = found["stack"][key]
        for figure in ("success", "failure", "kept", "done_instead", "policy"):
            assert other[figure] == one[figure], (key, figure)
        assert other["seconds"] == pytest.approx(one["seconds"], abs=0.5)
        assert other["nearest"] == pytest.approx(one["nearest"], abs=0.03)
