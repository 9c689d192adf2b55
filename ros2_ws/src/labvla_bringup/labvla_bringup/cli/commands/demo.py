"""`labvla demo [CELL]`: bring a cell up, give it work, check what it did."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from labvla_bringup import registry
from labvla_bringup.background import BackgroundStack
from labvla_bringup.cli.common import add_json, add_window, cell_from, check_window
from labvla_bringup.cli.errors import ExitCode, Refusal
from labvla_bringup.console import print_json, print_table
from labvla_bringup.engines import MINI, MINI_CELL
from labvla_bringup.film import Film
from labvla_bringup.graph import Graph, GraphError
from labvla_bringup.recordings import Kept, examine
from labvla_bringup.watch import Watch
from labvla_bringup.work import Episode, work

TASKS = ("pick", "press")
FILMED = "front"
ENGINES = {
    "labvla": f"{MINI} sees camera pictures, joints and the instruction, nothing else",
    "expert": "The expert reads the simulation's true state; no learned policy was used",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", nargs="?", default="franka", help="(%(default)s)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help=f"what answers: the small learned policy {MINI} (the default where the cell is "
        f"{MINI_CELL}), or a script that reads the simulation's true state",
    )
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
    engine = arguments.engine or ("labvla" if cell.name == MINI_CELL else "expert")
    words = [cell.origin.file, "--engine", engine]
    words += ["--recordings", str((folder / "episodes").resolve())]
    words += ["--window"] if arguments.window else []
    try:
        with (
            BackgroundStack(words, sys.stderr if arguments.json else sys.stdout) as stack,
            Graph() as graph,
        ):
            watch = Watch(graph)
            topic = next(camera.topic for camera in cell.cameras if camera.name == FILMED)
            film = Film(graph, f"{topic}/compressed", folder / f"{cell.name}.mp4")
            episodes = [work(graph, t, arguments.seed, "labvla demo", _tell) for t in TASKS]
            graph.trigger("labvla/stop")
            film.close()
    except GraphError as error:
        raise Refusal(str(error)) from None
    kept = examine(Path(episode.recording) for episode in episodes)
    claims = {
        **{f"{episode.instruction}: done": episode.success for episode in episodes},
        "no chunk was lost on the way": watch.chunks_lost == 0,
        "every chunk was accepted by the controller": watch.controller_refused == 0,
        "no chunk is missing in the recordings once they hear any": watch.heard_all(kept.chunks),
        "the recordings hold what their ledgers say": kept.as_told,
        "a film was written": film.frames > 0,
        "the stack went down cleanly": stack.code == 0,
    }
    if arguments.json:
        print_json(
            {
                "ok": all(claims.values()),
                "engine": engine,
                "claims": claims,
                "episodes": [asdict(episode) for episode in episodes],
                "figures": watch.figures(),
                "lost": kept.lost,
                "film": str(film.path),
            }
        )
    else:
        _show(cell.name, engine, episodes, watch, kept, claims, film)
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
    print(f"{ENGINES[engine]}.")
    failed = sum(not episode.success for episode in episodes)
    if failed:
        print(f"{failed} of {len(episodes)} instructions were not carried out: see the film.")
    print(f"film: {film.path} ({film.frames} frames)")
    print(f"recordings: {', '.join(episode.recording for episode in episodes)}")


def _tell(instruction: str) -> None:
    print(f'"{instruction}" …', file=sys.stderr)
