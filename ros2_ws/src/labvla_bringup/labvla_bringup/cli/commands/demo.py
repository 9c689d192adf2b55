"""`labvla demo CELL`: bring a cell up, give it work, check what it did."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np

from labvla_bringup import registry
from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.errors import ExitCode, Refusal
from labvla_bringup.console import print_json, print_table
from labvla_bringup.graph import Graph, GraphError
from labvla_msgs.msg import ActionChunk
from labvla_msgs.srv import SetInstruction
from labvla_policy.nodes import qos

START_TIMEOUT = 60.0  # s
WORK = 4.0  # s of motion that are watched
INSTRUCTION = "nod to the people in the lab"
ENOUGH_CHUNKS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", nargs="?", default="franka", help="(%(default)s)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; exit code 0 when and only when all that is claimed happened."""
    cell = cell_from(arguments.cell)
    if registry.current() is not None:
        raise Refusal("a stack is up already; first: labvla down")
    output = sys.stderr if arguments.json else sys.stdout
    up = subprocess.Popen(
        [sys.executable, "-m", "labvla_bringup.cli", "up", cell.origin.file], stdout=output
    )
    try:
        _wait_until_up(up)
        with Graph() as graph:
            chunks = _watch(graph)
    except GraphError as error:
        raise Refusal(str(error)) from None
    finally:
        up.terminate()
        code = up.wait()
    claims = _claims(chunks, cell.contract_hash, code)
    if arguments.json:
        print_json({"ok": all(claims.values()), "chunks": len(chunks), "claims": claims})
    else:
        rows = [[claim, "yes" if held else "NO"] for claim, held in claims.items()]
        print_table(f"{cell.name}: {len(chunks)} chunks", ["claim", "held"], rows)
    return ExitCode.DONE if all(claims.values()) else ExitCode.NO


def _wait_until_up(up: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and up.poll() is None:
        record = registry.current()
        if record is not None and record.state == "up":
            return
        time.sleep(0.1)
    raise Refusal("the stack did not come up; its output is above")


def _watch(graph: Graph) -> list[ActionChunk]:
    chunks: list[ActionChunk] = []
    graph.node.create_subscription(ActionChunk, "labvla/action_chunk", chunks.append, qos.RELIABLE)
    request = SetInstruction.Request(instruction=INSTRUCTION)
    answer = graph.call(SetInstruction, "labvla/set_instruction", request)
    if not answer.accepted:
        raise Refusal(answer.message)
    end = time.monotonic() + WORK
    graph.spin_until(lambda: time.monotonic() > end, WORK + 1.0)
    graph.trigger("labvla/stop")
    return chunks


def _claims(chunks: list[ActionChunk], contract: str, exit_code: int) -> dict[str, bool]:
    sequence = [chunk.sequence for chunk in chunks]
    targets = [np.asarray(chunk.joint_targets) for chunk in chunks]
    return {
        f"at least {ENOUGH_CHUNKS} chunks arrived": len(chunks) >= ENOUGH_CHUNKS,
        "none was lost": sequence == list(range(sequence[0], sequence[0] + len(chunks)))
        if sequence
        else False,
        "every chunk is finite and has all rows": all(
            np.all(np.isfinite(t)) and t.size == c.rows * len(c.joint_names)
            for t, c in zip(targets, chunks, strict=True)
        ),
        "they carry the cell's contract": all(c.contract_hash == contract for c in chunks),
        "the plan moves the arm": any(np.ptp(t) > 0.01 for t in targets),
        "the stack went down cleanly": exit_code == 0,
    }
