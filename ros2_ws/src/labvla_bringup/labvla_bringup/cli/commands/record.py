"""`labvla record`: record episodes with the recorder of the stack that is up; repair recordings."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labvla_bringup.cli.common import add_json, stack_graph
from labvla_bringup.cli.errors import ExitCode, Refusal, UsageError
from labvla_bringup.cli.verbs import Verb, add_verbs
from labvla_bringup.console import complain, print_json, print_table, progress_bar
from labvla_bringup.graph import Graph
from labvla_data.bag.errors import BagError
from labvla_data.recording.mending import bags_in, mend
from labvla_msgs.msg import LossEntry, RecorderStatus
from labvla_msgs.srv import DiscardEpisode, FinishEpisode, StartEpisode
from labvla_policy.nodes import qos

PATIENCE = 10.0  # s for a status; the recorder sends one a second
OUTCOMES = {
    "unknown": FinishEpisode.Request.UNKNOWN,
    "success": FinishEpisode.Request.SUCCESS,
    "failure": FinishEpisode.Request.FAILURE,
}
_STATES = {
    RecorderStatus.IDLE: "idle",
    RecorderStatus.RECORDING: "recording",
    RecorderStatus.FINISHING: "finishing",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--repair",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="repair bags, or all bags in a folder of recordings; whole ones stay as they are",
    )
    add_json(parser)
    for verb in add_verbs(parser, _VERBS):
        # Without a default of its own, so that it may also stand before the verb.
        verb.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON"
        )


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    if (arguments.verb is None) == (arguments.repair is None):
        raise UsageError(f"labvla record: expected --repair, or one of {', '.join(_VERBS)}")
    if arguments.repair is not None:
        return _repair(arguments)
    return _VERBS[arguments.verb].run(arguments)


def _repair(arguments: argparse.Namespace) -> int:
    """Repair one bag after the other; exit code 1 when one of them cannot be."""
    reports, failures = [], []
    for path in arguments.repair:
        bags = list(bags_in(path))
        if not bags:
            raise UsageError(f"{path}: expected a bag or a folder of recordings, got neither")
        for bag in bags:
            try:
                with progress_bar(bag.name) as progress:
                    reports.append(mend(bag, progress))
            except (BagError, OSError) as error:
                failures.append({"bag": str(bag), "error": str(error)})
                complain(str(error))
            else:
                if not arguments.json:
                    print(reports[-1].text())
    if arguments.json:
        repaired = [{**asdict(report), "bag": str(report.bag)} for report in reports]
        print_json({"bags": repaired, "failed": failures})
    return ExitCode.NO if failures else ExitCode.DONE


def _add_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instruction", default="", help="default: the one that is set")
    parser.add_argument("--operator", default="", metavar="NAME", help="who demonstrates")
    parser.add_argument("--notes", default="", help="anything worth remembering")
    parser.add_argument("--tag", action="append", default=[], help="may be given several times")


def _start(arguments: argparse.Namespace) -> int:
    request = StartEpisode.Request(
        instruction=arguments.instruction,
        operator_name=arguments.operator,
        notes=arguments.notes,
        tags=arguments.tag,
    )
    answer = _ask(StartEpisode, "labvla/start_episode", request)
    return _answer(arguments, answer, {"episode_id": answer.episode_id})


def _add_finish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--outcome", choices=OUTCOMES, default="unknown", help="(%(default)s)")
    parser.add_argument("--notes", default="", help="anything worth remembering")


def _finish(arguments: argparse.Namespace) -> int:
    request = FinishEpisode.Request(outcome=OUTCOMES[arguments.outcome], notes=arguments.notes)
    answer = _ask(FinishEpisode, "labvla/finish_episode", request)
    if answer.accepted and not arguments.json:
        _show_losses(answer.lost)
    lost = _losses(answer.lost)
    return _answer(
        arguments, answer, {"path": answer.path, "duration": answer.duration, "lost": lost}
    )


def _add_discard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="for the log")


def _discard(arguments: argparse.Namespace) -> int:
    request = DiscardEpisode.Request(reason=arguments.reason)
    return _answer(arguments, _ask(DiscardEpisode, "labvla/discard_episode", request), {})


def _add_status(_parser: argparse.ArgumentParser) -> None:
    """There is nothing to choose."""


def _status(arguments: argparse.Namespace) -> int:
    with stack_graph() as graph:
        status = _newest_status(graph)
    if arguments.json:
        fields = (
            "episode_id", "duration", "directory", "bytes_written", "bytes_waiting", "bytes_free",
            "message",
        )  # fmt: skip
        result = {name: getattr(status, name) for name in fields}
        result |= {"silent": list(status.silent), "lost": _losses(status.lost)}
        print_json({"state": _STATES[status.state], **result})
        return ExitCode.DONE
    print(f"{_STATES[status.state]} {status.episode_id}".strip())
    if status.episode_id:
        print(f"{status.duration:.1f} s, {status.bytes_written / 1e6:.1f} MB written")
        _show_losses(status.lost)
    print(f"{status.directory}: {status.bytes_free / 1e9:.1f} GB free")
    for topic in status.silent:
        print(f"nothing comes on {topic}")
    if status.message:
        print(status.message)
    return ExitCode.DONE


def _newest_status(graph: Graph) -> RecorderStatus:
    found: list[RecorderStatus] = []
    graph.node.create_subscription(RecorderStatus, "labvla/recorder", found.append, qos.RELIABLE)
    if not graph.spin_until(lambda: bool(found), PATIENCE):
        raise Refusal("no recorder tells its status: is the stack up? Try: labvla status")
    return found[-1]


def _ask(kind: Any, name: str, request: Any) -> Any:
    with stack_graph() as graph:
        return graph.call(kind, name, request, timeout=30.0)


def _answer(arguments: argparse.Namespace, answer: Any, more: dict[str, Any]) -> int:
    """Show what the recorder said."""
    if arguments.json:
        print_json({"accepted": answer.accepted, "message": answer.message, **more})
    elif answer.accepted:
        print(answer.message)
    else:
        complain(answer.message)
    return ExitCode.DONE if answer.accepted else ExitCode.NO


def _losses(entries: list[LossEntry]) -> dict[str, dict[str, int]]:
    return {
        entry.topic: {
            "written": entry.written,
            "lost_transport": entry.lost_transport,
            "lost_source": entry.lost_source,
            "lost_writer": entry.lost_writer,
        }
        for entry in entries
    }


def _show_losses(entries: list[LossEntry]) -> None:
    rows = [
        [e.topic, str(e.written), str(e.lost_transport), str(e.lost_source), str(e.lost_writer)]
        for e in entries
        if e.written or e.lost_transport or e.lost_source or e.lost_writer
    ]
    columns = ["topic", "written", "lost on the way", "never sent", "lost by the writer"]
    print_table("messages", columns, rows)


_VERBS = {
    "start": Verb("begin an episode", _add_start, _start),
    "finish": Verb("end the episode and keep it", _add_finish, _finish),
    "discard": Verb("end the episode and throw it away", _add_discard, _discard),
    "status": Verb("what is being recorded, and what was lost", _add_status, _status),
}
