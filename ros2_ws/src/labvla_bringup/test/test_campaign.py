"""The campaign: its catalogue is complete and documented, its judgement fails where it must."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from labvla_bringup.campaign import report, stack
from labvla_bringup.campaign.campaign import Outcome, schedule
from labvla_bringup.campaign.catalogue import ANSWER, FAULTS, as_markdown
from labvla_bringup.campaign.causes import Ordered, Passing, Spoiled
from labvla_bringup.campaign.run import Result, Violation, violations_of
from labvla_bringup.campaign.stops import Measured, Stop
from labvla_bringup.engines import ENGINES
from labvla_bringup.stack import describe
from labvla_control import Refusal, StopReason
from labvla_data.recording.incidents import MEANINGS
from labvla_policy.engines.faulty import MISDEEDS
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.reasons import REASONS
from labvla_sim.plant.faults import CAMERA_FAULTS, JOINT_FAULTS

DOCS = Path(__file__).resolve().parents[4] / "docs"


def test_every_fault_has_a_name_of_its_own():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)


def test_every_reason_that_is_expected_exists():
    of_controller = {reason.name.lower() for kind in (Refusal, StopReason) for reason in kind}
    known = {*REASONS, *MEANINGS, *of_controller, ANSWER}
    for fault in FAULTS:
        assert {*fault.named} <= known, fault.name


def test_whatever_the_simulation_and_the_engine_can_spoil_is_in_the_catalogue():
    causes = [fault.cause for fault in FAULTS]
    spoiled = {(c.target, c.kind) for c in causes if isinstance(c, Spoiled)}
    assert {kind for target, kind in spoiled if target == "joint_states"} == {*JOINT_FAULTS}
    assert {kind for target, kind in spoiled if target != "joint_states"} == {*CAMERA_FAULTS}
    assert {c.order for c in causes if isinstance(c, Ordered)} == {*MISDEEDS}
    assert {c.kind for c in causes if isinstance(c, Passing)} == {"jump", "pause", "push", "block"}


def test_what_nothing_names_is_harmless_or_an_accepted_finding():
    for fault in FAULTS:
        if not fault.named:
            assert not fault.stands, fault.name
        if fault.accepted:
            assert not fault.named, fault.name


def test_the_manual_has_the_table():
    assert as_markdown() in (DOCS / "operations.md").read_text(encoding="utf-8")


def test_a_schedule_is_seeded_and_leaves_nothing_out():
    planned = schedule(FAULTS, 2 * len(FAULTS) + 3, seed=5)
    assert planned == schedule(FAULTS, 2 * len(FAULTS) + 3, seed=5)
    assert planned != schedule(FAULTS, 2 * len(FAULTS) + 3, seed=6)
    times = [sum(fault is planned_fault for planned_fault, _ in planned) for fault in FAULTS]
    assert set(times) <= {2, 3}
    seeds = [seed for _, seed in planned]
    assert len(set(seeds)) == len(seeds)


def test_the_faulty_engine_is_in_no_stack_but_the_campaigns(tmp_path):
    assert "faulty" not in ENGINES
    plain = describe(load_cell("franka"))
    spoiled = stack.with_faulty_engine(plain, tmp_path / "orders")
    policy = next(p for p in spoiled.processes if p.name == "policy")
    assert policy.parameters["engine"] == "faulty"
    assert '"engine": "expert"' in policy.parameters["engine_options"]
    others = [p for p in spoiled.processes if p.name != "policy"]
    assert others == [p for p in plain.processes if p.name != "policy"]


BROKEN = Violation("reference_jerk", "fr3_joint1", 130.0, 100.0, 1.5, 3)
GOOD = Result("camera_gone", 7, 0.3, ["camera_stale"], 0.4, [], {"reference_jerk": BROKEN})


def test_a_result_is_good_only_if_everything_held():
    assert GOOD.good
    assert not replace(GOOD, violations=[BROKEN]).good
    assert not replace(GOOD, failures=["the arm fell off"]).good


def test_an_outcome_is_good_only_if_nothing_was_left():
    assert Outcome([GOOD]).good
    assert not Outcome([GOOD, replace(GOOD, violations=[BROKEN])]).good
    assert not Outcome([GOOD], left=["process 1: sleep"]).good
    assert not Outcome([GOOD], exit_code=1).good


def test_the_monitors_violations_are_those_of_the_result():
    kept = SimpleNamespace(
        name="tool_speed", joint="arm", value=0.5, limit=1.0, time=2.0, violations=0
    )
    broken = SimpleNamespace(**{**vars(kept), "value": 1.5, "violations": 4})
    assert violations_of([kept, broken]) == [Violation("tool_speed", "arm", 1.5, 1.0, 2.0, 4)]


def test_the_report_says_what_was_broken():
    outcome = Outcome([GOOD, replace(GOOD, violations=[BROKEN], failures=["no motion"])])
    line = report.line(outcome.results[1])
    assert "BROKEN: reference_jerk fr3_joint1 130 against 100 at 1.500 s; no motion" in line
    assert list(report.claims(outcome).values()) == [False, False, True, True]
    data = report.as_data(outcome, "franka", 7)
    assert (data["ok"], [row["good"] for row in data["rows"]]) == (False, [True, False])
    faults, invariants, claims = report.tables(outcome)
    assert faults[2] == [["camera_gone", "1/2", "0.400 s", "camera_stale"]]
    assert invariants[2] == [["reference_jerk", "130", "100", "fr3_joint1", "3"]]
    assert [row[1] for row in claims[2]] == ["NO", "NO", "yes", "yes"]


@pytest.mark.parametrize(
    ("slowing", "standing", "violations", "good"),
    [
        (0.010, 0.5, (), True),
        (0.031, 0.5, (), False),
        (0.010, 0.81, (), False),
        (0.010, 0.5, (BROKEN,), False),
    ],
)
def test_stops_are_judged_by_their_slowest(slowing, standing, violations, good):
    stops = tuple(Stop(0.001, 0.1) for _ in range(98))
    slow = (Stop(slowing, standing),) * 2
    assert Measured(stops + slow, 1, violations, 2).good is good


def test_wrong_use(labvla):
    unknown = labvla("campaign", "--only", "meteor")
    assert unknown.returncode == 2
    assert "--list" in unknown.stderr
    assert labvla("campaign", "--runs", "0").returncode == 2
    assert labvla("campaign", "--smoke", "--runs", "3").returncode == 2
    code, listed = labvla.json("campaign", "--list", "--only", "cameras_swapped")
    assert code == 0
    assert listed["faults"][0]["named"] == []
    assert listed["faults"][0]["accepted"]


def assert_held(found):
    broken = [row for row in found["rows"] if not row["good"]]
    assert broken == []
    assert found["claims"] == dict.fromkeys(found["claims"], True)
    assert found["ok"] is True


FEW = (
    "cameras_rewired",
    "joints_frozen",
    "engine_zeros",
    "clock_back",
    "policy_killed",
    "stop_at_controller",
    "plant_paused",
)


@pytest.mark.timeout(400)
def test_a_few_faults_over_the_real_stack(labvla):
    code, found = labvla.json("campaign", *(word for name in FEW for word in ("--only", name)))
    assert_held(found)
    assert code == 0
    assert {row["fault"] for row in found["rows"]} == {*FEW}
    assert found["invariants"]["reference_velocity"]["value"] != 0
    killed = next(row for row in found["rows"] if row["fault"] == "policy_killed")
    assert 0 <= killed["standing"] <= 0.8


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_fault_over_the_real_stack(labvla):
    code, found = labvla.json("campaign", "--smoke")
    assert_held(found)
    assert code == 0
    assert {row["fault"] for row in found["rows"]} == {fault.name for fault in FAULTS}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_stops_are_timed_over_the_real_stack(labvla):
    _, found = labvla.json("campaign", "--stops", "5")
    assert found["n"] == 5
    assert all(0 < row["slowing"] < row["standing"] + 1.0 for row in found["rows"])
    assert found["violations"] == []
