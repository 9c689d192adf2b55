"""One FR3 under the real controller manager, moved by our controller, by JTC or by CRISP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from vendor_prefix import make_prefix

from labvla_bringup import controllers
from labvla_policy.runtime.cell import Cell, load_cell

HERE = Path(__file__).absolute().parent
PLUGIN_TESTS = HERE.parents[1] / "labvla_control" / "test" / "plugin"
sys.path.append(str(PLUGIN_TESTS))

KINDS = ("labvla", "jtc", "crisp")
HARDWARE = ("mock", "mujoco")
BROADCASTER = "joint_state_broadcaster"
HOME = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)  # rad, as Franka's own fake hardware

_PLUGINS = {"mock": "mock_components/GenericSystem", "mujoco": "labvla_control/MujocoHardware"}
_NEEDED = {"labvla": "labvla_control", "jtc": "joint_trajectory_controller"}
_BRIDGE = (
    "import sys; from labvla_policy.nodes.controller_bridge_node import main; sys.exit(main())"
)


def what_is_missing(kind: str = "labvla", hardware: str = "mock") -> str:
    """Return why a controller cannot be run here; empty when it can."""
    package = _NEEDED.get(kind, "crisp_controllers")
    for needed in ("controller_manager", BROADCASTER, "robot_state_publisher", package):
        try:
            prefix = Path(get_package_prefix(needed))
        except PackageNotFoundError:
            return f"the ROS package {needed} is not installed (bench mode does without)"
    libraries = []
    if kind == "labvla":
        libraries.append(prefix / "lib" / "liblabvla_control_plugin.so")
    if hardware == "mujoco":
        ours = Path(get_package_prefix("labvla_control"))
        libraries.append(ours / "lib" / "liblabvla_control_mujoco.so")
    absent = [library.name for library in libraries if not library.exists()]
    return f"labvla_control was built without {absent[0]}" if absent else ""


def vendors_environment(folder: Path) -> dict[str, str]:
    """Return an environment with stand-ins for the robots' drivers, and the real manager."""
    prefix = make_prefix(folder, without=("controller_manager",))
    return {**os.environ, "AMENT_PREFIX_PATH": f"{prefix}:{os.environ['AMENT_PREFIX_PATH']}"}


