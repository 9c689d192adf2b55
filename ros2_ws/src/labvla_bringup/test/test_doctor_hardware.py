"""Preflight of a real cell: what is right passes, and breaking one thing is found by its name."""

import signal
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from labvla_bringup import registry
from labvla_bringup.doctor import Context, computer, dds, examine, robots, running
from labvla_bringup.doctor import other_side as doctor_other_side
from labvla_bringup.doctor.checks import HARDWARE_CHECKS
from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import RobotStatus, to_message
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.cell import load_cell

UNLIMITED = computer.resource.RLIM_INFINITY


def check(name, context=None):
    """Run one check; without a context for a check that asks no cell."""
    function = next(found for found in HARDWARE_CHECKS if found.name == name)
    return next(examine(context or Context("franka"), [function]))


def assert_found(result, *words):
    assert result.result == "fail", result
    assert result.hint
    for word in words:
        assert word in result.detail


class Cell(Context):
    """A cell that was changed after loading."""

    def __init__(self, name, **driver):
        super().__init__(name)
        loaded = load_cell(name)
        arm = loaded.arms[0]
        changed = None if driver == {"none": True} else replace(arm.driver, **driver)
        object.__setattr__(self, "changed", replace(loaded, arms=(replace(arm, driver=changed),)))

    @property
    def cell(self):
        return self.changed


# --- the computer


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    """A computer as it should be, as far as files and limits tell."""
    (tmp_path / "realtime").write_text("1\n")
    governor = tmp_path / "cpu" / "cpu0" / "cpufreq"
    governor.mkdir(parents=True)
    (governor / "scaling_governor").write_text("performance\n")
    for name in ("rmem_max", "wmem_max"):
        (tmp_path / name).write_text("8388608\n")
    monkeypatch.setattr(computer, "REALTIME", tmp_path / "realtime")
    monkeypatch.setattr(computer, "PROCESSORS", tmp_path / "cpu")
    monkeypatch.setattr(computer, "BUFFERS", tmp_path)
    monkeypatch.setattr(computer, "CONTAINER_MARKS", (tmp_path / "container",))
    monkeypatch.setattr(computer.resource, "getrlimit", lambda _: (UNLIMITED, UNLIMITED))
    tracking(monkeypatch, "0.000012", "Normal")
    return tmp_path


def tracking(monkeypatch, offset, leap):
    monkeypatch.setattr(computer.shutil, "which", lambda name: f"/usr/bin/{name}")
    answer = f"C0A80001,robot-pc,3,1795278608.9,{offset},0,0,0,0,0,0,0,2.0,{leap}"
    monkeypatch.setattr(computer, "_run", lambda *_: answer)


def tiny(limit):
    """Limits as they are without being set, for one resource."""
    return lambda which: (0 if which == limit else UNLIMITED, UNLIMITED)


COMPUTER = (
    "clock_sync",
    "realtime_kernel",
    "realtime_limits",
    "cpu_governor",
    "socket_buffers",
    "ipc",
)
BREAKAGES = {
    "not synchronised": ("clock_sync", lambda m, _: tracking(m, "0.0", "Not synchronised")),
    "far off": ("clock_sync", lambda m, _: tracking(m, "-0.004", "Normal")),
    "no daemon": ("clock_sync", lambda m, _: m.setattr(computer, "_run", lambda *_: "506")),
    "ordinary kernel": ("realtime_kernel", lambda _, tmp: (tmp / "realtime").write_text("0")),
    "no priority": (
        "realtime_limits",
        lambda m, _: m.setattr(
            computer.resource, "getrlimit", tiny(computer.resource.RLIMIT_RTPRIO)
        ),
    ),
    "no locked memory": (
        "realtime_limits",
        lambda m, _: m.setattr(
            computer.resource, "getrlimit", tiny(computer.resource.RLIMIT_MEMLOCK)
        ),
    ),
    "power saving": (
        "cpu_governor",
        lambda _, tmp: (tmp / "cpu/cpu0/cpufreq/scaling_governor").write_text("powersave"),
    ),
    "small buffers": ("socket_buffers", lambda _, tmp: (tmp / "rmem_max").write_text("212992")),
    "own shared memory": (
        "ipc",
        lambda m, tmp: (
            (tmp / "container").touch(),
            m.setattr(computer.shutil, "disk_usage", lambda _: SimpleNamespace(total=64 * 2**20)),
        ),
    ),
}


