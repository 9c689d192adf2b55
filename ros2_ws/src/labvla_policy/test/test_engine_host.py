"""An engine in a process of its own: nothing that happens to it harms the caller."""

import os
import signal
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.host import EngineFault, EngineHost
from labvla_policy.engines.replay import COLUMNS
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.engines.wire import send_prediction, send_question, to_prediction, to_question
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import CameraStamp, Observation, Prediction, Prefix

LOAD, ANSWER = 60.0, 10.0
PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


@pytest.fixture(scope="module")
def cell():
    return load_cell("franka")


@pytest.fixture
def spec(cell, tmp_path):
    motion = tmp_path / "motion.csv"
    rows = [",".join(COLUMNS), "0,0,0,0,0,0,0,0,1", "2,0,0.4,0,0,0,0,0,0.5", "4,0,0,0,0,0,0,0,1"]
    motion.write_text("\n".join(rows))
    return EngineSpec("replay", cell.origin.file, {"recording": str(motion)})


@pytest.fixture
def host(spec):
    host = EngineHost(spec)
    host.start(LOAD)
    yield host
    host.stop()


def observe(cell, seconds=1.0):
    return Observation(
        stamp=round(seconds * 1e9),
        joint_names=cell.joints,
        positions=np.linspace(-1, 1, 7),
        instruction="nod, 试管",
        grippers=np.array([0.04]),
        state=np.arange(8.0),
        images=(PICTURE, None, PICTURE[:2, :2]),
        camera_stamps=(CameraStamp("front", 3), CameraStamp("wrist", 4)),
        skew=1,
        age=2,
        reference=np.ones(7),
    )


def ask(cell, seconds=1.0):
    return Question(observe(cell, seconds))


def test_answers_are_those_of_the_engine(host, cell):
    assert host.policy == "replay:motion"
    host.begin(observe(cell), ANSWER)
    prediction = host.infer(ask(cell, 1.5), ANSWER)
    assert prediction.joint_targets.shape == (50, 7)
    assert prediction.joint_names == cell.joints
    assert prediction.plan_start == round((1.5 + 1 / 30) * 1e9)


PREFIX = Prefix(
    start=7,
    dt=0.1,
    joint_names=("elbow", "wrist"),
    joint_targets=np.arange(6.0).reshape(3, 2),
    gripper_names=("hand",),
    gripper_targets=np.full((3, 1), 0.02),
    frozen=2,
)


@pytest.mark.parametrize("prefix", [None, PREFIX])
def test_questions_arrive_as_they_were(cell, prefix):
    sent = Question(observe(cell), prefix)
    wire = Loop()
    send_question(wire, "infer", sent)
    received = to_question(wire.message)
    assert (received.prefix is None) == (prefix is None)
    if prefix is not None:
        for field in fields(Prefix):
            before, after = getattr(prefix, field.name), getattr(received.prefix, field.name)
            assert np.array_equal(before, after), field.name
    for field in fields(Observation):
        before = getattr(sent.observation, field.name)
        after = getattr(received.observation, field.name)
        if field.name == "images":
            assert [image is None for image in after] == [False, True, False]
            for image, other in zip(before, after, strict=True):
                assert image is None or np.array_equal(image, other)
        else:
            assert np.array_equal(before, after), field.name


class Loop:
    """A wire that keeps what is sent, as the other end would see it."""

    def send(self, message, arrays):
        self.message = {**message, "arrays": {name: np.array(a) for name, a in arrays.items()}}


def test_predictions_arrive_as_they_were(cell):
    sent = Prediction(
        plan_start=5,
        dt=0.1,
        joint_names=PREFIX.joint_names,
        joint_targets=PREFIX.joint_targets,
        gripper_names=PREFIX.gripper_names,
        gripper_targets=PREFIX.gripper_targets,
        prefix_rows=2,
    )
    wire = Loop()
    send_prediction(wire, sent)
    received = to_prediction(wire.message)
    for field in fields(Prediction):
        before, after = getattr(sent, field.name), getattr(received, field.name)
        assert np.array_equal(before, after), field.name


@pytest.mark.parametrize(
    ("number", "timeout", "reason"),
    [(signal.SIGKILL, ANSWER, "engine_gone"), (signal.SIGSTOP, 0.3, "engine_hung")],
)
def test_a_dead_or_stuck_engine_is_a_fault_and_can_be_started_again(
    host, cell, number, timeout, reason
):
    host.begin(observe(cell), ANSWER)
    os.kill(host.pid, number)
    time.sleep(0.2)  # long enough for the connection to break before the next question
    with pytest.raises(EngineFault) as fault:
        host.infer(ask(cell, 2.0), timeout)
    assert fault.value.reason == reason
    with pytest.raises(EngineFault):
        host.infer(ask(cell, 2.5), ANSWER)
    host.start(LOAD)
    host.begin(observe(cell, 3.0), ANSWER)
    assert host.infer(ask(cell, 3.0), ANSWER).rows == 50


def test_an_engine_that_refuses_lives_on(host, cell):
    with pytest.raises(EngineError, match="before begin"):
        host.infer(ask(cell), ANSWER)
    host.begin(observe(cell), ANSWER)
    assert host.infer(ask(cell), ANSWER).rows == 50


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("magic", {}, "expected one of"),
        ("replay", {}, "expected the option recording"),
        ("replay", {"recording": "/absent.csv"}, "cannot be read"),
    ],
)
def test_an_engine_that_cannot_be_made_says_why(cell, kind, options, complaint):
    host = EngineHost(EngineSpec(kind, cell.origin.file, options))
    with pytest.raises(EngineError, match=complaint):
        host.start(LOAD)
    host.stop()


def test_nothing_is_left_behind(spec, cell):
    before = set(Path("/dev/shm").iterdir())
    host = EngineHost(spec)
    host.start(LOAD)
    pid = host.pid
    host.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert {path for path in Path("/dev/shm").iterdir() if "labvla" in path.name} <= before
