"""`labvla calibrate`: print a board, calibrate a camera with it, check it later."""

from __future__ import annotations

import argparse
import datetime
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from labvla_bringup.action_call import follow
from labvla_bringup.cli.common import add_json, cell_from, stack_graph
from labvla_bringup.cli.datasets import positive
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.cli.progress import progress_bar
from labvla_bringup.cli.verbs import Verb, add_verbs, chosen_verb
from labvla_bringup.console import complain, print_json, print_table
from labvla_bringup.graph import Graph
from labvla_bringup.view_taker import ViewTaker, look_once
from labvla_data.calibration.board import DICTIONARIES, Board
from labvla_data.calibration.camera import WORST_RESIDUAL, Outcome, Plan, calibrate
from labvla_data.calibration.cell_file import edit_of
from labvla_data.calibration.detection import UnusableError, detect
from labvla_data.calibration.drift import drift
from labvla_data.calibration.errors import CalibrationError, NotAccurateError, OpenCvLackError
from labvla_data.calibration.frames import board_frame
from labvla_data.calibration.page import PAPERS, write_page
from labvla_data.calibration.views import View, ViewFolder, Views, read_views
from labvla_msgs.action import MoveTo
from labvla_policy.runtime.cell import Camera, Cell, Pose

_VIEWS = 15
_SPEED = 0.3  # of the operating speed, between the postures of earlier views
_SETTLE = 0.5  # s after a motion
_END = "q"
_DEFAULT = Board()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    for verb in add_verbs(parser, _VERBS):
        add_json(verb)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    verb = chosen_verb(arguments, _VERBS)
    with _errors():
        return verb.run(arguments)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except CalibrationError as error:
        raise UsageError(str(error)) from None
    except NotAccurateError as error:
        raise Refusal(f"{error}; nothing was written") from None
    except OpenCvLackError as error:
        raise EnvironmentLack(str(error)) from None


# The board ---------------------------------------------------------------------------------------


def _add_board_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the board")
    group.add_argument(
        "--squares",
        metavar="COLUMNSxROWS",
        type=_squares,
        default=(_DEFAULT.columns, _DEFAULT.rows),
        help=f"how many squares ({_DEFAULT.columns}x{_DEFAULT.rows})",
    )
    group.add_argument(
        "--square",
        metavar="MM",
        type=_millimetres,
        default=_DEFAULT.square,
        help=f"edge of a square; measure it on the print ({_DEFAULT.square * 1000:g})",
    )
    group.add_argument(
        "--marker",
        metavar="MM",
        type=_millimetres,
        help="edge of a marker (in proportion to the square, 22 on 30)",
    )
    group.add_argument(
        "--dictionary",
        metavar="NAME",
        choices=DICTIONARIES,
        default=_DEFAULT.dictionary,
        help="which markers, as 4X4_50 (%(default)s)",
    )


def _board_from(arguments: argparse.Namespace) -> Board:
    columns, rows = arguments.squares
    marker = arguments.marker
    if marker is None:
        # A print that came out larger or smaller has larger or smaller markers too.
        marker = arguments.square * _DEFAULT.marker / _DEFAULT.square
    return Board(columns, rows, arguments.square, marker, arguments.dictionary)


def _squares(text: str) -> tuple[int, int]:
    columns, _, rows = text.lower().partition("x")
    if not (columns.isdigit() and rows.isdigit()):
        raise argparse.ArgumentTypeError(f"expected COLUMNSxROWS such as 7x5, got {text!r}")
    return int(columns), int(rows)


def _millimetres(text: str) -> float:
    return _number_above_zero(text) / 1000


def _number_above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _add_board(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("board.pdf"), help=".pdf or .png"
    )
    parser.add_argument("--paper", choices=sorted(PAPERS), default="a4", help="(%(default)s)")
    _add_board_arguments(parser)


def _print_board(arguments: argparse.Namespace) -> int:
    board = _board_from(arguments)
    write_page(board, arguments.out, arguments.paper)
    if arguments.json:
        print_json({"file": str(arguments.out), "board": str(board)})
    else:
        print(f"{arguments.out}: {board}. Print at 100 %, glue it to something flat, measure it.")
    return ExitCode.DONE


# A camera ----------------------------------------------------------------------------------------


