"""Robots as their drivers tell them: stopped in a chosen way, and answering as a test says."""

from labvla_policy.runtime.recovery import franka, ur
from labvla_policy.runtime.recovery.sequence import CELL, cell_steps
from labvla_policy.runtime.recovery.state import Fact, Halt, Snapshot
from labvla_policy.runtime.report import Report


class FakeDriver:
    """Keeps what is asked, and answers it."""

    def __init__(self):
        self.asked, self.reports = [], []
        self.absent = set()  # calls that nobody offers
        self.refusals = {}  # call -> how often it is refused, and why
        self.deaf = set()  # calls that are never answered
        self.idle = set()  # calls that are answered, and change nothing

    def missing(self, call):
        return f"/driver/{call}" if call in self.absent else ""

    def ask(self, call):
        self.asked.append(call)
        ticket = len(self.asked)
        times, why = self.refusals.get(call, (0, ""))
        if times:
            self.refusals[call] = (times - 1, why)
            self.reports.append(Report(ticket, "failed", why))
            return ticket
        if call not in self.idle:
            self.do(call)
        if call not in self.deaf:
            self.reports += [Report(ticket, "accepted"), Report(ticket, "succeeded")]
        return ticket

    def poll(self):
        reports, self.reports = self.reports, []
        return reports


class FakeFranka(FakeDriver):
    """An FR3 whose driver lost it."""

    def __init__(self, mode=4):
        super().__init__()
        self.mode, self.hardware, self.cleared = mode, "unconfigured", False
        self.silent = False

    def snapshot(self):
        if self.silent:  # the manager answers nobody
            return franka.snapshot(None, None)
        # Its broadcaster runs on the hardware: without that nobody tells the mode.
        return franka.snapshot(self.mode if self.hardware == "active" else None, self.hardware)

    def do(self, call):
        if call == "error_recovery":
            self.cleared, self.mode = True, 1
        elif self.cleared:
            self.hardware = "active"


class FakeUr(FakeDriver):
    """A UR in a protective stop: its program is paused, and would go on."""

    def __init__(self, mode=7, safety=3, program=True):
        super().__init__()
        self.mode, self.safety, self.program = mode, safety, program

    def snapshot(self):
        return ur.snapshot(self.mode, self.safety, self.program)

    def do(self, call):
        if call == "stop_program":
            self.program = False
        elif call == "unlock":
            self.safety = 1
        elif call == "set_mode":
            # As the driver does it: it ends protective stops and faults by itself.
            self.safety, self.mode = 1, 7
        elif call in ("play", "resend_program"):
            self.program = True


class FakeCell(FakeDriver):
    """The controllers, and the stack's own stop."""

    def __init__(self):
        super().__init__()
        self.active, self.stopped = False, True

    def snapshot(self):
        if self.active:
            return Snapshot(None, "active", frozenset({Fact.CONTROLLERS_ACTIVE}))
        return Snapshot(Halt.IDLE, "inactive")

    def do(self, call):
        if call == "reset_stop":
            self.stopped = False
        else:
            self.active = True


def franka_cell(*arms):
    ports = {CELL: FakeCell(), **{f"arm{n}": arm for n, arm in enumerate(arms)}}
    return ports, {name: franka.steps(name) for name in ports if name != CELL} | END


def ur_pair(left, right):
    ports = {CELL: FakeCell(), "left": left, "right": right}
    return ports, {name: ur.steps(name, "pendant") for name in ("left", "right")} | END


def ur_cell(arm, program="pendant"):
    return {CELL: FakeCell(), "arm": arm}, {"arm": ur.steps("arm", program)} | END


END = {CELL: cell_steps(("labvla_controller",))}
