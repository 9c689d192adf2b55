"""`labvla export`: recordings become a dataset to train on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.datasets import add_form, add_workers, dataset_errors, positive
from labvla_bringup.cli.errors import ExitCode
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.console import print_json, print_table
from labvla_data.dataset import VideoSettings
from labvla_data.export.command import Form, export
from labvla_data.export.commands import ACTIONS
from labvla_data.export.episode import Wishes
from labvla_data.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "bags", metavar="BAG", type=Path, nargs="+", help="an episode, or a folder of episodes"
    )
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="where it will stand")
    add_form(parser, "(%(default)s); the public training code augments video alone, never PNG")
    parser.add_argument(
        "--fps", type=positive, metavar="N", help="frames a second (default: the policy's rate)"
    )
    parser.add_argument(
        "--actions",
        choices=ACTIONS,
        default=ACTIONS[0],
        help="where the arms were told to be, or where they went (%(default)s)",
    )
    parser.add_argument("--task", default="", help="the instruction, instead of the recorded one")
    parser.add_argument(
        "--include-failures", action="store_true", help="also what the operator called a failure"
    )
    parser.add_argument(
        "--split",
        action="store_true",
        help="divide an episode where something is missing, instead of leaving it out",
    )
    parser.add_argument("--cell", help="for bags that do not say in which cell they were recorded")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit code 1 also when only some episodes were refused, or observations differ",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the report there")
    add_workers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Export; exit code 1 when nothing was fit for the dataset."""
    form = Form(
        version=arguments.version,
        images=arguments.images,
        fps=arguments.fps,
        video=VideoSettings(crf=arguments.crf),
    )
    wishes = Wishes(
        actions=arguments.actions,
        task=arguments.task,
        include_failures=arguments.include_failures,
        split=arguments.split,
    )
    with dataset_errors(), progress_bar("bags") as tell:
        report = export(
            arguments.bags,
            arguments.dataset,
            cell=cell_from(arguments.cell) if arguments.cell else None,
            form=form,
            wishes=wishes,
            workers=arguments.workers,
            progress=tell,
        )
    if arguments.report is not None:
        write_json(arguments.report, report)
    if arguments.json:
        print_json(report)
    else:
        _show(report)
    flaws = report["refused"] or report["observations"]["different"]
    no = not report["episodes"] or (arguments.strict and flaws)
    return ExitCode.NO if no else ExitCode.DONE


def _show(report: dict[str, Any]) -> None:
    rows = [
        [
            Path(entry["bag"]).name,
            ", ".join(map(str, entry["episodes"])),
            str(entry["rows"]),
            str(sum(entry["repeated"].values())),
            ", ".join(f"{reason} {count}" for reason, count in entry["refused_moments"].items()),
            ", ".join(f"{count} {verdict}" for verdict, count in entry["hashes"].items()),
        ]
        for entry in report["exported"]
    ]
    columns = ["bag", "episodes", "rows", "pictures shown twice", "left out", "observations used"]
    if rows:
        print_table("exported", columns, rows)
    rows = [[Path(e["bag"]).name, e["reason"], e["detail"]] for e in report["refused"]]
    if rows:
        print_table("refused", ["bag", "reason", "detail"], rows)
    if report["episodes"]:
        print(f"{report['dataset']}: {report['episodes']} episodes, {report['frames']} frames")
    else:
        print("no episode is fit for a dataset; nothing was written")
