"""`labvla train`: teach a policy from a dataset."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
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
    "tokenizer": "make the tokenizer of actions that fast and ki need",
    "fast": "the backbone learns to predict action tokens",
    "ki": "flow matching behind an insulated backbone that learns from action tokens",
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
        help="the run's folder; a run that was interrupted goes on",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="tell data, schedule and the memory of a step; train nothing",
    )
    parser.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="with --dry-run: devices that share out weights and states",
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
        if arguments.dry_run:
            return _dry_run(arguments, settings, path.parent)
        if arguments.out is None:
            raise UsageError("--out: expected a folder to write to, got none")
        if arguments.stage == "tokenizer":
            return _fit_tokenizer(arguments, settings)
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
        "notes": list(outcome.notes),
    }
    if arguments.json:
        print_json(result)
    else:
        print(f"{outcome.checkpoint}: step {outcome.step} of {settings.run.steps}")
        for name, value in outcome.measured.items():
            print(f"  {name}: {value:.4g}")
        for note in outcome.notes:
            print(f"note: {note}")
    return ExitCode.DONE


def _dry_run(arguments: argparse.Namespace, settings: Settings, beside: Path) -> int:
    from labvla_train.dry_run import plan
    from labvla_train.memory.needs import needs

    if arguments.stage == "tokenizer":
        raise UsageError("--dry-run: expected a stage that trains a network, got tokenizer")
    missing = [folder for folder in settings.data.folders if not folder.is_dir()]
    facts: dict[str, Any] = {}
    if not missing:
        with dataset_errors():
            facts = dict(plan(arguments.stage, settings, beside))
    memory = needs(arguments.stage, settings, devices=arguments.devices)
    if arguments.json:
        print_json({"data": facts or None, "step": memory.as_json()})
        return ExitCode.DONE
    if missing:
        print(f"{missing[0]}: no such folder; told without data")
    else:
        _tell_plan(facts)
    print("\n".join(memory.lines()))
    return ExitCode.DONE


def _tell_plan(told: Mapping[str, Any]) -> None:
    print(
        f"{told['dataset']}: {told['episodes']} episodes, {told['samples']} samples to learn, "
        f"{told['held_out']} held out; pictures kept: {told['cache_bytes'] / 1e9:.1f} GB\n"
        f"{told['steps']} steps, {told['samples_learnt']} samples, {told['epochs']:.1f} epochs"
    )
    rows = [[step, *(f"{rate:.2e}" for rate in rates)] for step, rates in told["rates"].items()]
    print_table("learning rates", ["step", "backbone", "expert"], rows)


def _fit_tokenizer(arguments: argparse.Namespace, settings: Settings) -> int:
    from labvla_train.fast.fitting import fit_to_data

    with dataset_errors():
        fitted = fit_to_data(settings, arguments.out, progress=not arguments.json)
    judged = "held-out episodes" if fitted.held_out else "the same episodes: none is held out"
    if arguments.json:
        print_json(
            {"tokenizer": str(fitted.folder), "judged_on": judged, **fitted.report.as_json()}
        )
    else:
        print(f"{fitted.folder}: judged on {judged}")
        print("\n".join(f"  {line}" for line in fitted.report.lines()))
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
