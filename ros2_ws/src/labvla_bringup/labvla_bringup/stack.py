"""The stack description: which processes a cell needs, decided here and nowhere else.

`describe` returns plain data. Two adapters read it: `labvla up` supervises the processes itself
(bench mode), launch files turn them into launch actions (robot mode). No node is described twice.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from labvla_bringup.engines import EngineChoice, choose
from labvla_policy.engines.base import EngineError
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.scheduling.scheduler import Mode

Parameter = bool | int | float | str
Robot = Literal["sim", "hardware"]
Pacing = Literal["realtime", "lockstep"]

# Where time waits for the engine, only a hang is too long.
LOCKSTEP_TIMEOUT = 600.0  # s
CHUNKS = "labvla/action_chunk"  # published as soon as the policy is active
SIMULATED_ARMS = ("fr3",)


class StackError(ValueError):
    """The stack that was asked for cannot be described; the text says why."""


class Restart(enum.Enum):
    """What to do when a process ends by itself."""

    NEVER = "never"
    ON_FAILURE = "on_failure"


@dataclass(frozen=True)
class Ready:
    """A process is ready when all of these exist in the ROS graph, relative to the namespace."""

    publishers: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """One process of the stack: a ROS executable with its parameters."""

    name: str
    package: str
    executable: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    ready: Ready = Ready()
    restart: Restart = Restart.NEVER
    essential: bool = True  # when it is gone for good, the stack comes down

    def ros_arguments(self, namespace: str) -> list[str]:
        """Return the arguments that carry name, namespace, parameters and remappings."""
        words = ["--ros-args", "-r", f"__node:={self.name}"]
        if namespace:
            words += ["-r", f"__ns:={namespace}"]
        for old, new in self.remappings:
            words += ["-r", f"{old}:={new}"]
        for name, value in self.parameters.items():
            words += ["-p", f"{name}:={json.dumps(value)}"]  # JSON is valid YAML
        return words


@dataclass(frozen=True)
class Stack:
    """Everything that runs for one cell."""

    cell: str
    engine: str
    robot: Robot
    namespace: str
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class Simulation:
    """How a simulated cell runs."""

    pacing: Pacing = "realtime"
    speed: float = 0.0  # simulated seconds per second at most; 0: as the pacing says
    window: bool = False  # shown on a display


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
) -> Stack:
    """Describe the processes of a cell; `recordings` is the recorder's folder, if not its own."""
    if robot == "hardware":
        raise StackError(
            "robot mode is not part of this version; the cell can be run in bench mode (robot=sim)"
        )
    unknown = sorted({arm.kind for arm in cell.arms} - set(SIMULATED_ARMS))
    if unknown:
        raise StackError(f"{cell.name}: the arm {unknown[0]} cannot be simulated in this version")
    try:
        choice = choose(engine, engine_options or {})
    except EngineError as error:
        raise StackError(str(error)) from None
    if namespace and not namespace.startswith("/"):
        raise StackError(f"namespace: expected a name that begins with '/', got {namespace!r}")
    recorder = (_recorder(cell, recordings),) if record else ()
    return Stack(
        cell=cell.name,
        engine=engine,
        robot=robot,
        namespace=namespace,
        processes=(
            _sim(cell, simulation),
            *((_window(cell),) if simulation.window else ()),
            _policy(cell, choice, scheduling, simulation),
            *recorder,
        ),
    )


def _sim(cell: Cell, simulation: Simulation) -> Process:
    return Process(
        name="sim",
        package="labvla_sim",
        executable="sim_node",
        parameters={
            "cell": cell.origin.file,
            "pacing": simulation.pacing,
            "speed": simulation.speed,
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


def _policy(cell: Cell, engine: EngineChoice, scheduling: Mode, simulation: Simulation) -> Process:
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
            **(waited_for if simulation.pacing == "lockstep" else {}),
            "use_sim_time": True,
        },
        ready=Ready(publishers=(CHUNKS,), services=("labvla/set_instruction",)),
        restart=Restart.ON_FAILURE,
    )


def _recorder(cell: Cell, recordings: str) -> Process:
    return Process(
        name="recorder",
        package="labvla_data",
        executable="recorder_node",
        parameters={"cell": cell.origin.file, "data_directory": recordings},
        ready=Ready(publishers=("labvla/recorder",), services=("labvla/start_episode",)),
        restart=Restart.ON_FAILURE,
        essential=False,  # what moves goes on without it
    )
