"""The launch files under the real `ros2 launch`, spawner and robot_state_publisher.

The robots' drivers are the stand-ins of vendors/, and the controller manager keeps books only.
"""

from functools import partial
from pathlib import Path

import launch_rig
import pytest
import yaml
from launch_rig import Launch

from labvla_policy.runtime.cell import load_cell

if reason := launch_rig.what_is_missing():
    pytest.skip(reason, allow_module_level=True)

FILES = ("franka", "ur5e", "dual_arm", "policy", "record", "monitor")
FAKE = "use_fake_hardware:=true"
DRIVER = {"/controller_manager", "/robot_state_publisher"}
OURS = {"/robot", "/gripper_bridge"}
CAMERAS = {f"/{name}_color_optical_frame_publisher" for name in ("front", "side", "wrist")}


@pytest.fixture
def launch(tmp_path):
    """Return what launches a file; a Ctrl-C at the end has to leave nothing behind."""
    running = []

    def start(file, *arguments):
        folder = tmp_path / file
        folder.mkdir()
        running.append(Launch(folder, f"{file}.launch.py", *arguments).__enter__())
        return running[-1]

    yield start
    left = {}
    for one in running:
        if one.runs():
            one.interrupt()
            one.end()
        left |= one.running()
        one.__exit__()
    assert left == {}, "Ctrl-C left processes behind"


@pytest.mark.parametrize("file", FILES)
def test_every_argument_is_explained(file):
    shown = launch_rig.run(f"{file}.launch.py", "--show-args")
    assert shown.returncode == 0, shown.stderr
    assert "'namespace':\n        of all nodes" in shown.stdout
    assert "no description given" not in shown.stdout


def test_a_fake_franka_comes_up_and_ctrl_c_leaves_nothing(launch):
    stack = launch("franka", FAKE)
    books = stack.books("joint_state_broadcaster", "labvla_controller")
    assert ["labvla_controller"] in books["switches"]
    assert books["arguments"]["joint_state_broadcaster"] == [
        "--remap",
        "joint_states:=franka/joint_states",
    ]
    (file,) = books["files"]["labvla_controller"]
    told = yaml.safe_load(Path(file).read_text())["/**/labvla_controller"]["ros__parameters"]
    assert told["joints"] == list(load_cell("franka").joints)
    hand = {"/franka_gripper", "/joint_state_publisher"}
    stack.wait_for_nodes(*DRIVER, *CAMERAS, *hand, *OURS, "/bench_publisher", "/recorder")
    assert len(stack.running()) > 8

    stack.interrupt()
    stack.end()
    assert stack.running() == {}
    log = stack.log.read_text()
    assert not [
        line
        for line in log.splitlines()
        if line.startswith(("[recorder", "[robot-", "[gripper_bridge")) and "Traceback" in line
    ]


def test_in_a_namespace_everything_of_a_franka_is_in_it(launch):
    stack = launch("franka", FAKE, "namespace:=/lab1", "record:=false")
    stack.books("joint_state_broadcaster", "labvla_controller", namespace="/lab1")
    stack.wait_for_nodes("/lab1/franka_gripper", "/lab1/robot_state_publisher")
    outside = {name for name in stack.nodes() if not name.startswith(("/lab1/", "/onlooker"))}
    assert outside == set()


def test_a_fake_ur5e_comes_up_without_any_controller_of_its_makers_moving_it(launch):
    stack = launch("ur5e", FAKE, "record:=false")
    books = stack.books(
        "joint_state_broadcaster", "robotiq_gripper_controller", "labvla_controller"
    )
    assert books["states"].get("scaled_joint_trajectory_controller") != "active"
    assert ["labvla_controller"] in books["switches"]


def test_two_urs_share_one_manager(launch):
    stack = launch("dual_arm", FAKE, "record:=false")
    sides = [
        f"{arm}_{name}"
        for arm in ("left", "right")
        for name in ("io_and_status_controller", "force_torque_sensor_broadcaster")
    ]
    books = stack.books("joint_state_broadcaster", *sides, "labvla_controller")
    assert books["update_rate"] == 500
    assert sorted(books["switches"], key=len)[0] == ["labvla_controller"]
    assert len(books["switches"]) == 2  # one request for all broadcasters, one for what moves


def test_two_frankas_share_one_manager_and_have_a_hand_each(launch):
    stack = launch("dual_arm", FAKE, "cell:=dual_franka", "record:=false")
    books = stack.books("joint_state_broadcaster", "labvla_controller")
    assert books["update_rate"] == 1000
    stack.wait_for_nodes("/left/franka_gripper", "/right/franka_gripper")


def test_two_real_urs_have_their_drivers_helpers_in_the_arms_namespaces_and_recover(launch):
    stack = launch("dual_arm", "left_ip:=10.0.0.2", "right_ip:=10.0.0.3", "record:=false")
    stack.wait_for_nodes(
        *(
            f"/{arm}/{name}"
            for arm in ("left", "right")
            for name in ("dashboard_client", "controller_stopper", "ur_robot_state_helper")
        )
    )
    # The makers' programs do nothing here; what they would offer is offered by the test.
    robots = stack.play_urs("left_", "right_")
    stack.wait_for_robots(lambda told: told.ready)
    robots[0].tell(safety=3)
    stack.wait_for_robots(lambda told: told.reason == "protective_stop")
    shown = stack.command("labvla", "recover", "--confirmed")
    assert "left: unlock the protective stop" in shown
    stack.wait_for_robots(lambda told: told.ready)
    asked = robots[0].behaviour.asked
    assert [call for call in asked if call != "controller stop"] == [
        "left_stop",
        "left_unlock",
        "left_play",
        "reset_stop",
    ]


