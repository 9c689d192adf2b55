"""What a stack is made of, as plain data: processes, vendors' launch files, fixed frames.

Adapters turn it into running things and add nothing of their own: the supervisor in bench mode,
launch actions in robot mode.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Robot = Literal["sim", "hardware"]

# s in which the controller manager must answer: robots take their time to start.
SPAWN_TIMEOUT = "60"


@dataclass(frozen=True)
class File:
    """A file that the adapter writes before anything starts; its path takes its place."""

    name: str
    text: str


Argument = str | File


@dataclass(frozen=True)
class Expanded:
    """A parameter whose value is what xacro makes of a file."""

    path: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


Parameter = bool | int | float | str | tuple[str, ...] | Expanded


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
    arguments: tuple[Argument, ...] = ()  # on its command line, before ROS's own
    parameter_files: tuple[File, ...] = ()
    namespace: str = ""  # relative to the stack's
    renamed: bool = True  # the node is called like the process; not where one holds many nodes
    is_task: bool = False  # its end is its success, not its loss

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
class Include:
    """A launch file of the robot's maker, with all that it is told."""

    package: str
    file: str  # below the package's launch folder
    arguments: Mapping[str, Argument]


@dataclass(frozen=True)
class Spawn:
    """Controllers that are loaded together and activated by one switch request."""

    controllers: tuple[str, ...]
    parameters: File
    remappings: tuple[tuple[str, str], ...] = ()  # of the controllers' own nodes

    def process(self) -> Process:
        """Return the process that asks the controller manager for it."""
        renamed = " ".join(f"--remap {old}:={new}" for old, new in self.remappings)
        return Process(
            name=f"spawn_{self.controllers[0]}",
            package="controller_manager",
            executable="spawner",
            arguments=(
                *self.controllers,
                "--activate-as-group",
                "--controller-manager-timeout",
                SPAWN_TIMEOUT,
                "--param-file",
                self.parameters,
                *(("--controller-ros-args", renamed) if renamed else ()),
            ),
            renamed=False,
            is_task=True,
        )


@dataclass(frozen=True)
class Transform:
    """Where a frame stands for ever: metres, and a quaternion x, y, z, w."""

    parent: str
    child: str
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]

    def process(self) -> Process:
        """Return the process that tells it to tf."""
        words: tuple[str, ...] = ()
        for name, value in zip(
            ("x", "y", "z", "qx", "qy", "qz", "qw"),
            (*self.translation, *self.rotation),
            strict=True,
        ):
            words += (f"--{name}", f"{value:.9g}")
        return Process(
            name=f"{self.child}_publisher",
            package="tf2_ros",
            executable="static_transform_publisher",
            arguments=(*words, "--frame-id", self.parent, "--child-frame-id", self.child),
            essential=False,  # for people and planners; nothing that moves looks at tf
        )


@dataclass(frozen=True)
class Stack:
    """Everything that runs for one cell."""

    cell: str
    engine: str
    robot: Robot
    namespace: str
    processes: tuple[Process, ...]
    includes: tuple[Include, ...] = ()
    spawns: tuple[Spawn, ...] = ()
    transforms: tuple[Transform, ...] = ()
    instruction: str = ""  # given once, as soon as the policy takes it