@pytest.mark.usefixtures("healthy")
def test_a_computer_as_it_should_be_passes():
    assert {name: check(name).result for name in COMPUTER} == dict.fromkeys(COMPUTER, "pass")


@pytest.mark.parametrize("what", sorted(BREAKAGES))
def test_breaking_one_thing_of_the_computer_turns_exactly_its_check_red(monkeypatch, healthy, what):
    name, spoil = BREAKAGES[what]
    spoil(monkeypatch, healthy)
    results = {each: check(each) for each in COMPUTER}
    assert {each for each, found in results.items() if found.result == "fail"} == {name}
    assert results[name].hint


# --- the robots


class Dashboard(socketserver.StreamRequestHandler):
    """Greets, and answers one question, as a UR does."""

    answers: dict[str, str]

    def handle(self):
        self.wfile.write(b"Connected: Universal Robots Dashboard Server\n")
        question = self.rfile.readline().decode().strip()
        if question:
            self.wfile.write(f"{self.answers.get(question, 'unknown')}\n".encode())


@pytest.fixture
def ur(monkeypatch):
    """A UR on this machine: its dashboard listens, and so does its real-time interface."""
    Dashboard.answers = {
        "is in remote control": "true",
        "PolyscopeVersion": "URSoftware 5.23.0.1 (Jan 01 2026)",
    }
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dashboard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for port in ("DASHBOARD", "RTDE", "DESK", "FCI"):
            monkeypatch.setattr(robots, port, server.server_address[1])
        yield Dashboard.answers
        server.shutdown()


UR = Cell("ur5e", address="127.0.0.1")
FRANKA = Cell("franka", address="127.0.0.1")


@pytest.mark.usefixtures("ur")
def test_robots_that_answer_pass():
    assert check("driver", UR).result == "pass"
    assert check("reachable", UR).result == "pass"
    assert check("control", UR).detail == "arm: remote control"
    assert check("firmware", UR).detail == "arm: PolyScope 5.23.0.1"
    assert check("reachable", FRANKA).result == "pass"
    assert check("control", FRANKA).detail == "arm: FCI is active"
    assert check("firmware", FRANKA).result == "skip"


def test_a_cell_without_a_driver_is_told():
    context = Cell("franka", none=True)
    assert_found(check("driver", context), "no driver for arm")
    assert check("reachable", context).result == "skip"


def test_a_robot_that_does_not_answer_is_named(monkeypatch, ur):
    monkeypatch.setattr(robots, "PATIENCE", 0.2)
    monkeypatch.setattr(robots, "RTDE", 1)
    assert_found(check("reachable", UR), "arm: 127.0.0.1:1")
    assert check("control", UR).result == "pass"


def test_an_fr3_without_fci_is_told(monkeypatch, ur):
    monkeypatch.setattr(robots, "FCI", 1)
    assert_found(check("control", FRANKA), "FCI at 127.0.0.1")
    assert check("reachable", FRANKA).result == "pass"


def test_a_ur_in_local_control_is_told(ur):
    ur["is in remote control"] = "false"
    assert_found(check("control", UR), "is in remote control: false")


@pytest.mark.parametrize("version", ["URSoftware 3.15.8.1 (Jan 01 2020)", "unknown"])
def test_another_robots_software_is_told(ur, version):
    ur["PolyscopeVersion"] = version
    assert_found(check("firmware", UR), "arm: ")


def test_an_old_driver_is_told(monkeypatch, tmp_path):
    file = tmp_path / "package.xml"
    monkeypatch.setattr(robots, "get_package_share_directory", lambda _: str(tmp_path))
    file.write_text("<package><version>3.4.0</version></package>")
    assert check("driver_versions").result == "pass"
    file.write_text("<package><version>3.1.2</version></package>")
    assert_found(check("driver_versions"), "3.1.2", "3.3 is needed")


def test_no_driver_installed_is_no_fault_of_this_computer(monkeypatch):
    def absent(name):
        raise robots.PackageNotFoundError(name)

    monkeypatch.setattr(robots, "get_package_share_directory", absent)
    assert check("driver_versions").result == "skip"


