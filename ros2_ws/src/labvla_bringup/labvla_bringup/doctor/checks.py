"""The doctor's checks, in the order in which a person would look."""

from labvla_bringup.doctor import (
    cameras,
    cell,
    computer,
    dds,
    machine,
    other_side,
    robots,
    running,
)
from labvla_bringup.doctor.frame import Check

CHECKS = (
    Check("python", machine.python),
    Check("ros", machine.ros),
    Check("interfaces", machine.interfaces),
    Check("domain", machine.domain),
    Check("shared_memory", machine.shared_memory),
    Check("dds_1mb", dds.round_trip),
    Check("disk", machine.disk),
    Check("rendering", machine.rendering),
    Check("torch", machine.torch),
    Check("gpu", machine.gpu),
    Check("cell", cell.description),
    Check("policy_contract", cell.contract),
    Check("calibration", cameras.calibration),
    Check("executables", machine.executables),
    Check("stack", cell.stack),
    Check("joint_states", cell.joint_states),
    Check("single_publisher", cell.single_publisher),
    Check("camera_drift", cameras.moved),
)

# With --hardware, after the others: on the computer that runs the robots' drivers.
HARDWARE_CHECKS = (
    Check("driver", robots.driver),
    Check("network_card", robots.network_card),
    Check("reachable", robots.reachable),
    Check("control", robots.control),
    Check("firmware", robots.firmware),
    Check("driver_versions", robots.driver_versions),
    Check("robot_calibration", running.calibration),
    Check("joint_order", running.joint_order),
    Check("clock_sync", computer.clock_sync),
    Check("clock_offset", running.clock_offset),
    Check("realtime_kernel", computer.realtime_kernel),
    Check("realtime_limits", computer.realtime_limits),
    Check("cpu_governor", computer.cpu_governor),
    Check("socket_buffers", computer.socket_buffers),
    Check("camera_bandwidth", running.camera_bandwidth),
    Check("ipc", computer.ipc),
    Check("same_domain", other_side.same_domain),
    Check("same_namespace", other_side.same_namespace),
    Check("same_cell", other_side.same_cell),
    Check("image_across", other_side.image_across),
)
