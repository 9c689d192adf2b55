"""Checks of drivers that run, whoever started them: nothing here needs `labvla up`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from ament_index_python import PackageNotFoundError, get_package_share_directory
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_bringup.graph import Graph
from labvla_bringup.launched import launched_namespace
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell.arm import UrDriver
from labvla_policy.runtime.diagnosis import LEAST_RATE
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refused

DISCOVERY = 3.0  # s
LISTEN = 2.0  # s
OFFSET = 5e-3  # s between two computers' stamps; beyond it chunks are refused
NETWORK = 100e6  # bytes/s that a gigabit carries beside everything else


def joint_order(context: Context) -> str:
    """The driver that runs has all joints of the cell."""
    _, message = _joint_states(context)[-1]
    cell = context.cell
    try:
        select_positions(message.name, message.position, cell.joints)
    except Refused as refused:
        detail = refused.refusal.detail
        raise Failed(detail, "compare `joints` in the cell file with the driver") from None
    told = [name for name in message.name if name in cell.joints]
    same = "in the cell's order" if told == list(cell.joints) else "in another order: read by name"
    return f"{len(told)} joints, {same}"


def clock_offset(context: Context) -> str:
    """The stamps of the robot's computer agree with this one's clock."""
    heard = _joint_states(context)
    ages = [(arrived - to_ns(message.header.stamp)) * 1e-9 for arrived, message in heard]
    least = min(ages)  # the quickest message says most about the clocks
    if abs(least) > OFFSET:
        where = "ahead of" if least < 0 else "behind"
        raise Failed(
            f"the robot's stamps are {abs(least) * 1e3:.1f} ms {where} this clock, "
            f"{OFFSET * 1e3:g} ms are allowed",
            "chronyc sources on both computers; see the check clock_sync",
        )
    return f"quickest joint state {least * 1e3:.1f} ms old on arrival"


def calibration(context: Context) -> str:
    """A UR's driver runs with this very arm's calibration."""
    arms = [(arm, arm.driver) for arm in context.cell.arms if isinstance(arm.driver, UrDriver)]
    if not arms:
        raise Skipped("only a UR needs its calibration in the driver")
    try:
        share = Path(get_package_share_directory("ur_description"))
    except PackageNotFoundError:
        raise Skipped("ur_description is not installed here to compare with") from None
    hashes = calibration_hashes(_description())
    if not hashes:
        raise Skipped("robot_description has no UR hardware: mock hardware?")
    for arm, driver in arms:
        file = share / "config" / arm.kind / "default_kinematics.yaml"
        default = str(yaml.safe_load(file.read_text())["kinematics"]["hash"])
        if default in hashes:
            raise Failed(
                f"{arm.name}: the driver runs with the default calibration: the tool is off by "
                "millimetres to centimetres",
                "ros2 launch ur_calibration calibration_correction.launch.py "
                f"robot_ip:={driver.address} target_filename:=FILE, then "
                "kinematics_params_file:=FILE",
            )
    return f"{', '.join(sorted(hashes))}: not the default; the driver's log compares the robot's"


def calibration_hashes(urdf: str) -> set[str]:
    """Return the calibrations that the hardware of a description was given."""
    root = ElementTree.fromstring(urdf)
    parameters = root.iterfind(".//ros2_control/hardware/param[@name='kinematics/hash']")
    return {str(parameter.text).strip() for parameter in parameters}


def camera_bandwidth(context: Context) -> str:
    """Cameras come as often as the cell says, and what they send fits a network."""
    cameras = context.cell.cameras
    sizes: dict[str, list[int]] = {camera.name: [] for camera in cameras}
    with Graph(launched_namespace()) as graph:
        for camera in cameras:
            kind = CompressedImage if camera.encoding == "jpeg" else Image
            note = partial(_note_size, sizes[camera.name])
            graph.node.create_subscription(kind, camera.topic, note, qos.IMAGES, raw=True)
        graph.spin_until(lambda: all(sizes.values()), DISCOVERY)
        if not any(sizes.values()):
            raise Skipped("no camera sends anything", "start the camera drivers")
        for found in sizes.values():
            found.clear()
        begin = time.monotonic()
        graph.spin_for(LISTEN)
        seconds = time.monotonic() - begin
    slow = [
        f"{camera.name} {len(sizes[camera.name]) / seconds:.1f} of {camera.rate:g} Hz"
        for camera in cameras
        if len(sizes[camera.name]) / seconds < LEAST_RATE * camera.rate
    ]
    if slow:
        raise Failed(
            ", ".join(slow),
            "one USB 3 controller a camera or two (lsusb -t), cables under 3 m, the profile of the "
            "driver, light (long exposures halve the rate)",
        )
    load = sum(map(sum, sizes.values())) / seconds
    if load > NETWORK and os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") != "LOCALHOST":
        raise Failed(
            f"{load / 1e6:.0f} MB/s, a gigabit network carries {NETWORK / 1e6:g} MB/s",
            "run the policy where the cameras are, or take compressed topics (encoding: jpeg)",
        )
    return f"{len(cameras)} cameras, {load / 1e6:.1f} MB/s"


def _note_size(sizes: list[int], message: bytes) -> None:
    sizes.append(len(message))


def _joint_states(context: Context) -> list[tuple[int, JointState]]:
    """Listen for a moment; each message with the time of its arrival (ns)."""
    heard: list[tuple[int, JointState]] = []
    topic = context.cell.joint_states.topic

    def take(message: JointState) -> None:
        heard.append((time.time_ns(), message))

    _listen(JointState, topic, take, lambda: bool(heard), qos.JOINT_STATES)
    if not heard:
        raise Skipped(f"nobody publishes {topic}", "start the driver, then ask again")
    return heard


def _description() -> str:
    heard: list[str] = []
    _listen(
        String,
        "robot_description",
        lambda message: heard.append(message.data),
        lambda: bool(heard),
        qos.LATCHED,
    )
    if not heard:
        raise Skipped("nobody publishes robot_description", "start the driver, then ask again")
    return heard[0]


def _listen(
    kind: Any, topic: str, take: Callable[[Any], None], enough: Callable[[], bool], profile: Any
) -> None:
    with Graph(launched_namespace()) as graph:
        graph.node.create_subscription(kind, topic, take, profile)
        if graph.spin_until(enough, DISCOVERY):
            graph.spin_for(0.5)
