"""The real controller manager on mock hardware, and the requests that a cell makes to it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import rclpy
from ament_index_python.packages import get_package_prefix
from controller_manager_msgs.srv import (
    ConfigureController,
    ListControllers,
    LoadController,
    SwitchController,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import String
from std_srvs.srv import Trigger

_DEEP = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_SETTLE = 0.3  # s; the other side of a match may come later, and a first message be lost
_PATIENCE = 30.0  # s; a loaded machine needs most of it only at the start


def wait_for(condition: Callable[[], Any], what: str, patience: float = _PATIENCE) -> Any:
    end = time.monotonic() + patience
    while True:
        if result := condition():
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience:.0f} s for {what}")
        time.sleep(0.01)


class Recording:
    """Messages of one topic, kept as bytes until they are asked for: Python is slow at 500 Hz."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._raw: list[tuple[int, bytes]] = []

    def add(self, raw: bytes) -> None:
        self._raw.append((time.time_ns(), raw))

    def clear(self) -> None:
        self._raw.clear()

    def __len__(self) -> int:
        return len(self._raw)

    def last(self) -> Any:
        return deserialize_message(self._raw[-1][1], self._kind)

    def messages(self) -> list[tuple[int, Any]]:
        """Return (time of arrival in ns, message)."""
        return [(stamp, deserialize_message(raw, self._kind)) for stamp, raw in list(self._raw)]


class Manager:
    """Runs ros2_control_node in a session of its own and talks to it; a context manager."""

    def __init__(self, description: str, parameters: Sequence[Path], log: Path) -> None:
        self._description = description
        self._parameters = parameters
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Manager:
        rclpy.init()
        self.node = rclpy.create_node("controller_manager_rig")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        latched = self.node.create_publisher(String, "robot_description", _LATCHED)
        latched.publish(String(data=self._description))
        program = Path(get_package_prefix("controller_manager"), "lib", "controller_manager")
        files = [word for path in self._parameters for word in ("--params-file", path)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program / "ros2_control_node", "--ros-args", *files],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        rclpy.shutdown()
        self._thread.join()
        if self._process is not None:
            end_process(self._process)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except rclpy.executors.ExternalShutdownException:
            return

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def record(self, kind: type, topic: str) -> Recording:
        recording = Recording(kind)
        self.node.create_subscription(kind, topic, recording.add, _DEEP, raw=True)
        return recording

    def publisher(self, kind: type, topic: str) -> Any:
        publisher = self.node.create_publisher(kind, topic, 10)
        wait_for(publisher.get_subscription_count, f"a subscriber of {topic}")
        time.sleep(_SETTLE)
        return publisher

    def client(self, kind: type, name: str) -> Any:
        """Return a client that has found its service: the search may take longer than a call."""
        if name not in self._clients:
            client = self.node.create_client(kind, name)
            if not client.wait_for_service(_PATIENCE):
                raise TimeoutError(f"no service {name} after {_PATIENCE:.0f} s; see {self._log}")
            self._clients[name] = client
        return self._clients[name]

    def call(self, kind: type, name: str, request: Any) -> Any:
        future = self.client(kind, name).call_async(request)
        wait_for(future.done, f"the answer of {name}")
        return future.result()

    def trigger(self, name: str) -> Trigger.Response:
        return self.call(Trigger, name, Trigger.Request())

    def load(self, *names: str) -> None:
        for name in names:
            assert self.try_load(name), f"{name} was not loaded and configured; see {self._log}"

    def try_load(self, name: str) -> bool:
        load = LoadController.Request(name=name)
        configure = ConfigureController.Request(name=name)
        return (
            self.call(LoadController, "controller_manager/load_controller", load).ok
            and self.call(
                ConfigureController, "controller_manager/configure_controller", configure
            ).ok
        )

    def switch(self, activate: Iterable[str] = (), deactivate: Iterable[str] = ()) -> bool:
        request = SwitchController.Request(
            activate_controllers=list(activate),
            deactivate_controllers=list(deactivate),
            strictness=SwitchController.Request.STRICT,
        )
        request.timeout.sec = 5
        return self.call(SwitchController, "controller_manager/switch_controller", request).ok

    def states(self) -> dict[str, str]:
        answer = self.call(
            ListControllers, "controller_manager/list_controllers", ListControllers.Request()
        )
        return {controller.name: controller.state for controller in answer.controller}


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask a process group to end, then insist."""
    for number, patience in ((signal.SIGINT, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is None:
            os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return
