"""A gripper driver as they are: slow, one goal at a time, and sometimes not answering."""

from collections import deque
from dataclasses import dataclass, field

from labvla_policy.runtime.report import Report

LATENCY = 0.05  # s until a goal is accepted, or a cancellation noticed
TELLS = 1 / 15  # s between two states of the fingers


@dataclass
class _Task:
    ticket: int
    goal: object
    accepted_at: float
    accepted: bool = False
    canceled_at: float | None = None


@dataclass
class FakeHand:
    """Fingers, an object between them perhaps, and a driver with the faults that a test sets."""

    stroke: float = 0.08
    speed: float = 0.1
    opening: float = 0.08
    thing: float | None = None  # m, width of what stands between the fingers
    present: bool = True
    refuses: int = 0  # goals to reject
    fails: int = 0  # goals to abort at once
    silent: bool = False  # takes goals without a word
    loses_results: bool = False
    stuck: bool = False  # the fingers do not move, and no result comes
    deaf: bool = False  # cancellations change nothing
    stall_fails: bool = False  # calls a stall on an object a failure
    goals: list = field(default_factory=list)
    canceled: list = field(default_factory=list)
    interruptions: int = 0

    def __post_init__(self):
        self.now = 0.0
        self._queue = deque()
        self._reports = []
        self._tickets = 0

    # the port

    def ready(self):
        return self.present

    def send(self, goal):
        self._tickets += 1
        self.goals.append(goal)
        if not self.silent:
            self._queue.append(_Task(self._tickets, goal, self.now + LATENCY))
        return self._tickets

    def cancel(self, ticket):
        self.canceled.append(ticket)
        for task in self._queue:
            if task.ticket == ticket and not self.deaf:
                task.canceled_at = self.now + LATENCY

    def interrupt(self):
        self.interruptions += 1
        if self._queue:
            self._report(self._queue.popleft(), "failed", "interrupted")

    def poll(self):
        reports, self._reports = self._reports, []
        return reports

    # time

    def advance(self, dt):
        self.now += dt
        for task in list(self._queue):
            if not task.accepted and self.now >= task.accepted_at:
                self._accept(task)
        if self._queue and self._queue[0].accepted:
            self._work(self._queue[0], dt)

    def _accept(self, task):
        if self.refuses:
            self.refuses -= 1
            self._queue.remove(task)
            self._report(task, "rejected")
            return
        task.accepted = True
        self._report(task, "accepted")

    def _work(self, task, dt):
        if self.fails:
            self.fails -= 1
            self._end(task, "failed", "no communication with the hand")
        elif task.canceled_at is not None and self.now >= task.canceled_at:
            self._end(task, "canceled")
        elif not self.stuck:
            self._move(task, dt)

    def _move(self, task, dt):
        goal, step = task.goal, self.speed * dt
        opens = goal.opening > self.opening
        self.opening += step if opens else -step
        stalled = not opens and self.thing is not None and self.opening <= self.thing
        if stalled:
            self.opening = self.thing
        elif abs(self.opening - goal.opening) <= step:
            self.opening = goal.opening
        else:
            return
        if not self.loses_results:
            self._end(task, "failed" if stalled and self.stall_fails else "succeeded")

    def _end(self, task, what, detail=""):
        self._queue.popleft()
        self._report(task, what, detail)

    def _report(self, task, what, detail=""):
        self._reports.append(Report(task.ticket, what, detail))
