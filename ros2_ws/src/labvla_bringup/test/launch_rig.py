"""Runs the real `ros2 launch` on this repository's launch files, with stand-ins for the drivers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import rclpy
import vendor_messages
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from vendor_prefix import make_prefix

from labvla_bringup.launched import POLICY_STATES
from labvla_msgs.msg import PolicyStatus
from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import RobotStatus, from_message

MODULES = ("launch", "launch_ros", "ros2launch", "xacro", "controller_manager")
PACKAGES = ("robot_state_publisher", "tf2_ros", "controller_manager_msgs")
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PATIENCE = 120.0  # s: starting a dozen processes on a busy machine


def what_is_missing() -> str:
    """Return why launch files cannot be run here; empty when they can."""
    for module in MODULES:
        if importlib.util.find_spec(module) is None:
            return f"the Python package {module} is not installed (bench mode does without)"
    if shutil.which("ros2") is None or shutil.which("xacro") is None:
        return "ros2 and xacro are not on the PATH"
    for package in PACKAGES:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            return f"the ROS package {package} is not installed (bench mode does without)"
    return vendor_messages.provide()


def environment(folder: Path, real: tuple[str, ...] = ()) -> dict[str, str]:
    """Return an environment in which the stand-ins are the installed drivers.

    Args:
        folder: for what is written.
        real: packages that are really installed.
    """
    prefix = make_prefix(folder / "vendors", without=real)
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",  # what a process has said is in the log when it is waited for
        "AMENT_PREFIX_PATH": f"{prefix}:{os.environ['AMENT_PREFIX_PATH']}",
        "ROS_LOG_DIR": str(folder / "log"),
        "ROS_HOME": str(folder / "home"),
        "LABVLA_RECORDINGS": str(folder / "recordings"),
    }


class Launch:
    """One `ros2 launch`, in a session of its own as if in its own terminal."""

    def __init__(
        self, folder: Path, file: str, *arguments: str, real: tuple[str, ...] = ()
    ) -> None:
        self.log = folder / "launch.log"
        self._environment = environment(folder, real)
        self._output = self.log.open("w")
        self._context = Context()
        rclpy.init(context=self._context)
        self._process = subprocess.Popen(
            ["ros2", "launch", "labvla_bringup", file, *arguments],
            cwd=folder,
            env=self._environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.node = Node("onlooker", context=self._context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._books: dict[str, object] = {}
        self._policies: list[PolicyStatus] = []
        self._robots: list[RobotStatus] = []
        for kind, topic, take, how in (
            (PolicyStatus, "labvla/status", self._policies.append, qos.RELIABLE),
            (
                DiagnosticStatus,
                "labvla/robot",
                lambda message: self._robots.append(from_message(message)),
                LATCHED,
            ),
        ):
            self.node.create_subscription(kind, topic, take, how)

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
        self._output.close()

    def read_books(self, namespace: str = "") -> None:
        """Listen to what the controller manager was asked."""
        self.node.create_subscription(
            String,
            f"{namespace}/controller_manager/books",
            lambda message: self._books.update(json.loads(message.data)),
            LATCHED,
        )

    def wait_for(self, what: str, condition) -> None:
        """Wait for a condition; fail with the log when it does not come true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self._process.poll() is None, f"ended before {what}:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"no {what}:\n{self.log.read_text()}"
            self._executor.spin_once(timeout_sec=0.1)

    def command(self, *words: str) -> str:
        """Run a command in another terminal, while the nodes of this one go on; return its words.

        Whoever asks first may not know all of the graph yet: it is asked again.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.Popen(
                words,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.wait_for(f"end of {words}", lambda done=done: done.poll() is not None)
            said = done.stdout.read() if done.stdout else ""
            if done.returncode == 0:
                return said
            assert time.monotonic() < deadline, f"{words}: {said}\n{self.log.read_text()}"

    def books(self, *active: str, namespace: str = "") -> dict[str, object]:
        """Return what the manager was asked, once these controllers are active."""
        self.read_books(namespace)
        self.wait_for(
            f"active {active}",
            lambda: {"active"} == {self._books.get("states", {}).get(name) for name in active},
        )
        return self._books

    def hear(self, kind: type, topic: str) -> list[object]:
        """Return a list that will hold what is published."""
        heard: list[object] = []
        self.node.create_subscription(kind, topic, heard.append, 10)
        return heard

    def call(self, kind: type, name: str, request: object) -> object:
        """Call a service; wait for its answer."""
        client = self.node.create_client(kind, name)
        self.wait_for(f"service {name}", client.service_is_ready)
        future = client.call_async(request)
        self.wait_for(f"answer of {name}", future.done)
        self.node.destroy_client(client)
        return future.result()

    def wait_for_nodes(self, *names: str) -> None:
        """Wait until all of these nodes are there, by their full names."""
        self.wait_for(f"nodes {names}", lambda: set(names) <= self.nodes())

    def nodes(self) -> set[str]:
        """Return the nodes of the graph."""
        found = self.node.get_node_names_and_namespaces()
        return {f"{namespace.rstrip('/')}/{name}" for name, namespace in found}

    def wait_for_policy(self, state: str) -> None:
        """Wait until the policy says that it is in a state."""
        self.wait_for(
            f"policy {state}",
            lambda: self._policies and POLICY_STATES[self._policies[-1].state] == state,
        )

    def wait_for_robots(self, condition: Callable[[RobotStatus], bool]) -> None:
        """Wait for what the robot node says."""
        self.wait_for("word of the robots", lambda: self._robots and condition(self._robots[-1]))

    def switch(self, off: str) -> None:
        """Deactivate a controller behind everybody's back."""
        from controller_manager_msgs.srv import SwitchController  # not in bench mode

        request = SwitchController.Request(deactivate_controllers=[off], strictness=2)
        answer = self.call(SwitchController, "controller_manager/switch_controller", request)
        assert answer.ok

    def play_urs(self, *prefixes: str) -> list[object]:
        """Offer what the drivers' programs for URs would offer."""
        import mock_drivers

        behaviour = mock_drivers.Behaviour()
        manager = SimpleNamespace(behaviour=behaviour, controllers={}, add=lambda _: None)
        mock_drivers.Stack(self.node, behaviour, policy=False)
        return [mock_drivers.MockUr(self.node, manager, prefix) for prefix in prefixes]

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal tells everybody in the session."""
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        return self._process.wait(PATIENCE)

    def runs(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.poll() is None

    def running(self) -> dict[int, str]:
        """Return the commands of this session that run, by their process ids."""
        found = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--sid", str(self._process.pid)],
            check=False,
            capture_output=True,
            text=True,
        )
        pairs = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
        return {int(pid): command for pid, command in pairs}

    def kill(self, executable: str) -> None:
        """Kill a process as the kernel does when memory is short."""
        (pid,) = [pid for pid, words in self.running().items() if f"/{executable} " in words]
        os.kill(pid, signal.SIGKILL)

    def wait_for_word(self, text: str) -> None:
        """Wait until the log has a text."""
        self.wait_for(repr(text), lambda: text in self.log.read_text())


def run(file: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a launch file that is expected to end by itself."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            ["ros2", "launch", "labvla_bringup", file, *arguments],
            cwd=folder,
            env=environment(Path(folder)),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
