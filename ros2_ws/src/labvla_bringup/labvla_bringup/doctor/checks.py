"""The doctor's checks, in the order in which a person would look."""

from labvla_bringup.doctor import cameras, cell, dds, machine
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
