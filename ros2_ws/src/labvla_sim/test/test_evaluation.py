"""An evaluation plays what was asked, loses nothing, and says why episodes failed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from odd_contestants import Odd, Watcher

from labvla_policy.engines.base import EngineError
from labvla_policy.engines.blind import GREY, WORDS, BlindEngine
from labvla_policy.engines.spec import EngineSpec
from labvla_sim.evaluation import failures, suite
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.evaluation.crew import Crew, Order, UnfitEngine
from labvla_sim.evaluation.evaluation import Evaluation, Wish
from labvla_sim.evaluation.failures import FAILURES, Course, category
from labvla_sim.evaluation.job import Job, Setting, jobs, parse_axis, swept
from labvla_sim.evaluation.ledger import EPISODES, Ledger
from labvla_sim.evaluation.page import Shown, page
from labvla_sim.evaluation.player import Player
from labvla_sim.evaluation.suite import SUITES, EvaluationError, suite_of
from labvla_sim.evaluation.summary import average, by_task, figures
from labvla_sim.evaluation.watch import Seen
from labvla_sim.tasks import TASKS

LAB = SUITES["lab2"]
EXPERT = Contestant("expert")


def job(task="press", condition="id", seed=3, **setting):
    return Job(Setting(**setting), LAB.condition(condition), task, seed)


def impostor(name):
    return Contestant("impostor", {"name": name})


def briefly(monkeypatch, seconds):
    for name, task in list(TASKS.items()):
        monkeypatch.setitem(TASKS, name, replace(task, time_limit=seconds))


# What is played


def test_the_expert_does_what_is_asked_in_a_scene_of_the_other_task(cell):
    record = Player(cell, EXPERT).play(job("pick", "swap"))
    assert record["success"]
    assert record["failure"] is None
    assert record["kept"], "and does not let it fall a moment later"
    assert record["done_instead"] == ""
    assert record["policy"] == "expert:true-state"


def test_putting_it_on_the_plate_succeeds_in_a_scene_of_picking_it_up(cell):
    record = Player(cell, EXPERT).play(job("transport", "swap"))
    assert record["success"], record["reason"]
    assert record["kept"]
    assert record["done_instead"] == "", "it was picked up on the way"


def test_doing_another_task_than_was_asked_is_named(cell, monkeypatch):
    briefly(monkeypatch, 6.5)
    record = Player(cell, Odd("Stubborn")).play(job("press", "id"))
    assert not record["success"]
    assert (record["failure"], record["done_instead"]) == ("wrong_object", "pick")


@pytest.mark.parametrize(
    ("name", "task", "failure"),
    [
        ("RimPinch", "pick", "rim_pinch"),
        ("Beside", "pick", "missed_grasp"),
        ("Hover", "press", "missed_press"),
        ("OverTheEdge", "transport", "misplaced"),
        ("HoldsAbove", "transport", "not_put_down"),
    ],
)
def test_attempts_that_come_close_fail_for_their_reason(cell, monkeypatch, name, task, failure):
    briefly(monkeypatch, 11.0 if task == "transport" else 9.0)
    record = Player(cell, impostor(name)).play(job(task))
    assert not record["success"]
    assert record["failure"] == failure
    assert record["done_instead"] == "", "to have it in the hand is a part of carrying it"


def test_who_stands_still_is_far_away_and_looks_done(cell, monkeypatch):
    briefly(monkeypatch, 5.0)
    record = Player(cell, impostor("Still")).play(job("press"))
    assert (record["failure"], record["stood"]) == ("never_reached", True)
    assert figures([record])["false_completion"] == 1


def test_what_is_not_there_is_not_done_and_nothing_is_touched(cell):
    record = Player(cell, EXPERT).play(job("press", "absent"))
    assert record["success"], "the expert refuses, and stands"
    assert record["nearest"] is None
    assert record["refused"]["engine: engine_error"] > 0


def test_the_same_job_gives_the_same_record(cell):
    first, again = (Player(cell, EXPERT).play(job("press", "looks", seed=8)) for _ in range(2))
    assert first | {"wall": 0} == again | {"wall": 0}


def test_a_film_is_small_and_shows_the_episode(cell, monkeypatch, tmp_path):
    briefly(monkeypatch, 1.0)
    path = tmp_path / "films" / "one.mp4"
    Player(cell, impostor("Still")).play(job("press"), path)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert path.stat().st_size < 100_000


# Blind and deaf


@pytest.mark.parametrize(
    ("condition", "sees", "hears"),
    [("id", True, True), ("no_pictures", False, True), ("no_words", True, False)],
)
def test_ablations_show_the_engine_nothing_of_what_they_leave_out(
    cell, monkeypatch, condition, sees, hears
):
    briefly(monkeypatch, 0.8)
    monkeypatch.setattr(Watcher, "shown", [])
    cameras = tuple(replace(camera, width=64, height=48) for camera in cell.cameras)
    Player(replace(cell, cameras=cameras), Odd("Watcher")).play(job("press", condition))
    assert len(Watcher.shown) >= 3
    for observation in Watcher.shown:
        assert observation.image_mask == (True, True, True), "replaced, not left out"
        assert all((picture == GREY).all() for picture in observation.images) is not sees
        assert (observation.instruction == WORDS) is not hears


def test_in_a_process_of_its_own_the_blind_engine_refuses_what_it_cannot_be():
    for options in ({}, {"engine": "blind", "sees": "no", "hears": "no"}, {"engine": "replay"}):
        with pytest.raises(EngineError, match="expected"):
            BlindEngine(EngineSpec("blind", "franka", options))


# Why it failed

NOTHING = Seen(nearest=0.3, pinched=False, done_instead="", stood=False, kept=None)
NEAR = replace(NOTHING, nearest=0.03)


def course(task="pick", events=(), seen=NEAR, chunks=20, silence=0.1, reason="", **fields):
    fields = {"refused": {}, "absent": False} | fields
    return Course(reason, events, seen, chunks, silence, task=task, **fields)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (course(chunks=0, silence=20.0, refused={"engine: engine_error": 9}), "engine_failed"),
        (course(chunks=0, silence=20.0, refused={"gate: jump": 9}), "refused"),
        (course(chunks=3, refused={"gate: jump": 9}), "refused"),
        (course(chunks=9, refused={"gate: jump": 3}), "missed_grasp"),
        (course(silence=4.0), "stopped"),
        (course(seen=replace(NEAR, done_instead="press")), "wrong_object"),
        (course(events=["held", "no longer held", "toppled"]), "toppled"),
        (course(seen=replace(NEAR, pinched=True)), "rim_pinch"),
        (course(events=["held", "raised", "no longer held"]), "dropped"),
        (course(events=["held", "no longer held", "held"], reason="is 20 mm up"), "not_lifted"),
        (course(events=["held", "raised"], reason="the beaker is tilted"), "tilted"),
        (course(events=["held", "raised"], reason="not for a second yet"), "timeout"),
        (course(seen=NOTHING), "never_reached"),
        (course("press"), "missed_press"),
        (course("press", seen=NOTHING), "never_reached"),
        (course("press", events=["button touched"], seen=NOTHING), "missed_press"),
        (course("press", events=["plate running"]), "timeout"),
        (course("press", events=["beaker touched"], absent=True), "touched"),
        (course("transport", events=["held", "no longer held", "toppled"]), "toppled"),
        (course("transport", seen=replace(NEAR, pinched=True)), "rim_pinch"),
        (course("transport"), "missed_grasp"),
        (course("transport", seen=NOTHING), "never_reached"),
        (course("transport", events=["held", "above the plate"]), "not_put_down"),
        (course("transport", events=["held", "no longer held"]), "misplaced"),
        (course("transport", events=["held", "no longer held", "on the plate"]), "timeout"),
    ],
)
def test_each_failure_has_its_name(told, expected):
    assert category(told) == expected
    assert expected in FAILURES
    assert f"`{expected}`" in failures.table()


def test_the_document_has_the_tables():
    text = (Path(__file__).resolve().parents[4] / "docs" / "evaluation.md").read_text()
    assert suite.table() in text
    assert failures.table() in text


# Figures


def record(success=True, task="press", condition="id", failure="timeout", **more):
    return {
        "task": task,
        "condition": condition,
        "success": success,
        "failure": None if success else failure,
        "seconds": 5.0,
        "kept": True if success else None,
        "stood": False,
    } | more


@pytest.mark.parametrize(
    ("good", "n", "low", "high"),  # Wilson's score interval, worked out by hand elsewhere
    [(50, 50, 0.9287, 1.0), (0, 50, 0.0, 0.0713), (9, 10, 0.5958, 0.9821), (1, 2, 0.0945, 0.9055)],
)
def test_shares_have_their_wilson_interval(good, n, low, high):
    found = figures([record(number < good) for number in range(n)])
    assert (found["success"], found["n"]) == (good, n)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-4)


def test_figures_count_failures_and_what_was_not_kept():
    found = figures(
        [
            record(kept=False),
            record(),
            record(False, failure="dropped", stood=True),
            record(False, failure="dropped"),
            record(False, failure="refused", stood=True),
        ]
    )
    assert found["failures"] == {"dropped": 2, "refused": 1}
    assert found["not_kept"] == 1
    assert found["false_completion"] == 1, "an arm that is held back does not claim anything"


def test_conditions_of_ood_are_told_apart_and_summed_up():
    chosen = LAB.chosen(["id", "ood", "swap"])
    records = [
        record(n < good, task, name)
        for task in LAB.tasks
        for name, good in (("id", 4), ("layout", 2), ("looks", 1), ("swap", 3))
        for n in range(4)
    ]
    tasks = by_task(LAB, chosen, records)
    press = tasks["press"]
    assert press["id"]["success"] == 4
    assert (press["ood"]["success"], press["ood"]["n"]) == (3, 8)
    assert press["ood"]["conditions"]["layout"]["success"] == 2
    assert press["checks"]["swap"]["success"] == 3
    assert press["ablations"] == {}
    assert average(tasks, "id") == 1.0
    assert average(tasks, "ood") == pytest.approx(3 / 8)
    assert average({}, "ood") is None


# What is asked


def test_conditions_are_chosen_by_name_and_kind():
    assert LAB.chosen(["all"]) == LAB.conditions
    assert [one.name for one in LAB.chosen(["swap", "id"])] == ["id", "swap"]
    assert {one.kind for one in LAB.chosen(["ood"])} == {"ood"}
    for words in (["odd"], [""], []):
        with pytest.raises(EvaluationError, match="layout, looks"):
            LAB.chosen(words)
    with pytest.raises(EvaluationError, match="lab2"):
        suite_of("lab9")


def test_every_condition_means_something_else():
    meanings = [(one.variation, one.sees, one.hears) for one in LAB.conditions]
    assert len(set(meanings)) == len(meanings)
    assert all(task in TASKS for suite in SUITES.values() for task in suite.tasks)


def test_the_larger_suite_asks_for_the_same_and_one_task_more():
    assert SUITES["lab3"].tasks == (*LAB.tasks, "transport")
    assert SUITES["lab3"].conditions == LAB.conditions


def test_sweeps_are_combinations_of_the_base_setting():
    base = Setting(execute=8)
    axes = [parse_axis("execute=4,8"), parse_axis("scheduling=async,rtc")]
    points = list(swept(base, axes))
    assert [(p.execute, p.scheduling) for p in points] == [
        (4, "async"),
        (4, "rtc"),
        (8, "async"),
        (8, "rtc"),
    ]
    assert points[2] == base, "what both ask for is played once"
    assert list(swept(base, [])) == []
    wrong = ["", "execute", "execute=", "speed=1", "steps=few", "delay=0,x"]
    for text in wrong:
        with pytest.raises(EvaluationError, match="sweep"):
            parse_axis(text)
    with pytest.raises(EvaluationError, match="twice"):
        list(swept(base, [parse_axis("steps=2"), parse_axis("steps=3")]))
    for values in (("execute", 0), ("delay", 3.0), ("steps", 0), ("scheduling", "now")):
        with pytest.raises(EvaluationError, match=values[0]):
            replace(base, **dict([values]))


# Nothing is lost


def wish(**fields):
    conditions = LAB.chosen(["id", "swap"])
    default = Wish(LAB, EXPERT, "inprocess", conditions, episodes=3, seed=0, base=Setting())
    return replace(default, **fields)


class Fake:
    """Plays by saying so; may be interrupted."""

    def __init__(self, interrupt_after=None, failing=()):
        self.played, self._stop, self._failing = [], interrupt_after, failing

    def play(self, orders):
        for order in orders:
            if self._stop is not None and len(self.played) >= self._stop:
                raise KeyboardInterrupt
            self.played.append(order)
            one = order.job
            ok = one.key not in self._failing
            about = {"key": one.key, "setting": one.setting.name, "seed": one.seed, "reason": "x"}
            yield one, record(ok, one.task, one.condition.name) | about


def test_an_interrupted_evaluation_goes_on_where_it_was(cell, tmp_path):
    first, second = Fake(interrupt_after=5), Fake()
    with pytest.raises(KeyboardInterrupt):
        Evaluation(wish(), cell, tmp_path / "e").run(first.play)
    evaluation = Evaluation(wish(), cell, tmp_path / "e")
    evaluation.run(second.play)
    everything = [one.key for one in wish().jobs]
    assert [order.job.key for order in first.played + second.played] == everything
    whole = Fake()
    other = Evaluation(wish(), cell, tmp_path / "f")
    other.run(whole.play)
    assert evaluation.result() == other.result()


def test_a_line_that_was_cut_off_is_played_again_and_others_are_kept(cell, tmp_path):
    folder = tmp_path / "e"
    Evaluation(wish(), cell, folder).run(Fake().play)
    text = (folder / EPISODES).read_text()
    (folder / EPISODES).write_text(text[:-20])
    again = Fake()
    Evaluation(wish(), cell, folder).run(again.play)
    assert [order.job for order in again.played] == wish().jobs[-1:]
    assert len((folder / EPISODES).read_text().splitlines()) == len(wish().jobs)


def test_more_episodes_and_sweeps_are_added_to_what_there_is(cell, tmp_path):
    Evaluation(wish(), cell, tmp_path / "e").run(Fake().play)
    more = Fake()
    sweep = (Setting(), Setting(execute=4))
    evaluation = Evaluation(wish(episodes=4, sweep=sweep), cell, tmp_path / "e")
    evaluation.run(more.play)
    assert len(more.played) == 4 + 4 * 2, "a fourth seed of 2 conditions, and `id` of one setting"
    result = evaluation.result()
    assert [point["setting"]["execute"] for point in result["sweep"]] == [8, 4]
    assert result["sweep"][1]["tasks"]["press"]["id"]["n"] == 4
    assert result["tasks"]["press"]["checks"]["swap"]["n"] == 4


def test_another_question_is_not_mixed_in(cell, tmp_path):
    Evaluation(wish(), cell, tmp_path / "e").run(Fake().play)
    for fields in ({"contestant": impostor("Still")}, {"path": "stack"}):
        with pytest.raises(EvaluationError, match="holds another evaluation"):
            Evaluation(wish(**fields), cell, tmp_path / "e")
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(EvaluationError, match="no evaluation's"):
        Evaluation(wish(), cell, tmp_path)
    with pytest.raises(EvaluationError, match="it is a file"):
        Evaluation(wish(), cell, tmp_path / "thesis.tex")
    (tmp_path / "e" / EPISODES).write_text("{}\n")
    with pytest.raises(EvaluationError, match="delete the line"):
        Ledger(tmp_path / "e", wish().asked(cell))
    for fields in ({"episodes": 0}, {"seed": -1}, {"seed": 2**32}, {"films": -1}):
        with pytest.raises(EvaluationError, match="expected"):
            wish(**fields)


def test_a_question_without_any_answer_may_be_corrected(cell, tmp_path):
    Evaluation(wish(contestant=impostor("Nobody")), cell, tmp_path / "e")
    evaluation = Evaluation(wish(), cell, tmp_path / "e")
    evaluation.run(Fake().play)
    assert evaluation.result()["engine"] == "expert"


def test_another_checkpoint_in_the_same_folder_is_another_question(tmp_path):
    policy = Contestant("labvla", {"checkpoint": str(tmp_path)})
    (tmp_path / "model.safetensors").write_bytes(b"one")
    one = policy.digest
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert len({one, policy.digest, EXPERT.digest}) == 3


def test_a_worker_that_dies_takes_no_other_episode_with_it(cell):
    orders = [Order(job("press", seed=seed)) for seed in (1, 0, 2)]
    file = cell.origin.file
    found = {one.seed: told for one, told in Crew(file, Odd("Deadly"), 1).play(orders)}
    assert found[0]["success"]
    assert found[1]["failure"] == found[2]["failure"] == "crashed"
    assert "died" in found[1]["reason"]
    assert "no engine may raise this" in found[2]["reason"]


def test_an_engine_that_cannot_be_made_ends_it_at_once(cell):
    with pytest.raises(UnfitEngine, match="expected the option name"):
        list(Crew(cell.origin.file, impostor("Nobody"), 1).play([Order(job())]))


def test_episodes_without_an_end_are_played_again(cell, tmp_path):
    lost = wish().jobs[2].key
    first = Evaluation(wish(), cell, tmp_path / "e")
    first.run(lambda orders: (_crash(pair, lost) for pair in Fake().play(orders)))
    assert [told["key"] for told in first.crashes] == [lost]
    again = Fake()
    second = Evaluation(wish(), cell, tmp_path / "e")
    second.run(again.play)
    assert [order.job.key for order in again.played] == [lost]
    assert second.crashes == []


def _crash(pair, lost):
    one, told = pair
    return one, (told | {"success": False, "failure": "crashed"} if one.key == lost else told)


# Two evaluations


def test_two_evaluations_are_compared_episode_by_episode(cell, tmp_path):
    first, second, third, *_ = [one.key for one in wish().jobs]
    stack = Evaluation(wish(path="stack"), cell, tmp_path / "stack")
    stack.run(Fake(failing=[first, second]).play)
    here = Evaluation(wish(), cell, tmp_path / "here", tmp_path / "stack")
    here.run(Fake(failing=[first, third]).play)
    found = here.result()["agreement"]
    assert (found["n"], found["path"]) == (len(wish().jobs), "stack")
    assert (found["neither"], found["both"]) == (1, len(wish().jobs) - 3)
    assert (found["only_here"], found["only_there"]) == ([second], [third])
    assert found["same_failure"] == 1
    assert found["seconds_apart"] == 0.0
    assert "done there alone" in (tmp_path / "here" / "report.html").read_text()


def test_what_cannot_be_compared_is_refused(cell, tmp_path):
    Evaluation(wish(contestant=impostor("Still")), cell, tmp_path / "still").run(Fake().play)
    for folder, said in ((tmp_path / "still", "another engine"), (tmp_path, "evaluation's folder")):
        with pytest.raises(EvaluationError, match=said):
            Evaluation(wish(), cell, tmp_path / "here", folder)
    assert not (tmp_path / "here").exists()


# The report


def test_films_are_of_different_failures_and_inside_the_report(cell, tmp_path):
    bad = [one.key for one in wish().jobs if one.task == "pick"]
    evaluation = Evaluation(wish(films=5), cell, tmp_path / "e")
    evaluation.run(Fake(failing=bad).play)

    def film(orders):
        for order in orders:
            order.film.parent.mkdir(exist_ok=True)
            order.film.write_bytes(b"a film")
            same = order.job.condition.name == "id"
            yield order.job, {"failure": "timeout" if same else None}

    evaluation.film(film)
    result = evaluation.result()
    # The other one went well when it was played again: what was filmed is no failure.
    assert [(f["condition"], f["seed"]) for f in result["films"]] == [("id", 0)]
    html = (tmp_path / "e" / "report.html").read_text()
    assert html.count("data:video/mp4;base64,YSBmaWxt") == 1
    assert "<script" not in html
    assert json.loads((tmp_path / "e" / "result.json").read_text()) == result


def test_the_report_says_what_was_asked_and_never_trusts_its_text(cell, tmp_path):
    evil = Contestant("remote", {"uri": "<b>&"})
    evaluation = Evaluation(wish(contestant=evil), cell, tmp_path / "e")
    evaluation.run(Fake().play)
    html = page(Shown(evaluation.result(), LAB.conditions, tmp_path))
    assert "&lt;b&gt;&amp;" in html
    assert "<b>&" not in html
    assert "3/3" in html
    assert np.isclose(evaluation.result()["average"], 1.0)


def test_jobs_of_an_interrupted_run_know_a_little_about_everything():
    first = jobs(LAB, {Setting(): LAB.conditions}, range(5))[: 2 * len(LAB.conditions)]
    assert {(one.condition.name, one.task) for one in first} == {
        (one.name, task) for one in LAB.conditions for task in LAB.tasks
    }
