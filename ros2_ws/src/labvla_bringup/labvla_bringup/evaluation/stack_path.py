"""Plays episodes through the running stack: nodes, middleware, controller, simulator, lock-step.

Simulated time waits for the engine, so that an episode ends the same way on a slow machine. Without
rest in real time an episode takes as long as the machine needs for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from labvla_bringup import registry
from labvla_bringup.background import BackgroundStack
from labvla_bringup.evaluation.listener import Listener
from labvla_bringup.evaluation.stack import PATIENCE, Choice
from labvla_bringup.graph import Graph, GraphError
from labvla_bringup.work import insist
from labvla_msgs.srv import JudgeScene, ResetScene, SetInstruction
from labvla_policy.runtime.cell import load_cell
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.evaluation.crew import Crew, Order, one_thread
from labvla_sim.evaluation.job import Job
from labvla_sim.evaluation.record import Played, Record, record_of, success_time
from labvla_sim.evaluation.watch import KEPT, Watch
from labvla_sim.tasks import TASKS, Event, sample_episode
from labvla_sim.truth_text import SceneTruth

PROGRAM = ("labvla_bringup.evaluation.stack",)
ACTIVE = 900.0  # s for the policy to load, after its stack is up
TRIES = 3  # stacks that may fail over one episode
LOOK = 0.1  # s of the machine's clock between two questions to the judge
STUCK = 600.0  # s of the machine's clock for an episode of 20 s


class StackPath:
    """Brings stacks up, one after the other, and gives them episodes."""

    def __init__(self, cell_file: Path, contestant: Contestant, logs: Path) -> None:
        self._file, self._contestant, self._logs = cell_file, contestant, logs
        self._cell = load_cell(cell_file)

    def play(self, orders: Sequence[Order]) -> Iterator[tuple[Job, Record]]:
        """Yield every episode with its record; raise UnfitEngine or GraphError."""
        if not orders:
            return
        if registry.current() is not None:
            raise GraphError(
                f"a stack is up already in ROS domain {registry.domain()}; first: labvla down"
            )
        for choice, jobs in _grouped(self._contestant, [order.job for order in orders]):
            # A log is a poor place to learn that the engine cannot work here.
            policy = Crew(self._file, self._contestant, 1).policy(jobs[0].setting.steps)
            yield from self._insisted(choice, jobs, policy)

    def _insisted(
        self, choice: Choice, jobs: Sequence[Job], policy: str
    ) -> Iterator[tuple[Job, Record]]:
        """Play all; a stack that no longer answers is brought up anew, but not for ever."""
        left, failures = list(jobs), 0
        while left:
            try:
                for job, record in self._played(choice, tuple(left), policy):
                    left.remove(job)
                    failures = 0
                    yield job, record
            except GraphError:
                failures += 1
                if failures == TRIES:
                    raise

    def _played(
        self, choice: Choice, jobs: Sequence[Job], policy: str
    ) -> Iterator[tuple[Job, Record]]:
        logs = self._logs / f"{time.strftime('%H%M%S')}-{os.getpid()}"
        logs.mkdir(parents=True)
        words = [str(self._file), str(logs), choice.as_text()]
        with (
            (logs / "all.log").open("w") as log,
            one_thread(),
            BackgroundStack(words, log, PROGRAM, 3 * PATIENCE),
            Graph() as graph,
        ):
            listener = Listener(graph)
            if not graph.spin_until(lambda: listener.active, ACTIVE):
                raise GraphError(f"the policy did not become active; logs: {logs}")
            for job in jobs:
                begin = time.monotonic()
                played = self._episode(graph, listener, job)
                wall = round(time.monotonic() - begin, 3)
                yield job, {**record_of(job, played), "policy": policy, "wall": wall}

    def _episode(self, graph: Graph, listener: Listener, job: Job) -> Played:
        name = job.condition.variation
        reset = ResetScene.Request(task=job.task, seed=job.seed, variation=name, hold=True)
        scene = insist(graph, ResetScene, "sim/reset", reset)
        episode = sample_episode(self._cell, job.task, job.seed, name)
        watch, limit = Watch(episode), TASKS[job.task].time_limit

        def on_truth(told: SceneTruth) -> None:
            mine = (told.task, told.seed, told.variation) == (job.task, job.seed, name)
            if mine and told.truth.time <= limit:
                watch.look(told.truth)

        listener.begin(on_truth)
        say = SetInstruction.Request(instruction=scene.instruction)
        insist(graph, SetInstruction, "labvla/set_instruction", say)
        verdict = _judged(graph, limit)
        silent = SetInstruction.Request(instruction="")
        graph.call(SetInstruction, "labvla/set_instruction", silent)
        events = tuple(event for event in map(event_of, verdict.events) if event.time <= limit)
        success = success_time(events)
        end = limit if success is None else success + KEPT
        heard = listener.until(end)
        return Played(
            reason="" if success is not None else verdict.reason or "only after its time",
            events=events,
            end=end,
            seen=watch.seen(success),
            chunks=heard.chunks,
            silence=end - (heard.last_plan or 0.0),
            refused=heard.refused,
            stops=heard.stops,
        )


def _grouped(contestant: Contestant, jobs: Sequence[Job]) -> Iterator[tuple[Choice, list[Job]]]:
    """Yield episodes that can share a stack: to bring one up takes seconds."""

    def choice(job: Job) -> Choice:
        setting, condition = job.setting, job.condition
        return Choice(
            engine=contestant.kind,
            scheduling=setting.scheduling,
            execute=setting.execute,
            sees=condition.sees,
            hears=condition.hears,
            options=contestant.told(setting.steps),
        )

    chosen = sorted(((choice(job), job) for job in jobs), key=lambda pair: pair[0].as_text())
    for _, pairs in groupby(chosen, key=lambda pair: pair[0].as_text()):
        together = list(pairs)
        yield together[0][0], [job for _, job in together]


def _judged(graph: Graph, limit: float) -> JudgeScene.Response:
    """Wait for success and a little more, or for the end of the time."""
    deadline = time.monotonic() + STUCK
    while True:
        verdict = graph.call(JudgeScene, "sim/judge", JudgeScene.Request())
        success = success_time([event_of(text) for text in verdict.events])
        if verdict.elapsed >= (limit if success is None else success + KEPT):
            return verdict
        if time.monotonic() > deadline:
            raise GraphError(f"simulated time stands at {verdict.elapsed:.2f} s for too long")
        graph.spin_for(LOOK)


def event_of(text: str) -> Event:
    """Read `5.30 s: held 40.1 mm` as the simulator writes it."""
    time_text, _, what = text.partition(" s: ")
    return _named(float(time_text), what)


def _named(at: float, what: str) -> Event:
    """Tell an event's name from its detail, which is a figure."""
    words = what.split()
    figure = next((n for n, word in enumerate(words) if word[:1].isdigit()), len(words))
    return Event(at, " ".join(words[:figure]), " ".join(words[figure:]))
