"""Episodes in simulated time: the same on every machine, with the timing that was asked for."""

from dataclasses import replace

import numpy as np
import pytest

from labvla_policy.engines.base import EngineError
from labvla_policy.runtime.scheduling.scheduler import SchedulerSettings
from labvla_policy.runtime.types import NANOSECONDS, Prediction
from labvla_sim.closed_loop import (
    Constant,
    EpisodeRunner,
    Lognormal,
    Measured,
    MotionRecorder,
    RunnerSettings,
    truth_of,
)
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.tasks import Trial, sample_episode
from labvla_sim.tasks.disturbance import sample_target_move

MS = NANOSECONDS // 1000


class Wave:
    """Answers small motions about where the arm is, and remembers what it was asked."""

    def __init__(self, cell):
        self._cell = cell
        self.begun = []
        self.asked = []

    def begin(self, observation):
        self.begun.append(observation)

    def infer(self, question):
        observation = question.observation
        self.asked.append(observation)
        offsets = 0.05 * np.sin(np.arange(50) / 8)[:, None]
        return Prediction(
            plan_start=observation.stamp + round(NANOSECONDS / 30),
            dt=1 / 30,
            joint_names=self._cell.joints,
            joint_targets=observation.positions + offsets,
            gripper_names=("arm_gripper",),
            gripper_targets=np.full((50, 1), 0.04),
        )


class CountingRenderer:
    """Draws nothing but what is needed to tell pictures apart, and counts."""

    def __init__(self, cell):
        self._cameras = [camera.name for camera in cell.cameras]
        self._random = np.random.default_rng(0)
        self.drawn = 0

    def render(self, snapshot):
        self.drawn += 1
        return {
            name: self._random.integers(0, 255, (224, 224, 3), dtype=np.uint8)
            for name in self._cameras
        }


def beginning(runner, seconds, recorder=None):
    """Run the beginning of an episode."""
    episode = sample_episode(runner.trial.sim.cell, "press", 4)
    return runner.run(episode, recorder=recorder, limit=seconds)


@pytest.fixture
def expert(trial, cell):
    return TruthEngine(cell, lambda: truth_of(trial))


def test_the_same_seed_gives_the_same_motion_bit_for_bit(trial, cell, expert):
    settings = RunnerSettings(latency=Lognormal(0.12, 0.4))
    episode = sample_episode(cell, "press", 4)
    move = sample_target_move(cell, episode)
    recorders = [MotionRecorder(), MotionRecorder()]
    first, again = (
        EpisodeRunner(trial, expert, settings).run(episode, move=move, recorder=recorder)
        for recorder in recorders
    )
    assert first == again
    np.testing.assert_array_equal(recorders[0].positions, recorders[1].positions)
    assert len(recorders[0].handovers) == first.chunks


@pytest.mark.parametrize("mode", ["sync", "async", "ensemble"])
@pytest.mark.parametrize("task", ["pick", "press"])
def test_the_expert_does_its_task_through_the_runtime_although_the_target_moves(
    trial, cell, expert, task, mode
):
    settings = RunnerSettings(SchedulerSettings(mode=mode, execute_rows=8), latency=Constant(0.1))
    episode = sample_episode(cell, task, 6)
    recorder = MotionRecorder()
    result = EpisodeRunner(trial, expert, settings).run(
        episode, move=sample_target_move(cell, episode), recorder=recorder
    )
    assert result.success, result
    limits = cell.arms[0].operating_limits
    assert (np.abs(recorder.velocities) <= np.array(limits.velocity) * (1 + 1e-9)).all()
    assert (np.abs(recorder.accelerations) <= np.array(limits.acceleration) * (1 + 1e-9)).all()
    jerk = np.abs(np.diff(recorder.accelerations, axis=0)) / 1e-3
    assert (jerk <= np.array(limits.jerk) * (1 + 1e-6)).all()


