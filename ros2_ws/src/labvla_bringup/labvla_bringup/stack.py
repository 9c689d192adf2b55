"""The stack description: which processes a cell needs, decided here and nowhere else.

`describe` returns plain data. Two adapters read it: `labvla up` supervises the processes itself
(bench mode), launch files turn them into launch actions (robot mode). No node is described twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from labvla_bringup import robots
from labvla_bringup.controllers import controller_names
from labvla_bringup.description import File, Parameter, Process, Ready, Restart, Robot, Stack
from labvla_bringup.engines import EngineChoice, choose
from labvla_bringup.hardware import ControllerKind, Hardware, HardwareError
from labvla_bringup.viewers import rviz_config
from labvla_bringup.viewers.topics import MARKERS
from labvla_policy.engines.base import EngineError
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.scheduling.scheduler import Mode

__all__ = [
    "CHUNKS",
    "LOCKSTEP_TIMEOUT",
    "NO_ENGINE",
    "PLANNERS",
    "ROBOT",
    "Board",
    "Pacing",
    "Process",
    "Ready",
    "Restart",
    "Robot",
    "Simulation",
    "Stack",
    "StackError",
    "Views",
    "describe",
]

Pacing = Literal["realtime", "lockstep"]
Board = Literal["none", "bench", "gripper"]

# Where time waits for the engine, only a hang is too long.
LOCKSTEP_TIMEOUT = 600.0  # s
CHUNKS = "labvla/action_chunk"  # published as soon as the policy is active
ROBOT = "labvla/robot"  # whether real robots can move
SIMULATED_ARMS = ("fr3",)
UNREACHED = Hardware()
AUTO = "auto"
PLANNERS = (AUTO, "joint", "moveit")  # of the policy node's own parameter
NO_ENGINE = "none"  # no policy runs here: on another computer, or not at all


class StackError(ValueError):
    """The stack that was asked for cannot be described; the text says why."""


@dataclass(frozen=True)
class Simulation:
    """How a simulated cell runs."""

    pacing: Pacing = "realtime"
    speed: float = 0.0  # simulated seconds per second at most; 0: as the pacing says
    window: bool = False  # shown on a display
    board: Board = "none"  # a calibration board in the scene


@dataclass(frozen=True)
class Views:
    """What people look at."""

    rviz: bool = False
    foxglove: bool = False  # foxglove_bridge: a web socket for Foxglove
    markers: bool = False  # the node that draws plans, boxes and status for both of them
    simulated: bool = False  # the robot that is looked at is a simulated one, started elsewhere


def describe(
    cell: Cell,
    robot: Robot = "sim",
    engine: str = "expert",
    namespace: str = "",
    record: bool = True,
    recordings: str = "",
    engine_options: Mapping[str, str] | None = None,
    scheduling: Mode = "async",
    simulation: Simulation = Simulation(),  # frozen
    hardware: Hardware = UNREACHED,
    instruction: str = "",
    views: Views = Views(),  # frozen
    planner: str = AUTO,
) -> Stack:
    """Describe the processes of a cell.

    Args:
        cell: what is run.
        robot: the simulated cell, or the real one.
        engine: what answers observations; "none" runs no policy here.
        namespace: of all nodes, with a slash at its beginning.
        record: whether the recorder runs.
        recordings: the recorder's folder, if not its own.
        engine_options: what the engine is told.
        scheduling: how predictions follow each other.
        simulation: how a simulated cell runs.
        hardware: how a real robot is reached.
        instruction: given once, when the policy takes it.
        views: what people look at.
        planner: of `labvla/move_to`: MoveIt, the straight joint-space one, or whichever there is.
    """
    if namespace and not namespace.startswith("/"):
        raise StackError(f"namespace: expected a name that begins with '/', got {namespace!r}")
    if instruction and engine == NO_ENGINE:
        raise StackError("instruction: expected none where no policy runs; say it where it does")
    policy: tuple[Process, ...] = ()
    if engine != NO_ENGINE:
        choice = _choice(engine, engine_options or {}, robot)
        policy = (_policy(cell, choice, scheduling, simulation, robot, planner),)
    recorder = (_recorder(cell, recordings, simulation),) if record else ()
    robot_side = (
        _simulated(cell, simulation) if robot == "sim" else _real(cell, hardware, namespace)
    )
    return Stack(
        cell=cell.name,
        engine=engine,
        robot=robot,
        namespace=namespace,
        processes=(*robot_side.processes, *policy, *recorder, *_views(cell, views, robot)),
        includes=robot_side.includes,
        spawns=robot_side.spawns,
        transforms=robot_side.transforms,
        instruction=instruction,
    )


def _choice(engine: str, options: Mapping[str, str], robot: Robot) -> EngineChoice:
    """Check the engine against what it would drive."""
    if robot == "hardware" and engine == "expert":
        raise StackError(
            "engine expert: it reads the simulation's true state, which a real cell has not; "
            "expected labvla, remote or replay"
        )
    try:
        return choose(engine, options)
    except EngineError as error:
        raise StackError(str(error)) from None


def _simulated(cell: Cell, simulation: Simulation) -> robots.Parts:
    unknown = sorted({arm.kind for arm in cell.arms} - set(SIMULATED_ARMS))
    if unknown:
        raise StackError(f"{cell.name}: the arm {unknown[0]} cannot be simulated in this version")
    window = (_window(cell),) if simulation.window else ()
    return robots.Parts(processes=(_sim(cell, simulation), *window))


def _real(cell: Cell, hardware: Hardware, namespace: str) -> robots.Parts:
    if not hardware.drive:
        return robots.Parts()
    try:
        parts = robots.bring_up(cell, hardware, namespace)
    except HardwareError as error:
        raise StackError(str(error)) from None
    ours = hardware.controller == "labvla"
    translator = () if ours else (_controller_bridge(cell, hardware.controller),)
    watch = _robot_watch(cell, hardware)
    return replace(parts, processes=(*parts.processes, watch, *translator, _gripper_bridge(cell)))


def _sim(cell: Cell, simulation: Simulation) -> Process:
    return Process(
        name="sim",
        package="labvla_sim",
        executable="sim_node",
        parameters={
            "cell": cell.origin.file,
            "pacing": simulation.pacing,
            "speed": simulation.speed,
            "board": simulation.board,
        },
        ready=Ready(publishers=(cell.joint_states.topic,), services=("sim/reset",)),
    )


def _window(cell: Cell) -> Process:
    return Process(
        name="window",
        package="labvla_sim",
        executable="window_node",
        parameters={"cell": cell.origin.file},
        essential=False,  # it may be closed
    )


def _robot_watch(cell: Cell, hardware: Hardware) -> Process:
    return Process(
        name="robot",
        package="labvla_policy",
        executable="robot_node",
        parameters={
            "cell": cell.origin.file,
            "controllers": ", ".join(controller_names(cell, hardware.controller)),
            "fake_hardware": hardware.fake,
        },
        ready=Ready(publishers=(ROBOT,), services=("labvla/recover",)),
        restart=Restart.ON_FAILURE,
        essential=False,  # without it nothing moves: the policy stops by its silence
    )


def _controller_bridge(cell: Cell, kind: ControllerKind) -> Process:
    return Process(
        name="controller_bridge",
        package="labvla_policy",
        executable="controller_bridge_node",
        parameters={
            "cell": cell.origin.file,
            "kind": kind,
            "controllers": ", ".join(controller_names(cell, kind)),
        },
        # Not started again: a policy goes on sending, and the arm would move by itself.
        ready=Ready(services=(f"{cell.controller.name}/stop",)),
    )


def _gripper_bridge(cell: Cell) -> Process:
    return Process(
        name="gripper_bridge",
        package="labvla_policy",
        executable="gripper_bridge_node",
        parameters={"cell": cell.origin.file},
        restart=Restart.ON_FAILURE,
        essential=False,  # without it the fingers keep what they hold
    )


def _policy(
    cell: Cell,
    engine: EngineChoice,
    scheduling: Mode,
    simulation: Simulation,
    robot: Robot,
    planner: str,
) -> Process:
    waited_for: dict[str, Parameter] = {"lockstep": True, "engine_timeout": LOCKSTEP_TIMEOUT}
    return Process(
        name="policy",
        package="labvla_policy",
        executable="policy_node",
        parameters={
            "cell": cell.origin.file,
            "engine": engine.kind,
            "engine_options": json.dumps(dict(engine.options)),
            **engine.parameters,
            "scheduling": scheduling,
            **({} if planner == AUTO else {"planner": planner}),
            **(waited_for if simulation.pacing == "lockstep" else {}),
            "robot": robot == "hardware",
            "use_sim_time": robot == "sim",
        },
        ready=Ready(publishers=(CHUNKS,), services=("labvla/set_instruction",)),
        restart=Restart.ON_FAILURE,
    )


def _recorder(cell: Cell, recordings: str, simulation: Simulation) -> Process:
    return Process(
        name="recorder",
        package="labvla_data",
        executable="recorder_node",
        parameters={
            "cell": cell.origin.file,
            "data_directory": recordings,
            **({"lockstep": True} if simulation.pacing == "lockstep" else {}),
        },
        ready=Ready(publishers=("labvla/recorder",), services=("labvla/start_episode",)),
        restart=Restart.ON_FAILURE,
        essential=False,  # what moves goes on without it
    )


def _views(cell: Cell, views: Views, robot: Robot) -> tuple[Process, ...]:
    """Return the processes that show a cell; anybody may close them."""
    simulated = views.simulated or robot == "sim"
    monitor = Process(
        name="monitor",
        package="labvla_policy",
        executable="monitor_node",
        parameters={
            "cell": cell.origin.file,
            "bodies": simulated,  # no robot description is published there
            "use_sim_time": simulated,
        },
        ready=Ready(publishers=(MARKERS,)),
        restart=Restart.ON_FAILURE,
        essential=False,
    )
    rviz = Process(
        name="rviz",
        package="rviz2",
        executable="rviz2",
        arguments=("--display-config", File(f"{cell.name}.rviz", rviz_config(cell))),
        essential=False,
    )
    foxglove = Process(
        name="foxglove_bridge",
        package="foxglove_bridge",
        executable="foxglove_bridge",
        # Not for the whole network: it lets whoever connects call services.
        parameters={"address": "127.0.0.1"},
        essential=False,
    )
    asked = ((monitor, views.markers), (rviz, views.rviz), (foxglove, views.foxglove))
    return tuple(process for process, wanted in asked if wanted)
