"""The real controller manager: every controller takes its file, follows chunks, and stops.

The files of config/controllers against the controllers that they name, the bridge in front of JTC
and CRISP, and our launch files with the robots' stand-ins (but the real manager) behind them. What
these controllers do in figures is measured by measure_backends.py.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import backend_rig
import numpy as np
import pytest
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from backend_rig import BROADCASTER, PLUGIN_TESTS, running, what_is_missing
from launch_rig import Launch
from launch_rig import what_is_missing as what_launching_misses
from policy_rig import policy_node

from labvla_bringup import controllers
from labvla_bringup.graph import Graph
from labvla_policy.runtime.cell import load_cell

if reason := what_is_missing():
    pytest.skip(reason, allow_module_level=True)

from cell_rig import CONTROLLER
from controller_manager_msgs.srv import ListControllers
from controller_manager_rig import Manager, end_process, wait_for
from sensor_msgs.msg import JointState

from labvla_msgs.msg import ControllerState
from labvla_msgs.srv import SetInstruction

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
FILES = sorted((ROOT / "config" / "controllers").glob("*.yaml"))
DESCRIPTIONS = {
    "franka": "{vendors}/franka_bringup/urdf/franka_arm.urdf.xacro use_fake_hardware:=true",
    "ur5e": "{ours}/ur5e.urdf.xacro use_mock_hardware:=true",
    "dual_arm": "{ours}/dual_arm.urdf.xacro use_mock_hardware:=true",
    "dual_franka": "{ours}/dual_franka.urdf.xacro use_fake_hardware:=true",
}
MOVING = 0.08  # rad/s
STANDING = 0.01  # rad/s
STOOD = 0.5  # s that an arm stands still before it is called standing


def description(cell: str, folder: Path) -> str:
    words = DESCRIPTIONS[cell].format(vendors=HERE / "vendors", ours=ROOT / "urdf").split()
    printed = subprocess.run(
        ["xacro", *words],
        env=backend_rig.vendors_environment(folder / "vendors"),
        check=True,
        capture_output=True,
        text=True,
    )
    return printed.stdout


def manager_file(cell: str, files: list[Path], folder: Path) -> Path:
    """Return a manager's own parameters: the types are in the controllers' files, too."""
    types = {
        name: {"type": told["ros__parameters"]["type"]}
        for file in files
        for name, told in yaml.safe_load(file.read_text()).items()
    }
    rate = {"update_rate": round(load_cell(cell).controller.rate)}
    path = folder / "manager.yaml"
    path.write_text(yaml.safe_dump({"controller_manager": {"ros__parameters": rate | types}}))
    return path


@pytest.mark.parametrize("cell", sorted(DESCRIPTIONS))
def test_every_controller_takes_its_shipped_file_and_becomes_active(cell: str, tmp_path: Path):
    files = [file for file in FILES if file.stem.rsplit("_", 1)[0] == cell]
    files = [f for f in files if not what_is_missing(f.stem.rsplit("_", 1)[1])]
    text = description(cell, tmp_path)
    own = manager_file(cell, files, tmp_path)
    log = tmp_path / "manager.log"
    with Manager(text, [own, *files], log) as manager:
        publisher = backend_rig._state_publisher(text, tmp_path)
        try:
            for file in files:
                kind = file.stem.rsplit("_", 1)[1]
                names = controllers.controller_names(load_cell(cell), kind)
                manager.load(*names)
                assert manager.switch(activate=names), (file.name, manager.log()[-3000:])
                assert {manager.states()[name] for name in names} == {"active"}
                assert manager.switch(deactivate=names)
        finally:
            end_process(publisher)


class Motion:
    """What is seen of one backend while chunks come."""

    def __init__(self, backend: backend_rig.Backend) -> None:
        self._backend = backend
        self._measured = backend.manager.record(JointState, backend.cell.joint_states.topic)
        self._states = backend.manager.record(ControllerState, f"{CONTROLLER}/state")
        wait_for(lambda: len(self._states) and len(self._measured), "states")

    def send(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, PLUGIN_TESTS / "chunk_sender.py"],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def speed(self) -> float:
        return float(np.abs(self._measured.last().velocity).max())

    @property
    def state(self) -> Any:
        return self._states.last()

    def wait_for_motion(self) -> None:
        wait_for(lambda: self.speed > MOVING, "motion")

    def wait_for_standstill(self) -> None:
        still_since = time.monotonic()
        deadline = still_since + 30.0
        while time.monotonic() - still_since < STOOD:
            assert time.monotonic() < deadline, "it never stands"
            if self.speed > STANDING:
                still_since = time.monotonic()
            time.sleep(0.02)


@pytest.mark.parametrize("hardware", backend_rig.HARDWARE)
@pytest.mark.parametrize("kind", backend_rig.KINDS)
def test_chunks_are_followed_and_who_sends_them_may_be_killed(
    kind: str, hardware: str, tmp_path: Path
):
    if reason := what_is_missing(kind, hardware):
        pytest.skip(reason)
    if kind == "crisp" and hardware == "mock":
        pytest.skip("mock joints do not move by torques")
    with running(kind, hardware, tmp_path, rate=500.0) as backend:
        motion = Motion(backend)
        sender = motion.send()
        motion.wait_for_motion()
        wait_for(lambda: motion.state.chunks_accepted >= 3, "chunks")
        sender.kill()
        sender.wait()
        motion.wait_for_standstill()
        assert motion.state.mode == ControllerState.HOLD
        assert motion.state.chunks_refused == 0

        sender = motion.send()
        motion.wait_for_motion()
        assert backend.manager.trigger(f"{CONTROLLER}/stop").success
        motion.wait_for_standstill()
        assert motion.state.mode == ControllerState.STOPPED
        end_process(sender)
        assert backend.manager.trigger(f"{CONTROLLER}/reset_stop").success
        wait_for(lambda: motion.state.mode == ControllerState.HOLD, "release")

        if backend.bridge is not None:
            sender = motion.send()
            motion.wait_for_motion()
            backend.bridge.kill()
            backend.bridge.wait()
            motion.wait_for_standstill()
            end_process(sender)


@pytest.mark.parametrize("kind", backend_rig.KINDS)
def test_a_policy_node_that_is_killed_leaves_the_arm_standing(kind: str, tmp_path: Path):
    if reason := what_is_missing(kind, "mujoco"):
        pytest.skip(reason)
    with running(kind, "mujoco", tmp_path) as backend, Graph() as graph:
        motion = Motion(backend)
        with policy_node(backend.cell, kind, tmp_path) as policy:
            request = SetInstruction.Request(instruction="nod")
            wait_for(
                lambda: graph.call(SetInstruction, "labvla/set_instruction", request).accepted,
                "a policy that takes an instruction",
                patience=60.0,
            )
            motion.wait_for_motion()
            policy.kill()
            killed = time.monotonic()
            motion.wait_for_standstill()
            print(f"{kind}: stood for {STOOD:g} s {time.monotonic() - killed:.2f} s after the kill")
            policy.wait()
        assert motion.state.mode == ControllerState.HOLD
        assert motion.state.chunks_refused == 0


LAUNCHES = (
    ("franka", "franka", "labvla"),
    ("franka", "franka", "jtc"),
    ("franka", "franka", "crisp"),
    ("ur5e", "ur5e", "labvla"),
    ("ur5e", "ur5e", "jtc"),
    ("dual_arm", "dual_arm", "labvla"),
    ("dual_arm", "dual_franka", "labvla"),
    ("dual_arm", "dual_franka", "crisp"),
)
OF_THE_UR_DRIVER = (
    "ur_controllers",  # the stand-in in vendors/, compiled
    "force_torque_sensor_broadcaster",
    "parallel_gripper_controller",
)


def why_not_launched(cell: str, kind: str) -> str:
    if reason := what_launching_misses() or what_is_missing(kind):
        return reason
    for package in OF_THE_UR_DRIVER if load_cell(cell).arms[0].kind == "ur5e" else ():
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            return f"the ROS package {package} is not installed"
    return ""


@pytest.mark.parametrize(("file", "cell", "kind"), LAUNCHES)
def test_the_launch_files_bring_the_real_manager_up_and_ctrl_c_ends_it(
    file: str, cell: str, kind: str, tmp_path: Path
):
    if reason := why_not_launched(cell, kind):
        pytest.skip(reason)
    told = (
        "use_fake_hardware:=true",
        "record:=false",
        f"cell:={cell}",
        f"controller:={kind}",
        "policy:=replay",
    )
    expected = controllers.controller_names(load_cell(cell), kind)
    with Launch(
        tmp_path, f"{file}.launch.py", *told, real=("controller_manager", "ur_controllers")
    ) as stack:

        def active() -> set[str]:
            name = "/controller_manager/list_controllers"
            answer: Any = stack.call(ListControllers, name, ListControllers.Request())
            return {found.name for found in answer.controller if found.state == "active"}

        stack.wait_for(f"active {expected}", lambda: {BROADCASTER, *expected} <= active())
        states = stack.hear(ControllerState, f"/{CONTROLLER}/state")
        stack.wait_for("the controller's state", lambda: states)
        stack.wait_for_nodes("/policy")
        stack.interrupt()
        stack.end()
        assert stack.running() == {}
