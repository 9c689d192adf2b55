"""`labvla replay`: drive the simulator from a recording and compare."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.datasets import dataset_errors
from labvla_bringup.cli.errors import ExitCode, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.console import print_json, print_table
from labvla_bringup.replay import SceneError, Tolerance, replay
from labvla_data.motion import MotionError, RecordedMotion, is_dataset, of_bag, of_dataset
from labvla_data.recording.mending import bags_in
from labvla_data.scene import Scene
from labvla_sim.tasks import TASKS
from labvla_sim.tasks.variation import VARIATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recording", metavar="BAG|DATASET", type=Path, help="an episode's folder")
    parser.add_argument(
        "--episode", metavar="N", type=int, default=0, help="of a dataset (%(default)s)"
    )
    parser.add_argument("--cell", help="instead of the one that the recording names")
    limits = Tolerance()
    parser.add_argument(
        "--tolerance",
        metavar="RAD",
        type=_distance,
        default=limits.joint,
        help="by which a joint may be off at any moment (%(default)s)",
    )
    parser.add_argument(
        "--gripper-tolerance",
        metavar="M",
        type=_distance,
        default=limits.gripper,
        help="the same for grippers, where the scene is known (%(default)s)",
    )
    parser.add_argument("--task", choices=sorted(TASKS), help="scene, where none was recorded")
    parser.add_argument("--seed", metavar="S", type=int, help="of the scene")
    parser.add_argument("--variation", choices=sorted(VARIATIONS), default="id", help="of it")
    add_json(parser)


def _distance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Replay; exit code 1 when the motion was not reproduced."""
    if (arguments.task is None) != (arguments.seed is None):
        raise UsageError("--task and --seed belong together: both say what stands on the bench")
    with dataset_errors():
        try:
            motion = _motion(arguments)
        except MotionError as error:
            raise UsageError(str(error)) from None
    tolerance = Tolerance(arguments.tolerance, arguments.gripper_tolerance)
    try:
        with progress_bar("simulated time") as tell:
            report = replay(motion, _scene(arguments, motion), tolerance, tell)
    except SceneError as error:
        raise UsageError(f"{arguments.recording}: {error}") from None
    if arguments.json:
        print_json(report)
    else:
        _show(report)
    return ExitCode.DONE if report["ok"] else ExitCode.NO


def _motion(arguments: argparse.Namespace) -> RecordedMotion:
    folder: Path = arguments.recording
    cell = cell_from(arguments.cell) if arguments.cell else None
    if is_dataset(folder):
        return of_dataset(folder, arguments.episode, cell)
    if arguments.episode:
        raise UsageError(f"{folder} is no dataset: --episode has no meaning for it")
    bags = list(bags_in(folder))
    if len(bags) != 1:
        found = f"{len(bags)} bags" if folder.exists() else "nothing"
        raise UsageError(f"{folder}: expected a bag or a dataset, there is {found}")
    motion = of_bag(bags[0], cell)
    return motion if cell is None else replace(motion, cell=cell)


def _scene(arguments: argparse.Namespace, motion: RecordedMotion) -> Scene | None:
    if arguments.task is None:
        return motion.scene
    return Scene(arguments.task, arguments.seed, arguments.variation)


def _show(report: dict[str, Any]) -> None:
    rows = [
        [name, f"{scale * one['rms']:.2f}", f"{scale * one['max']:.2f}", unit, f"{one['at']:.2f}"]
        for part, scale, unit in (("joints", 1e3, "mrad"), ("grippers", 1e3, "mm"))
        for name, one in report[part].items()
    ]
    title = f"{report['source']}: {report['seconds']:.1f} s, executed against recorded"
    print_table(title, ["", "rms", "max", "", "at (s)"], rows)
    for kind in ("refused", "stops"):
        for reason, count in report[kind].items():
            print(f"{kind}: {reason}, {count} times")
    success = report["success"]
    told = "success" if success["replayed"] else f"no success: {success['missing']}"
    scene = report["scene"]
    if scene is None:
        print("The scene is not known: the bench was empty, and grippers are not judged.")
    else:
        print(f"{scene['task']}, seed {scene['seed']}: {told} (recorded: {success['recorded']})")
    if report["beyond"]:
        print(f"beyond the tolerance: {', '.join(report['beyond'])}")
    print("reproduced" if report["ok"] else "not reproduced")
