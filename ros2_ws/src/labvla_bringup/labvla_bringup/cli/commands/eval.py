"""`labvla eval SUITE`: judge a policy in closed loop."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from labvla_bringup import registry
from labvla_bringup.bench_cell import bench_cell, write_bench_cell
from labvla_bringup.cli.common import add_engine, add_json, cell_from, engine_options
from labvla_bringup.cli.datasets import add_workers, positive
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.console import print_json, print_table
from labvla_bringup.engines import EXECUTE_ROWS, choose
from labvla_bringup.evaluation.fleet import Fleet
from labvla_bringup.graph import GraphError
from labvla_bringup.stack import StackError
from labvla_policy.engines.base import EngineError
from labvla_policy.model.errors import CheckpointError, Unavailable
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.scheduling.scheduler import Mode
from labvla_sim.arms import SourceUnavailable, arm_spec
from labvla_sim.evaluation.contestant import IMPOSTOR, Contestant
from labvla_sim.evaluation.crew import Crew, UnfitEngine
from labvla_sim.evaluation.evaluation import REPORT, Evaluation, PathName, Play, Wish
from labvla_sim.evaluation.job import Setting, parse_axis, swept
from labvla_sim.evaluation.suite import EVERYTHING, SUITES, EvaluationError, suite_of
from labvla_sim.evaluation.summary import rows_of

EPISODES = 100
QUICK_EPISODES, QUICK_CONDITIONS = 2, "id,layout,swap"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("suite", metavar="SUITE", help=f"{', '.join(SUITES)}")
    parser.add_argument("--cell", default="franka", help="in which cell (%(default)s)")
    add_engine(parser, (IMPOSTOR,))
    parser.add_argument(
        "--episodes",
        type=positive,
        metavar="N",
        help=f"of each task in each condition ({EPISODES}; --quick: {QUICK_EPISODES})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of the first episode (%(default)s)"
    )
    parser.add_argument(
        "--conditions",
        metavar="A,B",
        help=f"names or kinds of conditions ({EVERYTHING}; --quick: {QUICK_CONDITIONS})",
    )
    parser.add_argument(
        "--path",
        choices=get_args(PathName),
        default="inprocess",
        help="in process, fast; or through nodes, middleware and simulator (%(default)s)",
    )
    parser.add_argument(
        "--scheduling", choices=get_args(Mode), default="async", help="of chunks (%(default)s)"
    )
    parser.add_argument(
        "--execute",
        type=positive,
        metavar="H",
        help="rows of a chunk after which the next takes over (as the checkpoint says, or "
        f"{Setting.execute})",
    )
    parser.add_argument("--steps", type=positive, help="of the Euler method (the checkpoint's)")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="of every answer (%(default)s)"
    )
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="NAME=A,B",
        help="also over execute, steps, delay or scheduling, in `id`; repeated: every combination",
    )
    parser.add_argument(
        "--films", type=int, default=6, metavar="N", help="of failures, at most (%(default)s)"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="another evaluation of the same episodes, such as the other path's: compare them",
    )
    parser.add_argument("--quick", action="store_true", help="a little of it: shows that it works")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (out/eval/SUITE-ENGINE)"
    )
    parser.add_argument(
        "--domains",
        type=_domains,
        metavar="A,B",
        help="with --path stack: a stack in each of these ROS domains (the one that is set)",
    )
    add_workers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; exit code 1 when episodes are missing at the end."""
    cell = bench_cell(cell_from(arguments.cell))
    out = arguments.out or Path("out/eval") / f"{arguments.suite}-{arguments.engine}"
    try:
        wish = _wish(arguments)
        _check(wish, cell, arguments.workers, arguments.domains)
        evaluation = Evaluation(wish, cell, out, arguments.against)
        file = Path(write_bench_cell(cell, out).origin.file)
        play: Play
        if wish.path == "stack":
            domains = arguments.domains or (registry.domain(),)
            play = Fleet(file, wish.contestant, out / "logs", domains).play
        else:
            play = Crew(file, wish.contestant, arguments.workers).play
        result = _evaluate(evaluation, wish, play)
    except (
        EvaluationError,
        EngineError,
        CheckpointError,
        SourceUnavailable,
        StackError,
    ) as error:
        raise UsageError(str(error)) from None
    except Unavailable as error:
        raise EnvironmentLack(str(error)) from None
    except UnfitEngine as error:
        raise UsageError(f"the engine {arguments.engine} cannot work here: {error}") from None
    except GraphError as error:
        raise Refusal(f"{error}; what is done is kept, the same command goes on") from None
    result |= {"out": str(out), "report": str(out / REPORT)}
    if arguments.json:
        print_json(result)
    else:
        _show(result)
    if evaluation.crashes:
        last = evaluation.crashes[-1]
        raise Refusal(
            f"{len(evaluation.crashes)} episodes have no end and count as failures; the same "
            f"command plays them again. The last one ({last['key']}): {last['reason']}"
        )
    return ExitCode.DONE


