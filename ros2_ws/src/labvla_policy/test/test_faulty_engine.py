"""An engine that misbehaves on order: each order does what its name says, and none by accident."""

import signal

import numpy as np
import pytest

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.faulty import MISDEEDS, FaultyEngine
from labvla_policy.engines.host import EngineFault, EngineHost
from labvla_policy.engines.replay import COLUMNS
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Situation
from labvla_policy.runtime.types import NANOSECONDS, Observation

T = 1000 * NANOSECONDS


@pytest.fixture(scope="module")
def cell():
    return load_cell("franka")


@pytest.fixture
def orders(tmp_path):
    return tmp_path / "orders"


@pytest.fixture
def spec(cell, tmp_path, orders):
    motion = tmp_path / "motion.csv"
    rows = [",".join(COLUMNS), "0,0,0,0,0,0,0,0,1", "2,0.2,0,0,0,0,0,0,1", "4,0,0,0,0,0,0,0,1"]
    motion.write_text("\n".join(rows))
    options = {"engine": "replay", "recording": str(motion), "orders": str(orders)}
    return EngineSpec("faulty", cell.origin.file, options)


def observe(cell, stamp=T):
    ready = np.array(cell.arms[0].posture("ready").joints)
    return Observation(stamp, cell.joints, ready, "nod", np.array([0.08]))


@pytest.fixture
def engine(cell, spec):
    engine = FaultyEngine(spec)
    engine.begin(observe(cell))
    return engine


def verdict(cell, engine):
    """What the gate says of the next answer."""
    seen = observe(cell)
    ready = seen.positions
    situation = Situation(T, ready, np.zeros(7), row_time=1 / cell.policy.row_rate)
    found = Gate(cell).check(engine.infer(Question(seen)), situation)
    return found.refusal.reason if found.refusal else "accepted"


def test_without_orders_it_answers_as_the_other_does(cell, engine):
    assert engine.policy == "faulty replay:motion"
    assert verdict(cell, engine) == "accepted"


BAD_ROWS = {
    "nan": "target_not_finite",
    "zeros": "zero_targets",
    "constant": "constant_targets",
    "jump": "first_row_jump",
    "fast": "velocity_limit",
    "beyond": "position_limit",
    "dive": "keep_out",
    "narrow": "target_names",
    "misshapen": "target_shape",
    "stretched": "row_time",
    "ahead": "plan_ahead",
    "past": "no_rows_left",
}
BAD_PROCESS = {
    "raise": "ordered to fail",
    "nonsense": "EngineError",
    "exit": "code 3",
    "crash": f"code {-signal.SIGSEGV}",
    "hang": "no answer within",
}
LATE = ("late", "slow")


def test_no_order_is_left_out():
    assert {*BAD_ROWS, *BAD_PROCESS, *LATE, "repeat", "huge"} == set(MISDEEDS)


@pytest.mark.parametrize(("order", "reason"), BAD_ROWS.items())
def test_the_gate_finds_a_spoiled_answer(cell, engine, orders, order, reason):
    orders.write_text(order)
    assert verdict(cell, engine) == reason


def test_a_repeated_answer_has_the_rows_of_the_one_before(cell, engine, orders):
    first = engine.infer(Question(observe(cell)))
    orders.write_text("repeat")
    again = engine.infer(Question(observe(cell, T + NANOSECONDS)))
    np.testing.assert_array_equal(again.joint_targets, first.joint_targets)
    assert again.plan_start == first.plan_start + NANOSECONDS


@pytest.mark.parametrize("order", LATE)
def test_a_late_answer_is_the_right_one(cell, engine, orders, order, monkeypatch):
    waited = []
    monkeypatch.setattr("labvla_policy.engines.faulty.time.sleep", waited.append)
    orders.write_text(order)
    assert verdict(cell, engine) == "accepted"
    assert sum(waited) > 0


def test_a_huge_answer_has_thousands_of_rows(cell, engine, orders):
    orders.write_text("huge")
    assert engine.infer(Question(observe(cell))).rows == 20_000


def test_an_order_ends_with_its_file(cell, engine, orders):
    orders.write_text("zeros")
    assert verdict(cell, engine) == "zero_targets"
    orders.unlink()
    assert verdict(cell, engine) == "accepted"


def test_unknown_orders_and_missing_files_are_refused(cell, engine, orders, spec):
    orders.write_text("sing")
    with pytest.raises(EngineError, match="expected an order of raise, hang"):
        engine.infer(Question(observe(cell)))
    with pytest.raises(EngineError, match="for tests of the stack"):
        FaultyEngine(EngineSpec("faulty", spec.cell))
    with pytest.raises(EngineError, match="got itself"):
        FaultyEngine(EngineSpec("faulty", spec.cell, {"orders": "x", "engine": "faulty"}))


@pytest.mark.parametrize(("order", "found"), BAD_PROCESS.items())
def test_through_its_own_process_everything_has_a_name(cell, spec, orders, order, found):
    host = EngineHost(spec)
    host.start(60.0)
    try:
        host.begin(observe(cell), 10.0)
        orders.write_text(order)
        with pytest.raises((EngineFault, EngineError)) as raised:
            host.infer(Question(observe(cell)), 1.0 if order == "hang" else 10.0)
        assert found in f"{type(raised.value).__name__}: {raised.value}"
    finally:
        host.stop()
