"""The doctor's report has its fixed form, and breaking one thing turns exactly its check red."""

import json

import pytest

from labvla_bringup import supervisor
from labvla_bringup.doctor import Context, dds, examine, machine
from labvla_bringup.doctor.checks import CHECKS
from labvla_bringup.graph import Graph
from labvla_bringup.resources import config
from labvla_msgs.msg import ActionChunk

# What a broken cell file takes away from others is their subject, not their health.
NEED_A_CELL = {
    "policy_contract", "calibration", "executables", "stack", "joint_states", "single_publisher",
    "camera_drift",
}  # fmt: skip


def report(cell="franka"):
    return {result.name: result for result in examine(Context(str(cell)), CHECKS)}


def failing(cell="franka"):
    return {name for name, result in report(cell).items() if result.result == "fail"}


def test_report_as_json(labvla):
    code, found = labvla.json("doctor", "franka")
    assert code == 0
    assert found["ok"] is True
    assert [check["name"] for check in found["checks"]] == [check.name for check in CHECKS]
    for check in found["checks"]:
        assert set(check) == {"name", "result", "detail", "hint"}
        assert check["result"] in {"pass", "skip"}
        assert check["detail"]


def test_without_a_cell_only_the_machine_is_examined():
    results = {result.name: result.result for result in examine(Context(None), CHECKS)}
    assert {results[name] for name in NEED_A_CELL | {"cell"}} == {"skip"}
    assert results["python"] == "pass"


def broken_import(name):
    real = machine.importlib.import_module

    def import_module(wanted, package=None):
        if wanted == name:
            raise ImportError(f"{wanted} was taken away")
        return real(wanted, package)

    return import_module


def no_egl(name):
    raise OSError(f"{name}: cannot open shared object file")


def full(_folder):
    return type("Usage", (), {"free": 1_000_000})()


BREAKAGES = {
    "python": lambda m, _: m.setattr(machine.sys, "version_info", (3, 9, 0)),
    "ros": lambda m, _: m.setattr(
        machine.importlib, "import_module", broken_import("rclpy.utilities")
    ),
    "interfaces": lambda m, _: m.setattr(
        machine.importlib, "import_module", broken_import("labvla_msgs.msg")
    ),
    "domain": lambda m, _: m.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "EVERYWHERE"),
    "shared_memory": lambda m, tmp: m.setattr(machine, "SHARED_MEMORY", tmp / "absent"),
    "dds_1mb": lambda m, _: m.setattr(dds, "TIMEOUT", 0.0),
    "disk": lambda m, _: m.setattr(machine, "NEEDED_DISK", 10**18),
    "rendering": lambda m, _: m.setattr(machine.ctypes, "CDLL", no_egl),
    "executables": lambda m, tmp: m.setattr(supervisor, "get_package_prefix", lambda _: str(tmp)),
}


@pytest.mark.parametrize("name", sorted(BREAKAGES))
def test_breaking_one_thing_turns_exactly_its_check_red(monkeypatch, tmp_path, name):
    BREAKAGES[name](monkeypatch, tmp_path)
    assert failing() == {name}


def test_a_broken_cell_file_turns_exactly_its_check_red(tmp_path):
    file = tmp_path / "franka.yaml"
    file.write_text(config("cells/franka.yaml").read_text().replace("row_rate:", "row_rat:"))
    results = report(file)
    assert {name for name, result in results.items() if result.result == "fail"} == {"cell"}
    assert {results[name].result for name in NEED_A_CELL} == {"skip"}
    assert "franka.yaml:" in results["cell"].detail


def test_exit_code_1_when_a_check_fails(labvla):
    code, found = labvla.json("doctor", env={"ROS_AUTOMATIC_DISCOVERY_RANGE": "EVERYWHERE"})
    assert code == 1
    assert found["ok"] is False
    failed = [check for check in found["checks"] if check["result"] == "fail"]
    assert [check["name"] for check in failed] == ["domain"]
    assert failed[0]["hint"]
    assert json.dumps(found)


@pytest.mark.usefixtures("franka_up")
def test_live_checks_of_a_running_stack():
    results = report()
    for name in ("stack", "joint_states", "single_publisher"):
        assert results[name].result == "pass", results[name]


@pytest.mark.usefixtures("franka_up")
def test_a_second_publisher_of_chunks_is_found():
    with Graph() as intruder:
        intruder.node.create_publisher(ActionChunk, "labvla/action_chunk", 1)
        assert failing() == {"single_publisher"}


@pytest.mark.usefixtures("franka_up")
def test_joints_that_the_driver_does_not_publish_are_found(tmp_path):
    file = tmp_path / "franka.yaml"
    text = config("cells/franka.yaml").read_text()
    file.write_text(text.replace("fr3_joint", "fr3v2_joint"))
    results = report(file)
    assert results["joint_states"].result == "fail"
    assert "fr3v2_joint1 is missing" in results["joint_states"].detail
