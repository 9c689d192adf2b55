"""A manager with the controller in it, a sender beside it, and what both are seen to do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from controller_manager_rig import Manager, end_process, wait_for
from recorded_motion import STOPPING, TRACKING, Motion, operating_limits

from labvla_msgs.msg import ActionChunk, ControllerState, SafetyEvent

HERE = Path(__file__).parent
CONTROLLER = "labvla_controller"
PERIOD = 0.002  # s, of every parameter file in params/


def parameters_of(path: Path, node: str) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())[node]["ros__parameters"]


class Cell:
    """One running manager with the controller loaded, and its recordings."""

    def __init__(self, manager: Manager, parameters: Path) -> None:
        self.manager = manager
        settings = parameters_of(parameters, CONTROLLER)
        self.joints: list[str] = settings["joints"]
        self.limits = operating_limits(settings, self.joints)
        self.states = manager.record(ControllerState, f"{CONTROLLER}/state")
        self.events = manager.record(SafetyEvent, "labvla/events")
        self._senders: list[subprocess.Popen[bytes]] = []

    def activate(self) -> None:
        assert self.manager.switch(activate=[CONTROLLER])
        self.states.clear()
        self.events.clear()
        wait_for(lambda: len(self.states), "the controller's state")

    def deactivate(self) -> None:
        self.end_senders()
        if self.manager.states().get(CONTROLLER) == "active":
            assert self.manager.switch(deactivate=[CONTROLLER])

    def mode(self) -> int:
        return int(self.states.last().mode)

    def send(self, *arguments: str) -> subprocess.Popen[bytes]:
        sender = subprocess.Popen(
            [sys.executable, HERE / "chunk_sender.py", *arguments],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._senders.append(sender)
        return sender

    def end_senders(self) -> None:
        for sender in self._senders:
            end_process(sender)
            if sender.stdout is not None:
                sender.stdout.close()
        self._senders.clear()

    def trigger(self, service: str) -> Any:
        return self.manager.trigger(f"{CONTROLLER}/{service}")

    def wait_for_motion(self) -> None:
        def moving() -> bool:
            speed = np.linalg.norm(self.states.last().reference_velocities)
            return self.mode() == TRACKING and speed > 0.1

        wait_for(moving, "motion")

    def wait_for_standstill(self) -> None:
        def standing() -> bool:
            speed = np.abs(self.states.last().reference_velocities).max()
            return self.mode() not in (TRACKING, STOPPING) and speed < 1e-9

        wait_for(standing, "standstill")

    def chunk(self, sequence: int, session: int, rows: int = 8) -> ActionChunk:
        """Return a chunk that begins now and stays where the reference is."""
        state = self.states.last()
        now_ns = time.time_ns()
        message = ActionChunk(dt=1.0 / 30.0, rows=rows, session=session, sequence=sequence)
        for stamp in (message.observation_stamp, message.plan_start):
            stamp.sec, stamp.nanosec = divmod(now_ns, 10**9)
        message.joint_names = list(state.joint_names)
        message.joint_targets = list(state.reference_positions) * rows
        return message

    def motion(self) -> Motion:
        return Motion.of([message for _, message in self.states.messages()], PERIOD)
