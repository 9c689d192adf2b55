"""A recorder without ROS: a test sends messages and decides what is lost on the way."""

import threading
from pathlib import Path

from bag_support import BEGIN, IMAGES, SECOND, STATES, connection, picture, state

from labvla_data.recording.audit import Audit
from labvla_data.recording.clocks import MachineClock
from labvla_data.recording.intake import Item
from labvla_data.recording.recorder import Recorder, RecorderSettings
from labvla_data.recording.sidecar import Circumstances, Wish
from labvla_data.recording.streams import Stream

STREAMS = (
    Stream("/camera", IMAGES, 10.0, required=True, large=True),
    Stream("/states", STATES, 100.0, required=True),
    Stream("/events", STATES),
)
WISH = Wish("pick up the beaker", "ada", "a note", ("one", "two"))
TIMEOUT = 60.0  # s; machines are shared


class Rig:
    """Sends messages on a clock of its own."""

    def __init__(
        self, folder, *, memory=50_000_000, preroll=0.0, side=16, clock=None, slower=1, **more
    ):
        """Record into a folder; the machine may be so many times slower than the cell's time."""
        self.time = BEGIN
        self.clock = clock or MachineClock(lambda: self.time)
        self._slower = slower
        self.side = side
        self.incidents = []
        self.silent = []
        self.circumstances = Circumstances(cell="bench", cell_hash="abc", policy="expert")
        self.sent = {stream.topic: [] for stream in STREAMS}
        self._numbers = dict.fromkeys(range(len(STREAMS)), 0)
        self._audits = [Audit(stream.rate) for stream in STREAMS]
        settings = RecorderSettings(
            directory=Path(folder), memory=memory, preroll=preroll, disk_floor=1_000_000
        )
        self.recorder = Recorder(
            STREAMS,
            settings,
            connections=lambda number: connection(STREAMS[number].topic, STREAMS[number].kind),
            circumstances=lambda: self.circumstances,
            silent=lambda: self.silent,
            drain=lambda: None,
            tell=self.incidents.append,
            clock=self.clock,
            **more,
        )

    def start(self, wish=WISH):
        return self.recorder.start(wish).result(TIMEOUT)

    def finish(self, outcome="success", notes=""):
        return self.recorder.finish(outcome, notes).result(TIMEOUT)

    def send(self, stream, *, sent=True, arrives=True):
        """Send a message now, or not, or lose it on the way."""
        number = self._numbers[stream]
        self._numbers[stream] += sent
        if not (sent and arrives):
            return
        kind, rate = STREAMS[stream].kind, STREAMS[stream].rate
        make = picture if kind == IMAGES else state
        data = (
            picture(self.time, number, self.side) if make is picture else state(self.time, number)
        )
        stamp = self.time if rate else None
        received = BEGIN + (self.time - BEGIN) * self._slower
        before = self._audits[stream].arrived(received, stamp, "sender", number)
        arrival = self.clock.date(received, stamp)
        item = Item(stream, data, arrival, self.time - 1000, number, stamp, before)
        self.sent[STREAMS[stream].topic].append((self.time, data))
        self.recorder.push([item])

    def run(self, seconds, lose=lambda stream, number: {}):
        """Send all streams at their rates; `lose` says what becomes of a message."""
        for step in range(round(seconds * 100)):
            self.send(1, **lose(1, step))
            if step % 10 == 0:
                self.send(0, **lose(0, step // 10))
            self.time += SECOND // 100


class Gate:
    """Holds up whoever calls it until it is opened."""

    def __init__(self, function):
        self._function = function
        self._open = threading.Event()
        self.reached = threading.Event()

    def __call__(self, *arguments):
        self.reached.set()
        assert self._open.wait(TIMEOUT)
        return self._function(*arguments)

    def open(self):
        self._open.set()