@pytest.mark.parametrize("latency", [0.0, 0.1, 0.3])
def test_answers_come_as_late_as_they_are_told_to(trial, cell, latency):
    wave, recorder = Wave(cell), MotionRecorder()
    settings = RunnerSettings(latency=Constant(latency))
    beginning(EpisodeRunner(trial, wave, settings), 3.0, recorder)
    assert len(recorder.handovers) >= 6
    stamps = [observation.stamp for observation in wave.asked]
    for handover, stamp in zip(recorder.handovers, stamps, strict=False):
        # A joint state is a millisecond old when it is looked at.
        assert handover.t - stamp == pytest.approx(latency * NANOSECONDS + MS, abs=MS)


def test_without_a_renderer_the_pictures_are_masked(trial, cell):
    wave = Wave(cell)
    beginning(EpisodeRunner(trial, wave), 1.0)
    assert wave.asked
    assert all(observation.image_mask == (False, False, False) for observation in wave.asked)


def test_only_pictures_that_are_looked_at_are_drawn(trial, cell):
    wave, renderer = Wave(cell), CountingRenderer(cell)
    settings = RunnerSettings(latency=Constant(0.1))
    beginning(EpisodeRunner(trial, wave, settings, renderer), 3.0)
    # The first one shows the scene before the policy had the motion: nobody is asked about it.
    assert renderer.drawn == len(wave.asked) + 1
    for observation in wave.asked:
        assert observation.image_mask == (True, True, True)
        assert observation.skew <= MS
        assert observation.age <= 2 * MS


def test_real_pictures_show_what_happens(cell):
    cameras = tuple(replace(camera, width=64, height=48) for camera in cell.cameras)
    small = replace(cell, cameras=cameras)
    wave, renderer = Wave(small), CellRenderer(small)
    settings = RunnerSettings(latency=Constant(0.3))
    beginning(EpisodeRunner(Trial(SimCell(small)), wave, settings, renderer), 1.5)
    renderer.close()
    first, last = wave.asked[0].images, wave.asked[-1].images
    assert first[0].shape == (48, 64, 3)
    assert all((one != other).any() for one, other in zip(first, last, strict=True))


def test_what_the_engine_cannot_answer_is_counted_and_asked_again(trial, cell):
    class Moody(Wave):
        def infer(self, question):
            prediction = super().infer(question)
            if len(self.asked) % 2:
                raise EngineError("not now")
            return prediction

    moody, recorder = Moody(cell), MotionRecorder()
    result = beginning(EpisodeRunner(trial, moody), 3.0, recorder)
    failed, answered = len(moody.asked) - len(recorder.handovers), len(recorder.handovers)
    assert failed >= 3
    assert answered == len(moody.asked) // 2
    assert result.refused == {"engine: engine_error": failed}
    assert len(moody.begun) == 1 + len(moody.asked) // 2, "at first, and after each failure"


def test_an_engine_that_is_too_slow_is_given_up(trial, cell):
    wave, recorder = Wave(cell), MotionRecorder()
    runner = EpisodeRunner(trial, wave, RunnerSettings(latency=Constant(2.5)))
    result = beginning(runner, 5.0, recorder)
    assert result.refused == {"engine: engine_hung": 3}
    assert not recorder.handovers
    assert len(wave.asked) == len(wave.begun) == 3


def test_latency_models():
    random = np.random.default_rng(0)
    assert Constant(0.2).seconds(5.0, random) == 0.2
    assert Measured(2.0).seconds(0.1, random) == pytest.approx(0.2)
    drawn = [Lognormal(0.1, 0.2).seconds(0.0, random) for _ in range(2000)]
    assert np.median(drawn) == pytest.approx(0.1, rel=0.03)
    assert np.quantile(drawn, 0.99) == pytest.approx(0.1 * np.exp(0.2 * 2.326), rel=0.1)
    for wrong in (lambda: Constant(-0.1), lambda: Lognormal(np.nan, 0.1), lambda: Measured(-1)):
        with pytest.raises(ValueError, match="expected"):
            wrong()
