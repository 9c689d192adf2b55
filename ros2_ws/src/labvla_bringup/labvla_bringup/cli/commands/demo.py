"""`labvla demo [CELL]`: bring a cell up, give it work, check what it did."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labvla_bringup import registry
from labvla_bringup.cli.common import add_json, add_window, cell_from, check_window
from labvla_bringup.cli.errors import ExitCode, Refusal
from labvla_bringup.console import print_json, print_table
from labvla_bringup.engines import ENGINES
from labvla_bringup.film import Film
from labvla_bringup.graph import Graph, GraphError
from labvla_bringup.recordings import Kept, examine
from labvla_bringup.watch import Watch
from labvla_msgs.srv import (
    FinishEpisode,
    JudgeScene,
    ResetScene,
    SetInstruction,
    StartEpisode,
)

START_TIMEOUT = 90.0  # s
TIME_LIMIT = 25.0  # s of simulated time for each instruction
ACTIVE_TIMEOUT = 60.0  # s for the engine to be ready
TASKS = ("pick", "press")
FILMED = "front"


@dataclass(frozen=True)
class Episode:
    """How one instruction went."""

    instruction: str
    success: bool
    seconds: float  # simulated
    missing: str  # what the judge did not see; empty on success
    recording: str  # folder of the episode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", nargs="?", default="franka", help="(%(default)s)")
    parser.add_argument("--engine", choices=ENGINES[:1], default=ENGINES[0], help="what answers")
    parser.add_argument("--seed", type=int, default=1, help="of the scenes (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="for film and bags")
    add_window(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; exit code 0 when and only when all that is claimed happened."""
    cell = cell_from(arguments.cell)
    check_window(arguments)
    if registry.current() is not None:
        raise Refusal("a stack is up already; first: labvla down")
    folder = arguments.out / datetime.now().strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    output = sys.stderr if arguments.json else sys.stdout
    command = [sys.executable, "-m", "labvla_bringup.cli", "up", cell.origin.file]
    command += ["--engine", arguments.engine, "--recordings", str((folder / "episodes").resolve())]
    command += ["--window"] if arguments.window else []
    up = subprocess.Popen(command, stdout=output)
    try:
        _wait_until_up(up)
        with Graph() as graph:
            watch = Watch(graph)
            topic = next(camera.topic for camera in cell.cameras if camera.name == FILMED)
            film = Film(graph, f"{topic}/compressed", folder / f"{cell.name}.mp4")
            episodes = [_work(graph, task, arguments.seed) for task in TASKS]
            graph.trigger("labvla/stop")
            film.close()
    except GraphError as error:
        raise Refusal(str(error)) from None
    finally:
        up.terminate()
        code = up.wait()
    kept = examine(Path(episode.recording) for episode in episodes)
    claims = {
        **{f"{episode.instruction}: done": episode.success for episode in episodes},
        "no chunk was lost on the way": watch.chunks_lost == 0,
        "every chunk was accepted by the controller": watch.controller_refused == 0,
        "every chunk is in the recordings": kept.chunks == watch.sequences,
        "the recordings hold what their ledgers say": kept.as_told,
        "a film was written": film.frames > 0,
        "the stack went down cleanly": code == 0,
    }
    if arguments.json:
        print_json(
            {
                "ok": all(claims.values()),
                "claims": claims,
                "episodes": [asdict(episode) for episode in episodes],
                "figures": watch.figures(),
                "lost": kept.lost,
                "film": str(film.path),
            }
        )
    else:
        _show(cell.name, arguments.engine, episodes, watch, kept, claims, film)
    return ExitCode.DONE if all(claims.values()) else ExitCode.NO


def _show(
    cell: str,
    engine: str,
    episodes: list[Episode],
    watch: Watch,
    kept: Kept,
    claims: dict[str, bool],
    film: Film,
) -> None:
    rows = [
        [e.instruction, "success" if e.success else f"not done: {e.missing}", f"{e.seconds:.1f} s"]
        for e in episodes
    ]
    print_table(f"{cell}, engine {engine}", ["instruction", "judge", "time"], rows)
    figures = {**watch.figures(), "messages lost while recording": kept.text()}
    print_table("measured", ["what", "value"], [list(pair) for pair in figures.items()])
    rows = [[claim, "yes" if held else "NO"] for claim, held in claims.items()]
    print_table("claims", ["claim", "held"], rows)
    if engine == "expert":
        print("The expert reads the simulation's true state; no learned policy was used.")
    print(f"film: {film.path} ({film.frames} frames)")
    print(f"recordings: {', '.join(episode.recording for episode in episodes)}")


def _wait_until_up(up: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and up.poll() is None:
        record = registry.current()
        if record is not None and record.state == "up":
            return
        time.sleep(0.1)
    raise Refusal("the stack did not come up; its output is above")


def _work(graph: Graph, task: str, seed: int) -> Episode:
    """Put up a scene, give the instruction, wait for the judge; all of it is recorded."""
    reset = ResetScene.Request(task=task, seed=seed, variation="id")
    scene = _insist(graph, ResetScene, "sim/reset", reset)
    start = StartEpisode.Request(instruction=scene.instruction, operator_name="labvla demo")
    _insist(graph, StartEpisode, "labvla/start_episode", start)
    say = SetInstruction.Request(instruction=scene.instruction)
    _insist(graph, SetInstruction, "labvla/set_instruction", say)
    print(f'"{scene.instruction}" …', file=sys.stderr)
    while True:
        graph.spin_for(0.25)
        verdict = graph.call(JudgeScene, "sim/judge", JudgeScene.Request())
        if verdict.success or verdict.elapsed > TIME_LIMIT:
            break
    graph.call(SetInstruction, "labvla/set_instruction", SetInstruction.Request(instruction=""))
    graph.spin_for(1.0)
    outcome = FinishEpisode.Request.SUCCESS if verdict.success else FinishEpisode.Request.FAILURE
    finish = FinishEpisode.Request(outcome=outcome, notes=verdict.reason)
    recording = _insist(graph, FinishEpisode, "labvla/finish_episode", finish)
    return Episode(
        scene.instruction,
        verdict.success,
        verdict.elapsed,
        verdict.reason,
        str(Path(recording.path).parent),
    )


def _insist(graph: Graph, kind: type, name: str, request: Any) -> Any:
    """Call a service that may refuse for as long as the engine loads or the arm comes to rest."""
    deadline = time.monotonic() + ACTIVE_TIMEOUT
    while True:
        answer = graph.call(kind, name, request)
        if answer.accepted:
            return answer
        if time.monotonic() > deadline:
            raise Refusal(answer.message)
        graph.spin_for(0.3)