@pytest.mark.parametrize(
    ("route", "speed", "expected"),
    [
        ({"dev": "lan"}, "1000", "pass"),
        ({"dev": "lan"}, "100", "fail"),
        ({"dev": "lan", "gateway": "10.0.0.1"}, "1000", "fail"),
        ({"dev": "radio"}, "1000", "fail"),
    ],
)
def test_how_the_robot_is_wired(monkeypatch, tmp_path, route, speed, expected):
    for card in ("lan", "radio"):
        (tmp_path / card).mkdir()
        (tmp_path / card / "speed").write_text(speed)
        (tmp_path / card / "duplex").write_text("full\n")
    (tmp_path / "radio" / "wireless").mkdir()
    monkeypatch.setattr(robots, "INTERFACES", tmp_path)
    monkeypatch.setattr(robots.shutil, "which", lambda name: name)
    monkeypatch.setattr(robots, "route_to", lambda _: route)
    assert check("network_card", FRANKA).result == expected


# --- running drivers


class Drivers:
    """Publishes as the drivers of a cell would, until it is told to end."""

    def __init__(self, name):
        self.cell = load_cell(name)
        self.names, self.lag, self.rate = list(self.cell.joints), 0.0, 30.0
        self.cameras = list(self.cell.cameras)
        self._graph = Graph()
        node = self._graph.node
        self._joints = node.create_publisher(
            JointState, self.cell.joint_states.topic, qos.JOINT_STATES
        )
        self._images = {c.name: node.create_publisher(Image, c.topic, 5) for c in self.cell.cameras}
        self._texts = node.create_publisher(String, "robot_description", qos.LATCHED)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def describe(self, urdf):
        self._texts.publish(String(data=urdf))

    def _work(self):
        image = Image(height=1, width=3, step=9, encoding="rgb8", data=bytes(9))
        due = time.monotonic()
        while not self._ending.is_set():
            stamp = to_stamp(time.time_ns() - round(self.lag * 1e9))
            message = JointState(name=self.names, position=[0.0] * len(self.names))
            message.header.stamp = stamp
            self._joints.publish(message)
            for camera in self.cameras:
                self._images[camera.name].publish(image)
            due += 1 / self.rate
            self._ending.wait(max(0.0, due - time.monotonic()))

    def close(self):
        self._ending.set()
        self._thread.join()
        self._graph.__exit__(None, None, None)


@pytest.fixture
def drivers():
    made = Drivers("franka")
    yield made
    made.close()


def test_joints_in_another_order_are_fine_and_missing_ones_are_not(drivers):
    assert check("joint_order").detail == "7 joints, in the cell's order"
    drivers.names = drivers.names[::-1]
    assert "read by name" in check("joint_order").detail
    drivers.names = drivers.names[1:]
    assert_found(check("joint_order"), "fr3_joint7")


@pytest.mark.parametrize(("lag", "where"), [(0.5, "behind"), (-0.5, "ahead of")])
def test_clocks_that_disagree_are_told(monkeypatch, drivers, lag, where):
    monkeypatch.setattr(running, "OFFSET", 0.2)  # this machine may be busy
    assert check("clock_offset").result == "pass"
    drivers.lag = lag
    assert_found(check("clock_offset"), where)


def test_a_camera_that_is_too_slow_is_named(monkeypatch, drivers):
    monkeypatch.setattr(running, "LEAST_RATE", 0.3)  # this machine may be busy
    assert check("camera_bandwidth").result == "pass"
    drivers.cameras = [camera for camera in drivers.cameras if camera.name != "side"]
    assert_found(check("camera_bandwidth"), "side 0.0 of 30 Hz")


def test_more_than_a_network_carries_is_told(monkeypatch, drivers):
    monkeypatch.setattr(running, "LEAST_RATE", 0.3)
    monkeypatch.setattr(running, "NETWORK", 1.0)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert_found(check("camera_bandwidth"), "a gigabit network carries")


def test_without_drivers_nothing_is_wrong_yet():
    for name in ("joint_order", "clock_offset", "camera_bandwidth"):
        assert check(name).result == "skip"


URDF = """<robot name="ur"><ros2_control name="ur" type="system"><hardware>
<param name="kinematics/hash">{}</param></hardware></ros2_control></robot>"""


def test_the_default_calibration_is_told(monkeypatch, tmp_path):
    folder = tmp_path / "config" / "ur5e"
    folder.mkdir(parents=True)
    (folder / "default_kinematics.yaml").write_text("kinematics: {hash: calib_default}\n")
    monkeypatch.setattr(running, "get_package_share_directory", lambda _: str(tmp_path))
    drivers = Drivers("ur5e")
    try:
        drivers.describe(URDF.format("calib_of_this_arm"))
        assert check("robot_calibration", Context("ur5e")).result == "pass"
        drivers.describe(URDF.format("calib_default"))
        assert_found(check("robot_calibration", Context("ur5e")), "default calibration")
        drivers.describe("<robot name='mock'/>")
        assert check("robot_calibration", Context("ur5e")).result == "skip"
    finally:
        drivers.close()
    assert check("robot_calibration", Context("franka")).result == "skip"


