"""`labvla train`: teach a policy from a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labvla_bringup.cli.common import add_json
from labvla_bringup.cli.datasets import dataset_errors
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.console import print_json, print_table

if TYPE_CHECKING:
    from labvla_train.settings import Settings

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
    parser.add_argument(
        "--dry-run", action="store_true", help="tell data, schedule and memory; train nothing"
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
        if arguments.dry_run:
            return _dry_run(settings, path.parent, arguments.json)
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


def _dry_run(settings: Settings, beside: Path, as_json: bool) -> ExitCode:
    from labvla_train.dry_run import plan

    told = plan(settings, beside)
    if as_json:
        print_json(told)
        return ExitCode.DONE
    memory = told["memory_bytes"]
    print(
        f"{told['dataset']}: {told['episodes']} episodes, {told['samples']} samples to learn, "
        f"{told['held_out']} held out; pictures kept: {told['cache_bytes'] / 1e9:.1f} GB\n"
        f"{told['parameters'] / 1e6:.1f} million weights, {told['trained'] / 1e6:.1f} of them "
        f"learn; a checkpoint has {told['checkpoint_bytes'] / 1e6:.1f} MB\n"
        f"{told['steps']} steps, {told['samples_learnt']} samples, {told['epochs']:.1f} epochs\n"
        f"memory of a step: {memory['total'] / 1e9:.2f} GB ({memory['states'] / 1e9:.2f} GB of "
        f"weights, gradients and optimizer, {memory['working'] / 1e9:.2f} GB on the way)"
    )
    rows = [[step, *(f"{rate:.2e}" for rate in rates)] for step, rates in told["rates"].items()]
    print_table("learning rates", ["step", "backbone", "expert"], rows)
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