def franka_description(folder: Path, hardware: str) -> str:
    """Return the arm as its launch file describes it, on other hardware."""
    share = HERE / "vendors" / "franka_bringup" / "urdf" / "franka_arm.urdf.xacro"
    expanded = subprocess.run(
        ["xacro", str(share), "use_fake_hardware:=true"],
        env=vendors_environment(folder / "vendors"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    block = _mock() if hardware == "mock" else _mujoco(folder)
    return re.sub(r"<ros2_control.*</ros2_control>", lambda _: block, expanded, flags=re.DOTALL)


def _mock() -> str:
    # With dynamics a position that is commanded is measured one cycle later, with its velocity.
    return _hardware("mock", '<param name="calculate_dynamics">true</param>', ("position",))


def _mujoco(folder: Path) -> str:
    model = folder / "arm.xml"
    printed = subprocess.run(
        [sys.executable, "-m", "labvla_sim.arms", "franka"], check=True, capture_output=True
    )
    model.write_bytes(printed.stdout)
    return _hardware("mujoco", f'<param name="model">{model}</param>', ("position", "effort"))


def _hardware(kind: str, parameter: str, commands: tuple[str, ...]) -> str:
    states = ("position", "velocity", *(("effort",) if "effort" in commands else ()))
    joints = []
    for joint, home in zip(load_cell("franka").joints, HOME, strict=True):
        told = "".join(f'<command_interface name="{name}"/>' for name in commands)
        for name in states:
            initial = home if name == "position" else 0.0
            told += (
                f'<state_interface name="{name}"><param name="initial_value">{initial}</param>'
                "</state_interface>"
            )
        joints.append(f'<joint name="{joint}">{told}</joint>')
    return (
        f'<ros2_control name="arm" type="system"><hardware><plugin>{_PLUGINS[kind]}</plugin>'
        f"{parameter}</hardware>{''.join(joints)}</ros2_control>"
    )


def parameters(cell: Cell, kind: str, hardware: str, rate: float) -> dict[str, Any]:
    """Return a manager's parameter file: the cell's own controller, measured at every cycle."""
    settings = controllers.parameters(cell, kind)
    for values in settings.values():
        if hardware == "mock":
            _on_positions(values)
        if kind == "labvla":
            values["state_rate"] = rate
    remapped = {BROADCASTER: [("joint_states", cell.joint_states.topic)]}
    remapped |= {name: list(controllers.remappings(name, kind)) for name in settings}
    types = {BROADCASTER: "joint_state_broadcaster/JointStateBroadcaster"}
    types |= {name: values["type"] for name, values in settings.items()}
    manager: dict[str, Any] = {"update_rate": round(rate)}
    for name, its_type in types.items():
        words = [w for old, new in remapped[name] for w in ("--remap", f"{old}:={new}")]
        manager[name] = {"type": its_type, **({"node_options_args": words} if words else {})}
    nodes = {"controller_manager": manager, **settings}
    return {name: {"ros__parameters": values} for name, values in nodes.items()}


def _on_positions(values: dict[str, Any]) -> None:
    """Mock joints do not move by torques."""
    if "command_interfaces" in values:
        values["command_interfaces"] = ["position"]
        values.pop("gains", None)
    elif "command_interface" in values:
        values |= {"command_interface": "position", "compliance": "none"}
        values.pop("impedance", None)


class Backend:
    """A running manager with one kind of controller, and the bridge where there is one."""

    def __init__(self, manager: Any, cell: Cell, kind: str) -> None:
        self.manager, self.cell, self.kind = manager, cell, kind
        self.bridge: subprocess.Popen[bytes] | None = None

    def start_bridge(self) -> None:
        """Start the bridge that speaks our controller's words."""
        names = ", ".join(controllers.controller_names(self.cell, self.kind))
        told = {"cell": self.cell.name, "kind": self.kind, "controllers": f"'{names}'"}
        words = [word for name, value in told.items() for word in ("-p", f"{name}:={value}")]
        self.bridge = subprocess.Popen(
            [sys.executable, "-c", _BRIDGE, "--ros-args", *words], start_new_session=True
        )


@contextmanager
def running(kind: str, hardware: str, folder: Path, rate: float | None = None) -> Iterator[Backend]:
    """Run a manager with the cell's controllers of a kind active."""
    from controller_manager_rig import Manager, end_process

    cell = load_cell("franka")
    description = franka_description(folder, hardware)
    file = folder / "controllers.yaml"
    told = parameters(cell, kind, hardware, rate or cell.controller.rate)
    file.write_text(yaml.safe_dump(told))
    with ExitStack() as stack:
        manager = stack.enter_context(Manager(description, [file], folder / "manager.log"))
        if kind == "crisp":  # reads the description from this node's parameter
            publisher = _state_publisher(description, folder)
            stack.callback(end_process, publisher)
        names = controllers.controller_names(cell, kind)
        manager.load(BROADCASTER, *names)
        assert manager.switch(activate=[BROADCASTER, *names])
        backend = Backend(manager, cell, kind)
        if kind != "labvla":
            backend.start_bridge()
            stack.callback(lambda: end_process(backend.bridge))
        yield backend


def _state_publisher(description: str, folder: Path) -> subprocess.Popen[bytes]:
    file = folder / "description.yaml"
    told = {"robot_state_publisher": {"ros__parameters": {"robot_description": description}}}
    file.write_text(yaml.safe_dump(told))
    program = Path(get_package_prefix("robot_state_publisher"), "lib", "robot_state_publisher")
    with (folder / "state_publisher.log").open("wb") as log:
        return subprocess.Popen(
            [program / "robot_state_publisher", "--ros-args", "--params-file", file],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
