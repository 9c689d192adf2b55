"""`labvla generate`: demonstrations of scripted experts in simulation, as a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.datasets import add_form, add_workers, dataset_errors, positive
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.console import print_json, print_table
from labvla_data.dataset import VideoSettings
from labvla_data.json_files import write_json
from labvla_policy.engines.base import EngineError
from labvla_policy.model.errors import CheckpointError, Unavailable
from labvla_sim.arms import SourceUnavailable
from labvla_sim.demonstrations.command import TooManyFailures, Wish, generate
from labvla_sim.tasks.registry import TASKS

_SMALLEST, _LARGEST = 64, 480  # pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "tasks", metavar="TASK", nargs="+", help=f"what is shown: {', '.join(sorted(TASKS))}"
    )
    parser.add_argument("--cell", default="franka", help="in which cell (%(default)s)")
    parser.add_argument(
        "--episodes", type=positive, metavar="N", required=True, help="successful ones, each task"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="another one gives entirely other episodes (%(default)s)",
    )
    parser.add_argument(
        "--out", metavar="DATASET", type=Path, required=True, help="where the dataset will stand"
    )
    add_form(parser, "how they are kept (%(default)s)")
    parser.add_argument(
        "--size", type=_size, default=224, metavar="PIXELS", help="of pictures (%(default)s)"
    )
    parser.add_argument(
        "--cameras", metavar="A,B", help="of those that the policy sees (default: all)"
    )
    parser.add_argument(
        "--led-by",
        metavar="CHECKPOINT",
        help="each episode begins with this policy; the expert takes over where it has got to",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the report there")
    add_workers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Generate; exit code 1 when the expert fails too often."""
    cell = cell_from(arguments.cell)
    wish = Wish(
        tasks=tuple(arguments.tasks),
        episodes=arguments.episodes,
        seed=arguments.seed,
        version=arguments.version,
        images=arguments.images,
        video=VideoSettings(crf=arguments.crf),
        size=arguments.size,
        cameras=None if arguments.cameras is None else tuple(arguments.cameras.split(",")),
        led_by=arguments.led_by,
    )
    try:
        with dataset_errors(), progress_bar("demonstrations") as tell:
            report = generate(cell, wish, arguments.out, workers=arguments.workers, progress=tell)
    except (CheckpointError, EngineError) as error:
        raise UsageError(f"--led-by: {error}") from None
    except Unavailable as error:
        raise EnvironmentLack(f"--led-by: {error}") from None
    except (SourceUnavailable, TooManyFailures) as error:
        raise Refusal(str(error)) from None
    if arguments.report is not None:
        try:
            write_json(arguments.report, report)
        except OSError as error:
            raise UsageError(f"--report: cannot be written: {error}") from None
    if arguments.json:
        print_json(report)
    else:
        _show(report)
    return ExitCode.DONE


def _show(report: dict[str, Any]) -> None:
    tasks = ", ".join(f"{task} {count}" for task, count in report["tasks"].items())
    courses = ", ".join(f"{name} {count}" for name, count in sorted(report["courses"].items()))
    print(
        f"{report['dataset']}: {report['episodes']} episodes ({tasks}), {report['frames']} frames, "
        f"{report['seconds']:.0f} s; {report['success']:.0%} of {report['attempts']} attempts "
        f"succeeded; {courses}"
    )
    rows = [
        [one["task"], str(one["attempt"]), str(one["seed"]), one["reason"], one["detail"]]
        for one in report["refused"]
    ]
    if rows:
        print_table("refused", ["task", "attempt", "seed", "reason", "detail"], rows)


def _size(text: str) -> int:
    size = int(text) if text.isdigit() else 0
    if not _SMALLEST <= size <= _LARGEST or size % 2:
        raise argparse.ArgumentTypeError(
            f"expected an even number from {_SMALLEST} to {_LARGEST}, got {text!r}"
        )
    return size
