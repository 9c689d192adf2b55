"""`labvla data`: examine, clean and judge datasets."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.datasets import add_dataset, add_workers, dataset_errors, positive
from labvla_bringup.cli.errors import ExitCode, Refusal, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.cli.verbs import Verb, add_verbs, chosen_verb
from labvla_bringup.console import print_json, print_table
from labvla_data.checks.clean import clean
from labvla_data.checks.detectors import DETECTORS
from labvla_data.checks.preflight import Plan, preflight
from labvla_data.checks.scan import DEFAULTS, scan
from labvla_data.checks.stats import stats
from labvla_data.checks.validate import validate
from labvla_data.dataset import norm_stats, robot_schema
from labvla_data.json_files import read_json, write_json
from labvla_data.view.command import EPISODES, PICTURES, view


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    for verb in add_verbs(parser, _VERBS):
        add_json(verb)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    verb = chosen_verb(arguments, _VERBS)
    with dataset_errors():
        return verb.run(arguments)


def _add_scan(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument(
        "--detectors",
        metavar="A,B",
        default=",".join(DETECTORS),
        help="which to use (default: all: %(default)s)",
    )
    for name, default, text in (
        ("stub-threshold", DEFAULTS.stub_packets, "a video with so few packets is a stub"),
        ("action-cap", DEFAULTS.widest_action, "widest action of the model"),
        ("state-cap", DEFAULTS.widest_state, "widest state of the model"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (%(default)s)")
    add_workers(parser)


def _scan(arguments: argparse.Namespace) -> int:
    settings = replace(
        DEFAULTS,
        stub_packets=arguments.stub_threshold,
        widest_action=arguments.action_cap,
        widest_state=arguments.state_cap,
    )
    out: Path | None = arguments.out
    with progress_bar("episodes") as tell:
        report = scan(
            arguments.dataset,
            [name for name in arguments.detectors.split(",") if name],
            settings,
            workers=arguments.workers,
            progress=tell,
            journal=out.with_name(f"{out.name}.partial") if out else None,
        )
    if out is not None:
        write_json(out, report)
    if arguments.json:
        print_json(report)
    else:
        _show_scan(report)
    bad = report["bad_episodes"] or report["dataset_incompatible"]
    return ExitCode.NO if bad else ExitCode.DONE


def _show_scan(report: dict[str, Any]) -> None:
    rows = [
        [name, str(summary["n_bad"]), str(summary["n_reasons"]), str(summary["n_warnings"])]
        for name, summary in report["detector_summaries"].items()
    ]
    print_table(report["root"], ["detector", "bad episodes", "reasons", "warnings"], rows)
    for title, key in (("bad", "per_episode_reasons"), ("worth a look", "per_episode_warnings")):
        found = [
            [episode, entry["detector"], entry["kind"], _text_of(entry["detail"])]
            for episode, entries in report[key].items()
            for entry in entries
        ]
        if found:
            print_table(title, ["episode", "detector", "kind", "detail"], found)
    for reason in report["dataset_incompatible_reasons"]:
        print(f"not to be trained on: {reason}")
    bad = len(report["bad_episodes"])
    print(f"{report['total_episodes']} episodes, {bad} bad")


def _text_of(detail: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in detail.items())


def _add_clean(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("target", metavar="COPY", type=Path, help="folder of the copy")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--report", type=Path, metavar="FILE", help="drop what `scan --out` found")
    which.add_argument("--drop-episodes", metavar="1,5,9", help="drop these")
    parser.add_argument("--clear-dst", action="store_true", help="replace what stands at COPY")
    parser.add_argument(
        "--preserve-stats",
        action="store_true",
        help="keep normalisation statistics although they include what is dropped",
    )
    parser.add_argument(
        "--allow-incompatible",
        action="store_true",
        help="also where the report calls the dataset as a whole not fit for training",
    )
    add_workers(parser)


def _clean(arguments: argparse.Namespace) -> int:
    with progress_bar("tables") as tell:
        done = clean(
            arguments.dataset,
            arguments.target,
            _episodes_to_drop(arguments),
            replace=arguments.clear_dst,
            preserve_stats=arguments.preserve_stats,
            workers=arguments.workers,
            progress=tell,
        )
    if arguments.json:
        print_json(done)
        return ExitCode.DONE
    print(f"{done['target']}: {done['episodes']} episodes; dropped: {done['dropped'] or 'none'}")
    if done["stats_invalidated"]:
        print(f"Its normalisation statistics do not hold; run: labvla data stats {done['target']}")
    return ExitCode.DONE


def _episodes_to_drop(arguments: argparse.Namespace) -> list[int]:
    if arguments.report is None:
        try:
            return [int(number) for number in arguments.drop_episodes.split(",") if number]
        except ValueError:
            raise UsageError(
                f"--drop-episodes: expected numbers as in 1,5,9; got {arguments.drop_episodes!r}"
            ) from None
    report = _scan_report(arguments.report, arguments.dataset)
    if report["dataset_incompatible"] and not arguments.allow_incompatible:
        reasons = "; ".join(report["dataset_incompatible_reasons"])
        raise Refusal(f"{arguments.dataset}: {reasons}. --allow-incompatible copies it anyway")
    return [int(number) for number in report["bad_episodes"]]


def _scan_report(path: Path, dataset: Path) -> dict[str, Any]:
    """Read what `scan --out` has written about a dataset."""
    report: dict[str, Any] = read_json(path)
    needed = {
        "root": str,
        "bad_episodes": list,
        "dataset_incompatible": bool,
        "dataset_incompatible_reasons": list,
        "per_episode_reasons": dict,
        "per_episode_warnings": dict,
    }
    for key, kind in needed.items():
        if not isinstance(report, dict) or not isinstance(report.get(key), kind):
            raise UsageError(f"{path}: expected a report of `labvla data scan`; missing: {key}")
    if Path(report["root"]).resolve() != dataset.resolve():
        raise UsageError(f"{path} is about {report['root']}")
    return report


def _add_stats(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("--schema", type=Path, metavar="FILE", help="instead of the dataset's own")
    parser.add_argument(
        "--chunk-size",
        type=int,
        default=norm_stats.CHUNK,
        help="rows that the policy predicts (%(default)s)",
    )
    parser.add_argument("--no-quantile", action="store_true", help="one pass, without q01 and q99")
    parser.add_argument("--out", type=Path, metavar="FILE", help="instead of the dataset's meta/")
    parser.add_argument(
        "--canonical-gripper",
        type=float,
        metavar="WIDEST",
        help="also write statistics whose grippers go from 0 to WIDEST (Franka: 0.04)",
    )
    add_workers(parser)


def _stats(arguments: argparse.Namespace) -> int:
    if arguments.chunk_size < 1:
        raise UsageError(f"--chunk-size: expected at least 1, got {arguments.chunk_size}")
    with progress_bar("episodes") as tell:
        done = stats(
            arguments.dataset,
            schema=arguments.schema,
            chunk=arguments.chunk_size,
            quantiles=not arguments.no_quantile,
            out=arguments.out,
            canonical_gripper=arguments.canonical_gripper,
            workers=arguments.workers,
            progress=tell,
        )
    if arguments.json:
        print_json(done)
        return ExitCode.DONE
    for key in (norm_stats.STATE, norm_stats.DELTA, norm_stats.ABSOLUTE):
        entry = done["stats"][key]
        fields = [field for field in ("mean", "std", "q01", "q99", "min", "max") if field in entry]
        rows = [
            [str(column), *(f"{entry[field][column]:.5g}" for field in fields)]
            for column in range(len(entry["mean"]))
        ]
        print_table(key, ["column", *fields], rows)
    print(f"{done['episodes']} episodes, {done['frames']} frames; written: {done['written']}")
    return ExitCode.DONE


def _add_validate(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)


def _validate(arguments: argparse.Namespace) -> int:
    with progress_bar("episodes") as tell:
        report = validate(arguments.dataset, tell)
    return _tell_issues(arguments, report)


def _add_preflight(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "datasets", metavar="DATASET", type=Path, nargs="+", help="to be trained on together"
    )
    parser.add_argument(
        "--action-mode", choices=("delta", "abs"), default="delta", help="(%(default)s)"
    )
    parser.add_argument("--chunk-size", type=int, default=norm_stats.CHUNK, help="(%(default)s)")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="for datasets without one")
    parser.add_argument(
        "--stats",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="statistics from elsewhere for the dataset whose folder is called NAME",
    )
    parser.add_argument("--cell", help="compare with the cell in which the policy will work")


def _preflight(arguments: argparse.Namespace) -> int:
    external: dict[str, Path] = {}
    for text in arguments.stats:
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise UsageError(f"--stats: expected NAME=FILE, got {text!r}")
        external[name] = Path(file)
    path: Path | None = arguments.schema
    plan = Plan(
        action_mode=arguments.action_mode,
        chunk=arguments.chunk_size,
        schema=robot_schema.of_schema(read_json(path), str(path)) if path else None,
        external_stats=external,
        cell=cell_from(arguments.cell) if arguments.cell else None,
    )
    return _tell_issues(arguments, preflight(arguments.datasets, plan))


def _tell_issues(arguments: argparse.Namespace, report: dict[str, Any]) -> int:
    if arguments.json:
        print_json(report)
    else:
        rows = [
            [
                issue["severity"],
                issue["check"],
                "" if issue["episode"] is None else str(issue["episode"]),
                issue["detail"],
            ]
            for issue in report["issues"]
        ]
        if rows:
            print_table(report["root"], ["severity", "check", "episode", "detail"], rows)
        print("nothing stands against it" if report["ok"] else "not as it stands")
    return ExitCode.DONE if report["ok"] else ExitCode.NO


def _add_view(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (default: DATASET.html beside DATASET)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="mark what `scan --out` found")
    for name, default, text in (
        ("episodes", EPISODES, "shown one by one, spread over all"),
        ("pictures", PICTURES, "of every camera in each of them"),
    ):
        parser.add_argument(
            f"--{name}", type=positive, metavar="N", default=default, help=f"{text} (%(default)s)"
        )


def _view(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.dataset
    beside = folder.resolve()
    with progress_bar("episodes") as tell:
        done = view(
            folder,
            arguments.out or beside.with_name(f"{beside.name}.html"),
            episodes=arguments.episodes,
            pictures=arguments.pictures,
            report=_scan_report(arguments.report, folder) if arguments.report else None,
            progress=tell,
        )
    if arguments.json:
        print_json(done)
        return ExitCode.DONE
    shown, whole = len(done["shown"]), done["episodes"]
    print(f"{done['page']}: {shown} of {whole} episodes, {done['bytes'] / 1e6:.1f} MB")
    return ExitCode.DONE


_VERBS = {
    "scan": Verb("find episodes that should not be trained on", _add_scan, _scan),
    "clean": Verb("copy a dataset without its bad episodes", _add_clean, _clean),
    "stats": Verb("compute normalisation statistics", _add_stats, _stats),
    "validate": Verb("compare index, tables and videos", _add_validate, _validate),
    "preflight": Verb("whether training can begin", _add_preflight, _preflight),
    "view": Verb("make one HTML page to look at", _add_view, _view),
}