def _wish(arguments: argparse.Namespace) -> Wish:
    suite, quick = suite_of(arguments.suite), arguments.quick
    chosen = arguments.conditions or (QUICK_CONDITIONS if quick else EVERYTHING)
    contestant, rows = _contestant(arguments)
    execute = arguments.execute or rows
    base = Setting(arguments.scheduling, execute, arguments.delay, arguments.steps)
    return Wish(
        suite=suite,
        contestant=contestant,
        path=arguments.path,
        conditions=suite.chosen(chosen.split(",")),
        episodes=arguments.episodes or (QUICK_EPISODES if quick else EPISODES),
        seed=arguments.seed,
        base=base,
        sweep=tuple(swept(base, [parse_axis(text) for text in arguments.sweep])),
        films=arguments.films,
    )


def _contestant(arguments: argparse.Namespace) -> tuple[Contestant, int]:
    """Return who is judged, and after how many rows it is asked again unless told otherwise."""
    kind, options = arguments.engine, engine_options(arguments)
    if kind == IMPOSTOR:
        return Contestant(kind, options), Setting.execute
    if kind == "labvla":
        options.setdefault("seed", "0")  # of the noise: the same episode has to end the same way
    choice = choose(kind, options)
    rows = choice.parameters.get(EXECUTE_ROWS, Setting.execute)
    return Contestant(kind, dict(choice.options)), int(rows)


def _domains(text: str) -> tuple[int, ...]:
    """Read `41,42`."""
    words = text.split(",")
    numbers = tuple(int(word) for word in words if word.isdecimal())
    if len(set(numbers)) < len(words) or max(numbers) > registry.HIGHEST_DOMAIN:
        raise argparse.ArgumentTypeError(
            f"expected different numbers from 0 to {registry.HIGHEST_DOMAIN}, got {text!r}"
        )
    return numbers


def _check(wish: Wish, cell: Cell, workers: int | None, domains: Sequence[int] | None) -> None:
    """Refuse before anything is written what cannot be played."""
    for index, arm in enumerate(cell.arms):
        arm_spec(arm, index)
    settings = (wish.base, *wish.sweep)
    if wish.contestant.kind == IMPOSTOR:
        if wish.path == "stack":
            raise EvaluationError("engine impostor: it is for --path inprocess alone")
    else:
        for setting in settings:
            choose(wish.contestant.kind, wish.contestant.told(setting.steps))
    if wish.path == "stack" and any(setting.delay for setting in settings):
        raise EvaluationError(
            "delay: in lock-step time waits for the engine; expected --path inprocess with a delay"
        )
    if wish.path == "stack" and (workers or 1) > 1:
        raise EvaluationError("--workers: expected 1 with --path stack: name --domains instead")
    if wish.path == "inprocess" and domains is not None:
        raise EvaluationError("--domains: they are for --path stack alone, got --path inprocess")


def _evaluate(evaluation: Evaluation, wish: Wish, play: Play) -> dict[str, Any]:
    with progress_bar("episodes") as tell:
        evaluation.run(play, tell)
    if wish.path == "inprocess":
        with progress_bar("films") as tell:
            evaluation.film(play, tell)
    return evaluation.result()


def _show(result: dict[str, Any]) -> None:
    rows = [_row(task, name, one) for task, name, one in rows_of(result["tasks"])]
    columns = ["task", "condition", "success", "95 %", "time", "failures"]
    print_table(f"{result['suite']}: {result['policy']}", columns, rows)
    swept_rows = [
        [point["name"], *(_cell(parts["id"]) for parts in point["tasks"].values())]
        for point in result["sweep"]
    ]
    if swept_rows:
        print_table("sweep", ["setting", *result["tasks"]], swept_rows)
    if found := result["agreement"]:
        alike, sides = found["both"] + found["neither"], ("only_here", "only_there")
        here, there = (", ".join(found[side]) or "none" for side in sides)
        print(
            f"against {found['folder']}: {alike} of {found['n']} episodes end alike; done only "
            f"here: {here}; only there: {there}"
        )
    print(f"report: {result['report']}")


def _row(task: str, name: str, one: dict[str, Any]) -> list[str]:
    failures = ", ".join(f"{kind} {count}" for kind, count in one["failures"].items())
    seconds = "" if one["seconds"] is None else f"{one['seconds']:.1f} s"
    return [task, name, f"{one['success']}/{one['n']}", _interval(one), seconds, failures]


def _cell(one: dict[str, Any]) -> str:
    return f"{one['success']}/{one['n']} ({_interval(one)})"


def _interval(one: dict[str, Any]) -> str:
    return f"{one['low'] * 100:.0f} to {one['high'] * 100:.0f}"