def test_a_real_franka_whose_driver_is_silent_is_not_moved(launch):
    stack = launch("franka", "robot_ip:=10.0.0.2", "policy:=replay", "record:=false")
    stack.wait_for_robots(lambda told: told.states.get("cell") == "labvla_controller active")
    stack.wait_for_policy("ready")


def test_the_policy_alone_runs_on_the_other_computer(launch):
    stack = launch("policy", "cell:=franka", "policy:=replay")
    stack.wait_for_nodes("/policy")
    assert not stack.nodes() & {*DRIVER, "/recorder"}
    stack.wait_for_policy("ready")  # and not active: nobody watches the robot


def test_the_recorder_and_the_views_run_alone(launch):
    launch("record", "cell:=ur5e").wait_for_nodes("/recorder")
    launch("monitor", "cell:=ur5e").wait_for_nodes("/rviz", "/monitor")


def test_the_ros2_command_talks_to_policy_and_robots(launch):
    stack = launch("franka", FAKE, "policy:=replay", "record:=false")
    stack.wait_for_policy("active")
    ros2 = partial(stack.command, "ros2")
    assert "ready" in ros2("topic", "echo", "--once", "/labvla/robot")
    assert "active" in ros2("lifecycle", "get", "/policy")
    assert "String value is: replay" in ros2("param", "get", "/policy", "engine")
    assert "Boolean value is: True" in ros2("param", "get", "/policy", "robot")
    assert "fake_hardware" in ros2("param", "list", "/robot")
    said = ros2(
        *("service", "call", "/labvla/set_instruction", "labvla_msgs/srv/SetInstruction"),
        "{instruction: ''}",
    )
    assert "accepted=True" in said
    assert "cell: franka" in ros2("topic", "echo", "--once", "/labvla/status")
    ros2("lifecycle", "set", "/policy", "deactivate")
    stack.wait_for_policy("ready")


def test_a_controller_that_is_lost_stops_the_policy_until_somebody_recovers_it(launch):
    stack = launch("franka", FAKE, "policy:=replay", "record:=false")
    stack.wait_for_policy("active")
    stack.switch(off="labvla_controller")
    stack.wait_for_policy("stopped")
    assert "robot_idle (cell): labvla_controller inactive" in stack.command("labvla", "status")
    stack.command("labvla", "recover")
    stack.wait_for_policy("active")
    assert "ready" in stack.command("labvla", "status")


def test_a_robot_node_that_is_killed_stops_the_policy_and_comes_again(launch):
    stack = launch("franka", FAKE, "policy:=replay", "record:=false")
    stack.wait_for_policy("active")
    stack.kill("robot_node")
    stack.wait_for_policy("stopped")
    stack.wait_for_word("robot ended with code -9; starting it again")
    stack.command("labvla", "recover")
    stack.wait_for_policy("active")


def test_a_process_that_is_killed_comes_again(launch):
    stack = launch("record", "cell:=ur5e")
    stack.wait_for_nodes("/recorder")
    stack.kill("recorder_node")
    stack.wait_for_word("recorder ended with code -9; starting it again")
    stack.wait_for(
        "recorder", lambda: any("/recorder_node " in w for w in stack.running().values())
    )


def test_without_its_controller_manager_nothing_goes_on(launch):
    stack = launch("dual_arm", FAKE, "record:=false")
    stack.books("labvla_controller")
    stack.kill("ros2_control_node")
    stack.end()
    assert "ros2_control_node ended with code -9: nothing goes on" in stack.log.read_text()
    assert stack.running() == {}


@pytest.mark.parametrize(
    ("file", "arguments", "why"),
    [
        ("franka", (), "expected the robot's address (robot_ip)"),
        ("franka", (FAKE, "cell:=nowhere"), "nowhere"),
        ("franka", (FAKE, "cell:=ur5e", "namespace:=/a"), "expected no namespace"),
        ("franka", (FAKE, "cell:=dual_franka"), "another launch file is for it"),
        ("franka", (FAKE, "policy:=expert"), "true state, which a real cell has not"),
        ("franka", (FAKE, "checkpoint:=/x"), "expected a policy that is told it"),
        ("franka", (FAKE, "controller:=pid"), "Valid options are: ['labvla', 'jtc', 'crisp']"),
        ("policy", ("cell:=franka",), "expected the option checkpoint"),
    ],
)
def test_what_cannot_be_started_says_why_and_starts_nothing(file, arguments, why):
    ended = launch_rig.run(f"{file}.launch.py", *arguments)
    assert ended.returncode != 0
    assert why in ended.stdout + ended.stderr
    assert "process started" not in ended.stdout
