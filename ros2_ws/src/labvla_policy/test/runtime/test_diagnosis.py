"""A diagnosis says of every part what is wrong with it, in the words of the events."""

import numpy as np
import pytest
from runtime_support import MS, T0

from labvla_policy.runtime import diagnosis
from labvla_policy.runtime.diagnosis import Level, Stream, StreamWatch
from labvla_policy.runtime.event_log import Noted
from labvla_policy.runtime.reasons import REASONS
from labvla_policy.runtime.reference import Mode, Reference
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.scheduling.scheduler import Scheduler, SchedulerSettings
from labvla_policy.runtime.streams.ring import Ring

PERIOD = 33 * MS


def broken(_raw):
    raise Refused(Refusal("image_corrupt", "no end mark"))


class Camera:
    """A stream of 30 Hz and the watch over it."""

    def __init__(self, decode=lambda raw: raw):
        self.ring = Ring(decode, rate=30, capacity=12)
        stream = Stream("camera front", lambda e: e.subject == "front", "camera", 30.0, 150 * MS)
        self.watch = StreamWatch(stream, self.ring)
        self.t = T0

    def frames(self, number, period=PERIOD):
        for _ in range(number):
            self.t += period
            self.ring.push(b"", self.t, self.t)
        return self

    def find(self, events=(), later=0):
        return self.watch.find(self.t + later, events)


def event(source, reason, subject=""):
    return Noted(T0, source, reason, subject, "what came and what to do")


def reason_of(found):
    return found.message.partition(":")[0]


def test_a_stream_that_flows_is_fine():
    found = Camera().frames(12).find()
    assert (found.part, found.level, found.message) == ("camera front", Level.OK, "30.3 Hz")
    assert found.values["received"] == 12


@pytest.mark.parametrize(
    ("camera", "later", "level", "reason"),
    [
        (Camera(), 0, Level.STALE, "camera_missing"),
        (Camera().frames(12), 200 * MS, Level.STALE, "camera_stale"),
    ],
)
def test_silence_has_the_name_that_events_give_it(camera, later, level, reason):
    found = camera.find(later=later)
    assert (found.level, reason_of(found)) == (level, reason)
    assert reason in REASONS


def test_a_slow_stream_is_a_warning_with_both_rates():
    found = Camera().frames(12, 100 * MS).find()
    assert (found.level, found.message) == (Level.WARN, "10.0 Hz, expected 30 Hz")
    assert found.values["lost"] == 22


def test_an_event_about_the_stream_is_an_error_and_one_about_another_is_not():
    camera = Camera().frames(12)
    assert camera.find([event("observation", "camera_frozen", "side")]).level is Level.OK
    found = camera.find([event("observation", "camera_frozen", "front")])
    assert (found.level, reason_of(found)) == (Level.ERROR, "camera_frozen")


def test_refused_frames_are_a_warning_as_long_as_more_come():
    camera = Camera(broken).frames(12)
    with pytest.raises(Refused):
        camera.ring.value(camera.ring.newest)
    found = camera.find()
    assert (found.level, reason_of(found)) == (Level.WARN, "image_corrupt")
    assert found.values["refused: image_corrupt"] == 1
    assert camera.find().level is Level.OK


def test_a_clock_that_jumped_is_told_once():
    camera = Camera().frames(12)
    camera.ring.push(b"", camera.t + 10_000 * MS, camera.t + PERIOD)
    camera.t += 10_000 * MS
    assert reason_of(camera.find()) == "clock_jump"
    assert "clock_jump" not in camera.frames(5).find().message


def test_dropped_frames_are_counted():
    found = Camera().frames(20).find()
    assert found.values["dropped unused"] == 8


@pytest.mark.parametrize(
    ("ready", "fault", "events", "level"),
    [
        (True, "", [], Level.OK),
        (False, "", [], Level.WARN),
        (False, "no checkpoint", [], Level.ERROR),
        (True, "", [event("engine", "engine_hung")], Level.WARN),
        (True, "", [event("gate", "workspace")], Level.OK),
    ],
)
def test_the_engine(ready, fault, events, level):
    found = diagnosis.engine(ready, fault, {}, events)
    assert found.level is level
    if fault:
        assert fault in found.message


@pytest.mark.parametrize(
    ("mode", "level", "reason"),
    [
        (None, Level.STALE, "controller_silent"),
        (Mode.HOLD, Level.OK, "hold"),
        (Mode.TRACKING, Level.OK, "tracking"),
        (Mode.STOPPED, Level.WARN, "stopped"),
        (Mode.PAUSED, Level.WARN, "controller_paused"),
        (Mode.FAULT, Level.ERROR, "controller_fault"),
    ],
)
def test_the_controller(mode, level, reason):
    told = None if mode is None else Reference(T0, np.zeros(7), np.zeros(7), 0, mode)
    found = diagnosis.controller(told, {"stops": 3})
    assert (found.level, reason_of(found)) == (level, reason)
    assert found.values == {"stops": 3}
    assert level is Level.OK or reason in REASONS


def test_answers_that_were_dropped_are_told_by_their_reasons():
    scheduler = Scheduler(SchedulerSettings(), 30.0, 1)
    watch = diagnosis.SchedulingWatch(scheduler)
    assert (watch.find().level, watch.find().message) == (Level.OK, "async")
    scheduler.begin(T0)
    scheduler.sent(T0, T0)
    scheduler.ask(T0 + 5_000 * MS)  # the answer has not come in time
    found = watch.find()
    assert (found.level, reason_of(found)) == (Level.WARN, "reply_timeout")
    assert found.values["dropped: reply_timeout"] == 1
    assert watch.find().level is Level.OK


def test_the_gate_is_seen_by_what_it_refuses():
    sources, counts = ("gate", "arbiter"), {"workspace": 2}
    assert diagnosis.refusals("gate", sources, counts, []).level is Level.OK
    found = diagnosis.refusals("gate", sources, counts, [event("gate", "workspace")])
    assert (found.level, reason_of(found)) == (Level.WARN, "workspace")
    assert found.values == counts


def test_unreadable_messages_are_told_by_topic_as_long_as_more_come():
    watch = diagnosis.TransportWatch()
    assert watch.find({}).level is Level.OK
    found = watch.find({"camera/front": 2})
    assert (found.level, found.message) == (Level.WARN, "message_corrupt: camera/front")
    assert watch.find({"camera/front": 2}).level is Level.OK
