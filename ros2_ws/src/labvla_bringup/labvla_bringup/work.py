"""Gives a simulated cell work: a scene, its instruction, the judge; recorded where wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labvla_bringup.graph import Graph, GraphError
from labvla_msgs.srv import (
    FinishEpisode,
    JudgeScene,
    ResetScene,
    SetInstruction,
    StartEpisode,
)

TIME_LIMIT = 25.0  # s of simulated time for each instruction
PATIENCE = 60.0  # s for the engine to be ready, and for the arm to come to rest
LOOK = 0.25  # s between two questions to the judge
AFTER = 1.0  # s that are recorded after the end


@dataclass(frozen=True)
class Episode:
    """How one instruction went."""

    instruction: str
    success: bool
    seconds: float  # simulated
    missing: str  # what the judge did not see; empty on success
    recording: str  # folder of the episode; empty: not recorded


def work(
    graph: Graph,
    task: str,
    seed: int,
    recorded_by: str | None,
    tell: Callable[[str], None],
) -> Episode:
    """Put up a scene, give the instruction, wait for the judge.

    Args:
        graph: of the running stack.
        task: of the simulated cell.
        seed: of the scene.
        recorded_by: operator in the recording; None: no recording.
        tell: hears the instruction when it is given.
    """
    reset = ResetScene.Request(task=task, seed=seed, variation="id")
    scene = insist(graph, ResetScene, "sim/reset", reset)
    if recorded_by is not None:
        start = StartEpisode.Request(instruction=scene.instruction, operator_name=recorded_by)
        insist(graph, StartEpisode, "labvla/start_episode", start)
    say = SetInstruction.Request(instruction=scene.instruction)
    insist(graph, SetInstruction, "labvla/set_instruction", say)
    tell(scene.instruction)
    while True:
        graph.spin_for(LOOK)
        verdict = graph.call(JudgeScene, "sim/judge", JudgeScene.Request())
        if verdict.success or verdict.elapsed > TIME_LIMIT:
            break
    graph.call(SetInstruction, "labvla/set_instruction", SetInstruction.Request(instruction=""))
    graph.spin_for(AFTER)
    recording = "" if recorded_by is None else _finish(graph, verdict)
    return Episode(scene.instruction, verdict.success, verdict.elapsed, verdict.reason, recording)


def insist(graph: Graph, kind: type, name: str, request: Any) -> Any:
    """Call a service that may refuse for as long as the engine loads or the arm comes to rest."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = graph.call(kind, name, request)
        if answer.accepted:
            return answer
        if time.monotonic() > deadline:
            raise GraphError(f"{name} was refused for {PATIENCE:g} s: {answer.message}")
        graph.spin_for(0.3)


def _finish(graph: Graph, verdict: JudgeScene.Response) -> str:
    outcome = FinishEpisode.Request.SUCCESS if verdict.success else FinishEpisode.Request.FAILURE
    finish = FinishEpisode.Request(outcome=outcome, notes=verdict.reason)
    bag = insist(graph, FinishEpisode, "labvla/finish_episode", finish).path
    return str(Path(bag).parent)
