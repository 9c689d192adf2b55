"""`labvla train`: teach a policy from a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from labvla_bringup.cli.common import add_json
from labvla_bringup.cli.datasets import dataset_errors
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.console import print_json

STAGES = {
    "flow": "flow matching, from scratch or from a checkpoint",
    "finetune": "flow matching that starts from a checkpoint",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "stage",
        metavar="STAGE",
        choices=sorted(STAGES),
        help="; ".join(f"{name}: {what}" for name, what in STAGES.items()),
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="file of settings, or the name of one that is shipped"
    )
    parser.add_argument(
        "--out",
        metavar="RUN",
        type=Path,
        required=True,
        help="the run's folder; a run that was interrupted goes on",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="changes",
        action="append",
        default=[],
        help="in place of what the file says, e.g. data.dataset=demos; repeatable",
    )
    parser.add_argument(
        "--until",
        type=int,
        metavar="STEP",
        help="stop for now after this step; a later call goes on",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    try:
        from labvla_train.errors import TrainError
        from labvla_train.run import train
        from labvla_train.settings import read_settings
        from labvla_train.shipped import find_settings
    except ModuleNotFoundError as error:
        raise EnvironmentLack(f"labvla train needs {error.name} (`make setup`)") from None
    try:
        path = find_settings(arguments.config)
        settings = read_settings(path, _changes(arguments.changes))
        with (
            dataset_errors(),
            progress_bar("pictures") as preparing,
            progress_bar("steps") as progress,
        ):
            outcome = train(
                arguments.stage,
                settings,
                arguments.out,
                beside=path.parent,
                progress=progress,
                preparing=preparing,
                until=arguments.until,
            )
    except TrainError as error:
        raise UsageError(str(error)) from None
    result: dict[str, Any] = {
        "checkpoint": str(outcome.checkpoint),
        "step": outcome.step,
        "steps": settings.run.steps,
        "held_out": dict(outcome.measured),
    }
    if arguments.json:
        print_json(result)
    else:
        print(f"{outcome.checkpoint}: step {outcome.step} of {settings.run.steps}")
        for name, value in outcome.measured.items():
            print(f"  {name}: {value:.4g}")
    return ExitCode.DONE


def _changes(words: list[str]) -> dict[str, Any]:
    changes = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UsageError(f"--set: expected KEY=VALUE, got {word!r}")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {key}: {error}") from None
    return changes