def _add_camera(parser: argparse.ArgumentParser) -> None:
    _add_cell_and_camera(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--from", dest="folder", metavar="FOLDER", type=Path, help="views taken earlier"
    )
    source.add_argument(
        "--visit",
        metavar="FOLDER",
        type=Path,
        help="let the arm go through the postures of earlier views by itself",
    )
    parser.add_argument(
        "--save", metavar="FOLDER", type=Path, help="where views go (out/calibration/...)"
    )
    parser.add_argument(
        "--views", metavar="N", type=positive, default=_VIEWS, help="to take (%(default)s)"
    )
    parser.add_argument(
        "--board-on",
        metavar="FRAME",
        help="the frame in which the board stays (the cell's for a camera on an arm, else the "
        "arm's flange)",
    )
    parser.add_argument(
        "--board-at",
        metavar="X,Y,Z,ROLL,PITCH,YAW",
        type=_pose,
        help="the board's known place in that frame, in m and degrees; one view is enough then",
    )
    parser.add_argument(
        "--intrinsics", action="store_true", help="estimate them from the views, too"
    )
    parser.add_argument(
        "--max-residual",
        metavar="PX",
        type=_number_above_zero,
        default=WORST_RESIDUAL,
        help="refuse a worse result (%(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the change, write nothing")
    _add_board_arguments(parser)
    parser.epilog = "docs/calibration.md shows how to hold the board and which views are good."


def _add_cell_and_camera(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help="name or file of a cell")
    parser.add_argument("camera", metavar="CAMERA", help="name of one of its cameras")


def _pose(text: str) -> Pose:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise argparse.ArgumentTypeError(
            f"expected six numbers as in 0.5,-0.1,0,180,0,90, got {text!r}"
        )
    x, y, z, *degrees = numbers
    roll, pitch, yaw = map(math.radians, degrees)
    return Pose(position=(x, y, z), rpy=(roll, pitch, yaw))


def _camera_of(cell: Cell, name: str) -> Camera:
    for camera in cell.cameras:
        if camera.name == name:
            return camera
    known = ", ".join(camera.name for camera in cell.cameras)
    raise UsageError(f"expected a camera of {cell.name} ({known}), got {name!r}")


def _calibrate(arguments: argparse.Namespace) -> int:
    cell = cell_from(arguments.cell)
    camera = _camera_of(cell, arguments.camera)
    plan = Plan(
        board=_board_from(arguments),
        board_on=arguments.board_on or board_frame(cell, camera),
        board_at=arguments.board_at,
        estimate_intrinsics=arguments.intrinsics,
        worst_residual=arguments.max_residual,
    )
    today = datetime.datetime.now().astimezone()
    if arguments.folder is not None:
        if arguments.save is not None:
            raise UsageError("--save is for views that are taken now, not with --from")
        views = read_views(arguments.folder)
    else:
        folder = arguments.save or Path(
            "out", "calibration", f"{cell.name}-{camera.name}-{today:%Y%m%d-%H%M%S}"
        )
        views = _take(cell, camera, plan, arguments, folder)
    with progress_bar("views") as tell:
        outcome = calibrate(cell, camera, views, plan, f"{today:%Y-%m-%d}", tell)
    edit = edit_of(cell, camera, outcome.mount, outcome.calibration)
    backup = None if arguments.dry_run else edit.write()
    if arguments.json:
        print_json(
            _report(outcome, str(edit.path), None if backup is None else str(backup), edit.diff)
        )
        return ExitCode.DONE
    _show(outcome)
    if backup is None:
        print(edit.diff)
    else:
        print(f"written to {edit.path}; the old one is {backup}")
    return ExitCode.DONE


def _take(
    cell: Cell, camera: Camera, plan: Plan, arguments: argparse.Namespace, folder: Path
) -> Views:
    """Collect views from the stack that is up; each is saved at once."""
    postures = [] if arguments.visit is None else read_views(arguments.visit).items
    target = ViewFolder(folder, camera.name)
    taken: list[View] = []
    with stack_graph() as graph:
        taker = ViewTaker(graph, cell, camera.name)
        if not taker.wait_for_camera_info() and not plan.estimate_intrinsics:
            raise Refusal(
                f"no camera_info came beside {graph.resolve(camera.topic)}: is the driver running? "
                "A driver without one needs --intrinsics"
            )
        turns = (
            _visits(graph, cell, [view.joints for view in postures])
            if postures
            else _prompts(arguments.views, lambda: len(taken))
        )
        for _ in turns:
            try:
                view = taker.take(f"view_{len(taken):03}")
                corners = len(detect(plan.board, view.pixels).ids)
            except UnusableError as error:
                complain(f"not taken: {error}")
                continue
            target.add(view, taker.camera_info)
            taken.append(view)
            complain(f"{view.name}: {corners} of {plan.board.corners} corners")
    if taken:
        complain(f"{len(taken)} views are kept in {folder}; --from {folder} computes again")
    return Views(camera.name, taker.camera_info, tuple(taken))


