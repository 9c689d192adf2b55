"""A described stack in launch's own words. Every decision was taken by the description."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.logging import launch_config
from launch.substitutions import Command, EnvironmentVariable, FindExecutable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from labvla_bringup import resources
from labvla_bringup.description import (
    Argument,
    Expanded,
    File,
    Include,
    Parameter,
    Process,
    Restart,
    Stack,
)
from labvla_bringup.launched import NAMESPACE
from labvla_bringup.launching.choices import Choice
from launch import LaunchContext, LaunchDescription

Given = Mapping[str, str]

MOST_RESTARTS = 3
RESTART_DELAY = 1.0  # s
HOPELESS = (2, 3)  # wrong use, and an environment that lacks something: the next try is no other
INSTRUCTION_PATIENCE = "600"  # s: as long as a large checkpoint may take to load

_PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"


def launch_description(
    choices: Sequence[Choice], stack_of: Callable[[Given, Path], Stack]
) -> LaunchDescription:
    """Return a launch file's content: its arguments, and what they ask for."""

    def bring_up(context: LaunchContext) -> list[Any]:
        given = {choice.name: context.launch_configurations[choice.name] for choice in choices}
        folder = Path(launch_config.log_dir) / "files"  # with the logs, to be looked at later
        folder.mkdir(parents=True)
        return actions(stack_of(given, folder), folder)

    return LaunchDescription(
        [
            *(_declared(choice) for choice in choices),
            # An image of 1 MB does not fit the middleware's own default for shared memory.
            SetEnvironmentVariable(
                _PROFILE,
                EnvironmentVariable(
                    _PROFILE, default_value=str(resources.config("dds/fastdds.xml"))
                ),
            ),
            OpaqueFunction(function=bring_up),
        ]
    )


def actions(stack: Stack, folder: Path) -> list[Any]:
    """Return the actions that run a stack; `folder` keeps the files that it needs."""
    write = _Writer(folder)
    processes = (
        *stack.processes,
        *(spawn.process() for spawn in stack.spawns),
        *(transform.process() for transform in stack.transforms),
    )
    return [
        *(_include(include, write) for include in stack.includes),
        *(_process(process, stack.namespace, write) for process in processes),
        *_said(stack),
    ]


class _Writer:
    """Puts described files where processes can read them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, argument: Argument) -> str:
        if not isinstance(argument, File):
            return argument
        path = self._folder / argument.name
        path.write_text(argument.text)
        return str(path)


def _declared(choice: Choice) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        choice.name,
        default_value=choice.default,
        description=choice.description,
        choices=list(choice.choices) or None,
    )


def _include(include: Include, write: _Writer) -> GroupAction:
    try:
        share = Path(get_package_share_directory(include.package))
    except PackageNotFoundError:
        raise RuntimeError(
            f"the robot's driver is missing: package {include.package} is not installed in this "
            "environment. docs/robot-mode.md says which versions are expected; sim:=true needs none"
        ) from None
    described = IncludeLaunchDescription(
        AnyLaunchDescriptionSource(str(share / "launch" / include.file)),
        launch_arguments=[(name, write(value)) for name, value in include.arguments.items()],
    )
    # Its arguments and ours share names (namespace, robot_ip): neither may see the other's.
    return GroupAction([described], scoped=True, forwarding=False)


def _process(process: Process, namespace: str, write: _Writer) -> Node:
    def run() -> Node:
        return _node(process, namespace, write, ending)

    ending = _Ending(process, run)
    return run()


def _node(
    process: Process, namespace: str, write: _Writer, on_exit: Callable[..., list[Any]]
) -> Node:
    inside = "/".join(part for part in (namespace, process.namespace) if part)
    values = {name: _value(value, write) for name, value in process.parameters.items()}
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.name if process.renamed else None,
        exec_name=process.name,
        namespace=inside or None,
        arguments=[write(argument) for argument in process.arguments],
        parameters=[
            *(ParameterFile(write(file)) for file in process.parameter_files),
            *([values] if values else []),
        ],
        remappings=list(process.remappings),
        output="screen",
        on_exit=on_exit,
    )


class _Ending:
    """Decides what the end of a process means, as the supervisor does in bench mode.

    Launch's own respawning knows neither why a process ended nor that one was given up.
    """

    def __init__(self, process: Process, run: Callable[[], Node]) -> None:
        self._process = process
        self._run = run
        self._left = MOST_RESTARTS if process.restart is Restart.ON_FAILURE else 0

    def __call__(self, event: ProcessExited, context: LaunchContext) -> list[Any]:
        if context.is_shutdown or (self._process.is_task and event.returncode == 0):
            return []
        how = f"{self._process.name} ended with code {event.returncode}"
        if self._left and event.returncode not in HOPELESS:
            self._left -= 1
            again = TimerAction(period=RESTART_DELAY, actions=[self._run()])
            return [LogInfo(msg=f"{how}; starting it again"), again]
        if self._process.essential:
            reason = f"{how}: nothing goes on without it"
            return [LogInfo(msg=reason), EmitEvent(event=Shutdown(reason=reason))]
        return [LogInfo(msg=f"{how}; the rest goes on without it")]


def _value(value: Parameter, write: _Writer) -> Any:
    if isinstance(value, Expanded):
        return ParameterValue(Command(_xacro(value, write)), value_type=str)
    if isinstance(value, str):
        return ParameterValue(value, value_type=str)  # text that looks like YAML stays text
    return list(value) if isinstance(value, tuple) else value


def _xacro(description: Expanded, write: _Writer) -> list[Any]:
    words = [shlex.quote(description.path)]
    for name, value in description.arguments.items():
        words.append(shlex.quote(f"{name}:={write(value)}"))
    return [FindExecutable(name="xacro"), " " + " ".join(words)]


def _said(stack: Stack) -> list[ExecuteProcess]:
    if not stack.instruction:
        return []
    # Once, and by a process of its own: a policy that is restarted must not move the arm by itself.
    words = ["labvla", "say", stack.instruction, "--wait", INSTRUCTION_PATIENCE]
    where = {NAMESPACE: stack.namespace}
    return [ExecuteProcess(cmd=words, name="instruction", additional_env=where, output="screen")]
