"""What the container files promise, as far as it can be read from them: they are not built here."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
SERVICES = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
PINNED = dict(
    line.split("==")
    for line in (ROOT / "requirements/bench.in").read_text().splitlines()
    if "==" in line
)


@pytest.mark.parametrize("service", ["robot", "policy"])
def test_both_computers_speak_as_one_machine(service):
    told = SERVICES[service]
    assert (told["network_mode"], told["ipc"]) == ("host", "host")
    assert told["user"] == SERVICES["robot"]["user"]


def test_nothing_that_moves_an_arm_starts_by_itself():
    assert {SERVICES[name]["restart"] for name in ("robot", "policy")} == {"no"}


def test_an_interrupt_is_what_ends_the_launch():
    assert {SERVICES[name]["stop_signal"] for name in ("robot", "policy")} == {"SIGINT"}


def test_the_control_loop_may_have_a_real_time_priority_and_the_policy_needs_none():
    assert SERVICES["robot"]["ulimits"] == {"rtprio": 99, "memlock": -1}
    assert "ulimits" not in SERVICES["policy"]


def test_every_service_has_its_stage_and_no_stage_runs_as_root():
    stages = re.split(r"^FROM \S+ AS (\w+)$", DOCKERFILE, flags=re.MULTILINE)
    bodies = dict(zip(stages[1::2], stages[2::2], strict=True))
    for service in SERVICES.values():
        body = bodies[service["build"]["target"]]
        assert re.findall(r"^USER (.*)$", body, flags=re.MULTILINE)[-1] == "${UID}"


@pytest.mark.parametrize("file", ["robot.txt", "policy.txt"])
def test_images_and_bench_mode_use_the_same_versions(file):
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    wanted = dict(line.split("==") for line in lines if "==" in line)
    assert wanted
    assert wanted == {name: PINNED[name] for name in wanted}


# What the images have from apt with ROS, and what is called otherwise than its distribution.
OF_ROS = {"action_msgs", "ament_index_python", "builtin_interfaces", "cv_bridge", "launch",
    "launch_ros", "rcl_interfaces", "rclpy"}  # fmt: skip
APT = {"numpy": "python3-numpy", "yaml": "python3-yaml"}
CALLED = {"cv2": "opencv-python-headless", "PIL": "pillow"}
OF_TRANSFORMERS = {"huggingface_hub"}
SIMULATED_ONLY = {"labvla_sim"}


def imports(package):
    """The distributions' modules that a package of the workspace imports anywhere."""
    for file in (ROOT / "ros2_ws/src" / package / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield node.module.split(".")[0]


def test_what_the_packages_import_is_in_an_image():
    packages = {path.name for path in (ROOT / "ros2_ws/src").iterdir() if path.is_dir()}
    used = {name for package in packages - SIMULATED_ONLY for name in imports(package)}
    used -= {name for name in used if name.startswith("labvla") or name.endswith("_msgs")}
    used -= set(sys.stdlib_module_names) | OF_ROS | {"std_srvs", "torch"} | OF_TRANSFORMERS
    assert all(word in DOCKERFILE for word in APT.values())
    installed = {
        line.split("==")[0]
        for file in ("robot.txt", "policy.txt")
        for line in (ROOT / "requirements" / file).read_text().splitlines()
    }
    assert {CALLED.get(name, name) for name in used - APT.keys()} <= installed


def test_the_policy_image_has_the_torch_that_bench_mode_has():
    (torch,) = re.findall(r"^ARG TORCH=(\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert f'TORCH = "{torch}"' in (ROOT / "tools/setup_bench.py").read_text()


def test_launch_files_that_the_containers_start_exist():
    commands = [word for service in SERVICES.values() for word in service.get("command", [])]
    names = [word for word in commands if word.endswith(".launch.py")]
    for name in names:
        word = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", name)
        assert (ROOT / "launch" / word).is_file()
    assert len(names) == 2
