"""In lock-step an episode is the same on a slow machine as on a fast one, to the last bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from labvla_bringup import registry
from labvla_bringup.action_call import follow
from labvla_bringup.graph import Graph
from labvla_msgs.action import MoveTo
from labvla_msgs.msg import ActionChunk, ControllerState, SafetyEvent
from labvla_msgs.srv import JudgeScene, ResetScene, SetInstruction
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns

PATIENCE = 150.0  # s
SLOW = 1.0  # s for an answer


class Episode(NamedTuple):
    """What happened, by simulated time since the beginning."""

    motion: dict
    plans: list
    events: list
    seconds: float  # of the machine's clock


class Stack:
    """A running stack in lock-step, and a window on it."""

    def __init__(self, child, log):
        self.child = child
        deadline = time.monotonic() + PATIENCE
        while not ((record := registry.current()) is not None and record.state == "up"):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)
        self.graph = Graph()
        self.states, self.chunks, self.events = [], [], []
        for kind, topic, found in (
            (ControllerState, "labvla_controller/state", self.states),
            (ActionChunk, "labvla/action_chunk", self.chunks),
            (SafetyEvent, "labvla/events", self.events),
        ):
            self.graph.node.create_subscription(kind, topic, found.append, qos.RELIABLE)
        self.until(lambda: self.states)  # from now on the observer misses none

    def until(self, condition):
        assert self.graph.spin_until(condition, PATIENCE), "waited in vain"

    def put_up(self, task, seed):
        """Put up a scene whose time stands until somebody has work; return its wording."""
        answers = []

        def reset():
            request = ResetScene.Request(task=task, seed=seed, hold=True)
            answers.append(self.graph.call(ResetScene, "sim/reset", request))
            return answers[-1].accepted

        self.until(reset)
        self.graph.spin_for(0.5)
        for heard in (self.states, self.chunks, self.events):
            heard.clear()
        return answers[-1].instruction

    def verdict(self):
        return self.graph.call(JudgeScene, "sim/judge", JudgeScene.Request())

    def say(self, text):
        request = SetInstruction.Request(instruction=text)
        answer = self.graph.call(SetInstruction, "labvla/set_instruction", request)
        return answer.accepted

    def close(self):
        self.graph.__exit__(None, None, None)
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=60)


def start(folder, seconds):
    script = Path(__file__).with_name("slow_stack.py")
    folder.mkdir()
    log = folder / "stack.log"
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, str(script), str(seconds), str(folder)],
            cwd=folder,
            env=os.environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Stack(child, log)


def episode(stack):
    """Pick the beaker up."""
    wording = stack.put_up("pick", 3)
    held = stack.verdict().elapsed
    stack.graph.spin_for(0.5)
    assert stack.verdict().elapsed == held, "time did not stand before the instruction"
    begin = time.monotonic()
    stack.until(lambda: stack.say(wording))
    stack.until(lambda: stack.verdict().success)
    verdict, events = stack.verdict(), [event.reason for event in stack.events]
    stack.say("")
    first = to_ns(stack.states[0].stamp)
    end = first + round((verdict.elapsed - 0.5) * 1e9)
    motion = {
        to_ns(s.stamp) - first: (tuple(s.reference_positions), tuple(s.measured_positions))
        for s in stack.states
        if to_ns(s.stamp) <= end
    }
    plans = [
        (to_ns(c.observation_stamp) - first, to_ns(c.plan_start) - first, tuple(c.joint_targets))
        for c in stack.chunks
        if to_ns(c.observation_stamp) <= end
    ]
    return Episode(motion, plans, events, time.monotonic() - begin)


def until(end, motion):
    return {t: state for t, state in motion.items() if t <= end}


@pytest.mark.timeout(400)
def test_an_engine_that_takes_a_second_gives_the_same_episode(tmp_path):
    found = []
    for name, seconds in (("quick", 0.0), ("slow", SLOW)):
        stack = start(tmp_path / name, seconds)
        try:
            found.append(episode(stack))
            goal = MoveTo.Goal(posture="home", speed_scale=1.0)
            assert follow(stack.graph, MoveTo, "labvla/move_to", goal, lambda _: None).success
        finally:
            stack.close()
    quick, slow = found
    assert len(quick.plans) >= 5
    assert slow.seconds > SLOW * (len(slow.plans) - 1)  # it did take its time
    assert slow.plans == quick.plans
    assert len(quick.motion) > 150
    # How long after success somebody noticed it is the machine's affair.
    end = min(max(slow.motion), max(quick.motion))
    assert until(end, slow.motion) == until(end, quick.motion)
    assert slow.events == quick.events