# --- the other computer, or container


class OtherSide:
    """A robot node on another computer, as far as it tells how it is."""

    def __init__(self, namespace="", domain=None, **told):
        cell = load_cell("franka")
        status = RobotStatus(**{"cell": cell.name, "cell_hash": cell.hash, **told})
        self._graph = Graph(namespace, domain)
        publisher = self._graph.node.create_publisher(DiagnosticStatus, "labvla/robot", qos.LATCHED)
        publisher.publish(to_message(status, "/robot"))

    def close(self):
        self._graph.__exit__(None, None, None)


@pytest.fixture
def other_side(monkeypatch):
    monkeypatch.setattr(doctor_other_side, "DISCOVERY", 20.0)  # this machine may be busy
    made = []

    def make(*where, **told):
        made.append(OtherSide(*where, **told))

    yield make
    for one in made:
        one.close()


def test_the_other_computer_with_the_same_settings_passes(other_side):
    other_side()
    for name in ("same_domain", "same_namespace", "same_cell"):
        assert check(name).result == "pass", check(name)


def test_another_cell_file_on_the_other_computer_is_told_by_its_hash(other_side):
    other_side(cell_hash="0123456789abcdef")
    assert_found(check("same_cell"), "the robot node runs the cell franka 0123456789ab")
    assert "copy" in check("same_cell").hint


def test_another_cell_on_the_other_computer_is_told_by_its_name(other_side):
    other_side(cell="ur5e", cell_hash="0123")
    assert_found(check("same_cell"), "ur5e 0123", "the file here is franka")


def test_another_namespace_on_the_other_computer_is_named(monkeypatch, other_side):
    other_side("/lab1")
    found = check("same_namespace")
    assert_found(found, "is in the namespace /lab1, looked for in /")
    assert "export LABVLA_NAMESPACE=/lab1" in found.hint
    monkeypatch.setenv("LABVLA_NAMESPACE", "/lab1")
    assert check("same_namespace").result == "pass"
    assert check("same_cell").result == "pass"


def test_another_ros_domain_on_the_other_computer_is_named(monkeypatch, other_side):
    neighbour = 101  # the default one may be somebody's, and test runs have lower ones
    monkeypatch.setattr(doctor_other_side, "DEFAULT_DOMAIN", neighbour)
    other_side("", neighbour)
    monkeypatch.setattr(doctor_other_side, "DISCOVERY", 5.0)  # nobody is in this one
    found = check("same_domain")
    assert_found(found, f"franka runs in ROS domain {neighbour}")
    assert f"export ROS_DOMAIN_ID={registry.domain()}" in found.hint
    assert check("same_domain", Context("ur5e")).result == "skip", "another cell is somebody else's"


def test_where_nobody_is_heard_nothing_is_claimed_about_the_other_side():
    for name in ("same_domain", "same_namespace", "same_cell", "image_across"):
        found = check(name)
        assert found.result == "skip"
        assert found.hint


@pytest.fixture
def answering():
    """`labvla doctor --answer`, as in another container."""
    words = [sys.executable, "-m", "labvla_bringup.cli", "doctor", "--answer"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert "answers test images" in process.stdout.readline()
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.usefixtures("answering")
def test_an_image_goes_to_whoever_answers_and_comes_back(monkeypatch):
    monkeypatch.setattr(doctor_other_side, "DISCOVERY", 20.0)  # this machine may be busy
    assert "1 MB there and back" in check("image_across").detail
    monkeypatch.setattr(dds, "TIMEOUT", 0.0)
    found = check("image_across")
    assert_found(found, "image 1 of 5 did not come back")
    assert "--ipc=host" in found.hint


# --- the command


def test_the_report_has_all_checks_and_wants_a_cell(labvla):
    code, found = labvla.json("doctor", "franka", "--hardware")
    names = [each["name"] for each in found["checks"]]
    assert names[-len(HARDWARE_CHECKS) :] == [each.name for each in HARDWARE_CHECKS]
    assert code == (0 if found["ok"] else 1)
    for each in found["checks"]:
        assert each["detail"]
        assert each["hint"] or each["result"] != "fail"
    assert len({each["name"] for each in found["checks"]}) == len(found["checks"])
    refused = labvla("doctor", "--hardware")
    assert refused.returncode == 2
    assert "expected a CELL" in refused.stderr
