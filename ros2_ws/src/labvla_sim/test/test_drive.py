"""A course of targets is driven by the controller core, and what became of it is told."""

import numpy as np
import pytest

from labvla_sim.closed_loop.replay import Course, Setting, drive
from labvla_sim.tasks import sample_episode

DT = 1 / 30


def course_of(cell, seconds=2.0, reach=0.15):
    """All joints swing out and back, the gripper closes half-way."""
    start = np.array(sample_episode(cell, "press", 1).joints)
    phase = np.linspace(0, 2 * np.pi, round(seconds / DT) + 1)
    positions = start + reach * (1 - np.cos(phase))[:, None] / 2
    openings = np.where(phase < np.pi, 0.08, 0.04)[:, None]
    return Course(DT, positions, openings, start, np.array([0.08]))


def test_arms_follow_the_course_at_its_times(cell):
    course = course_of(cell)
    done = drive(cell, course)
    wanted = np.array(
        [np.interp(done.times, np.arange(len(q)) * DT, q) for q in course.positions.T]
    ).T
    inside = (done.times >= 0) & (done.times <= course.seconds)
    assert np.abs(done.positions - wanted)[inside].max() < 0.02
    assert done.openings[0, 0] == pytest.approx(0.08, abs=1e-3)
    assert done.openings[-1, 0] == pytest.approx(0.04, abs=2e-3)
    assert (done.refused, done.stops, done.verdict) == ({}, {}, None)


def test_a_course_that_no_controller_takes_is_told(cell):
    course = course_of(cell)
    far = Course(DT, course.positions + 0.5, course.openings, course.start_positions, [0.08])
    done = drive(cell, far)
    assert done.refused["first_row_far"] > 0
    assert np.ptp(done.positions, axis=0).max() < 0.01


def test_a_judge_looks_where_there_is_a_task(cell):
    done = drive(cell, course_of(cell), Setting(sample_episode(cell, "press", 1)))
    assert done.verdict is not None
    assert not done.verdict.success
    assert done.verdict.reason


def test_progress_comes_to_the_end(cell):
    told = []
    drive(cell, course_of(cell, 0.6), progress=lambda *both: told.append(both))
    assert told[-1][0] == told[-1][1]
    assert len(told) > 3