def _prompts(wanted: int, count: Callable[[], int]) -> Iterator[None]:
    """Wait for Enter before each view, until there are enough or the operator ends it."""
    while count() < wanted:
        sys.stderr.write(f"view {count() + 1} of {wanted}: move the arm, Enter takes, q ends: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line or line.strip() == _END:
            return
        yield


def _visits(graph: Graph, cell: Cell, postures: list[dict[str, float]]) -> Iterator[None]:
    """Move through postures, each checked on the whole way; one that is refused is passed over."""
    for number, posture in enumerate(postures, 1):
        joints = [name for name in cell.joints if name in posture]
        goal = MoveTo.Goal(
            joint_names=joints,
            positions=[posture[name] for name in joints],
            speed_scale=_SPEED,
        )
        result = follow(graph, MoveTo, "labvla/move_to", goal, lambda feedback: None)
        if not result.success:
            complain(f"posture {number}: {result.reason}: {result.message}")
            continue
        graph.spin_for(_SETTLE)
        yield


def _report(outcome: Outcome, path: str, backup: str | None, diff: str) -> dict[str, Any]:
    solution, mount = outcome.solution, outcome.mount
    return {
        "file": path,
        "backup": backup,
        "diff": diff,
        "mount": {"frame": mount.frame, "position": mount.position, "rpy": mount.rpy},
        "residual_px": solution.residual,
        "residual_at_board_m": solution.at_the_board,
        "position_error_m": solution.position_error,
        "rotation_error_rad": solution.rotation_error,
        "board_scale": solution.scale,
        "intrinsics_residual_px": outcome.lens_residual,
        "moved_m": outcome.moved[0],
        "turned_rad": outcome.moved[1],
        "views": solution.view_residuals,
        "left_out": solution.left_out,
        "unusable": outcome.unusable,
        "notes": outcome.notes,
    }


def _show(outcome: Outcome) -> None:
    solution = outcome.solution
    rows = [
        [name, f"{residual:.2f}", "left out" if name in solution.left_out else ""]
        for name, residual in solution.view_residuals.items()
    ]
    rows += [[name, "", f"not used: {why}"] for name, why in outcome.unusable.items()]
    print_table("views", ["view", "residual (px)", ""], rows)
    print(
        f"residual {solution.residual:.2f} px from {len(solution.used)} views, "
        f"{solution.at_the_board * 1000:.2f} mm at the board"
    )
    if solution.position_error is not None and solution.rotation_error is not None:
        print(
            f"standard error {solution.position_error * 1000:.2f} mm and "
            f"{np.rad2deg(solution.rotation_error):.3f} degrees"
        )
    if outcome.lens_residual is not None:
        print(f"intrinsics estimated with a residual of {outcome.lens_residual:.2f} px")
    print(
        f"the mount moves by {outcome.moved[0] * 1000:.1f} mm and "
        f"{np.rad2deg(outcome.moved[1]):.2f} degrees"
    )
    for note in outcome.notes:
        print(f"note: {note}")


# Later -------------------------------------------------------------------------------------------


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_cell_and_camera(parser)
    parser.add_argument(
        "--from", dest="folder", metavar="FOLDER", type=Path, help="views taken earlier"
    )
    parser.epilog = "The board has to be where it was at the calibration."


def _check(arguments: argparse.Namespace) -> int:
    cell = cell_from(arguments.cell)
    camera = _camera_of(cell, arguments.camera)
    if arguments.folder is not None:
        views = read_views(arguments.folder)
    else:
        with stack_graph() as graph:
            try:
                views = look_once(graph, cell, camera.name)
            except UnusableError as error:
                raise Refusal(str(error)) from None
    found = drift(cell, camera, views)
    if arguments.json:
        print_json({**vars(found), "within": found.within})
    else:
        print(found.text())
    return ExitCode.DONE if found.within else ExitCode.NO


_VERBS = {
    "board": Verb("write a ChArUco board to print", _add_board, _print_board),
    "camera": Verb("find a camera's mount and write it to the cell file", _add_camera, _calibrate),
    "check": Verb("see whether a calibrated camera has moved", _add_check, _check),
}
