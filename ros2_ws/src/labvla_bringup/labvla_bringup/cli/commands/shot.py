"""`labvla shot [CELL]`: take pictures of the simulated cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.errors import ExitCode, Refusal, UsageError
from labvla_bringup.console import print_json
from labvla_policy.runtime.cell import Cell
from labvla_sim.arms import SourceUnavailable
from labvla_sim.quality import QUALITIES
from labvla_sim.scene.build import LARGEST
from labvla_sim.shot import OVERVIEW, SHOWROOM, take, views_of
from labvla_sim.tasks.episode import Episode, sample_episode
from labvla_sim.tasks.registry import TASKS
from labvla_sim.tasks.sampling import NoRoom
from labvla_sim.tasks.variation import VARIATIONS

_FORMATS = (".png", ".jpg", ".jpeg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", nargs="?", default="franka", help="(%(default)s)")
    parser.add_argument(
        "--view", default=OVERVIEW, help="a camera of the cell, 'all', or 'overview' (%(default)s)"
    )
    parser.add_argument("--task", choices=sorted(TASKS), help="a scene of a task (a tidy bench)")
    parser.add_argument("--seed", type=int, help="of the task's scene (0)")
    parser.add_argument("--variation", choices=sorted(VARIATIONS), help="of the scene (id)")
    parser.add_argument(
        "--size", metavar="WxH", type=_size, help="pixels, e.g. 640x480 (the camera's own)"
    )
    parser.add_argument(
        "--quality",
        choices=sorted(QUALITIES),
        default="beauty",
        help="camera: as the streams are drawn; beauty: with shadows (%(default)s)",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=_picture, help=".png or .jpg (out/shots/CELL-VIEW.png)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Take one picture and write it."""
    cell = cell_from(arguments.cell)
    views = views_of(cell)
    if arguments.view not in views:
        raise UsageError(f"--view: expected one of {', '.join(views)}, got {arguments.view!r}")
    try:
        episode = _episode(cell, arguments)
        picture = take(
            cell,
            camera=arguments.view,
            quality=arguments.quality,
            size=arguments.size,
            scene=episode.scene if episode else SHOWROOM,
            joints=episode.joints if episode else None,
        )
    except (SourceUnavailable, NoRoom) as error:
        raise Refusal(str(error)) from None
    out: Path = arguments.out or Path("out/shots") / f"{cell.name}-{arguments.view}.png"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        picture.save(out)
    except OSError as error:
        raise UsageError(f"--out: cannot be written: {error}") from None
    if arguments.json:
        print_json(
            {
                "file": str(out),
                "cell": cell.name,
                "view": arguments.view,
                "width": picture.width,
                "height": picture.height,
                "task": episode.task if episode else "",
                "seed": episode.seed if episode else None,
                "variation": episode.variation if episode else "",
                "instruction": episode.instruction if episode else "",
            }
        )
    else:
        print(f"{out}: {picture.width} x {picture.height}")
    return ExitCode.DONE


def _episode(cell: Cell, arguments: argparse.Namespace) -> Episode | None:
    """Return what stands on the bench, if a task is to be shown."""
    if arguments.task is None:
        for name in ("seed", "variation"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name} belongs to the scene of a task: give --task, too")
        return None
    seed = arguments.seed or 0
    if seed < 0:
        raise UsageError(f"--seed: expected 0 or more, got {seed}")
    return sample_episode(cell, arguments.task, seed, arguments.variation or "id")


def _size(text: str) -> tuple[int, int]:
    expected = f"expected WIDTHxHEIGHT up to {LARGEST[0]}x{LARGEST[1]}, got {text!r}"
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(expected) from None
    if not (0 < width <= LARGEST[0] and 0 < height <= LARGEST[1]):
        raise argparse.ArgumentTypeError(expected)
    return width, height


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in _FORMATS:
        raise argparse.ArgumentTypeError(f"expected a file {', '.join(_FORMATS)}, got {text!r}")
    return path
