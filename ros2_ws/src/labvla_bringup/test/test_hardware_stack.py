"""A real cell, described: who starts what, with which words, and what is refused before it moves.

Nothing of launch is needed here; test_launch_files.py runs the same descriptions.
"""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from labvla_bringup import controllers
from labvla_bringup.description import Expanded, File, Restart
from labvla_bringup.hardware import Hardware
from labvla_bringup.stack import StackError, Views, describe
from labvla_policy.runtime.cell import load_cell

ONE = {"arm": "10.0.0.2"}
TWO = {"left": "10.0.0.2", "right": "10.0.0.3"}
ADDRESSES = {"franka": ONE, "ur5e": ONE, "dual_arm": TWO, "dual_franka": TWO}
CELLS = tuple(ADDRESSES)


def real(cell, engine="none", namespace="", **hardware):
    """Describe a real cell."""
    found = load_cell(cell) if isinstance(cell, str) else cell
    told = Hardware(**{"addresses": ADDRESSES[found.name], **hardware})
    return describe(found, robot="hardware", engine=engine, namespace=namespace, hardware=told)


def named(stack):
    """Return the processes by name."""
    return {process.name: process for process in stack.processes}


def settings(file):
    """Return what a parameter file tells, by node."""
    nodes = yaml.safe_load(file.text)
    return {name: content["ros__parameters"] for name, content in nodes.items()}


@pytest.mark.parametrize("cell", CELLS)
def test_no_node_is_described_twice(cell):
    stack = describe(
        load_cell(cell),
        robot="hardware",
        engine="replay",
        hardware=Hardware(addresses=ADDRESSES[cell]),
        views=Views(rviz=True, foxglove=True),
    )
    everything = [
        *stack.processes,
        *(spawn.process() for spawn in stack.spawns),
        *(transform.process() for transform in stack.transforms),
    ]
    names = [f"{process.namespace}/{process.name}" for process in everything]
    assert len(set(names)) == len(names)
    spawned = [name for spawn in stack.spawns for name in spawn.controllers]
    assert len(set(spawned)) == len(spawned)


@pytest.mark.parametrize("cell", CELLS)
def test_policy_and_recorder_are_those_of_bench_mode_but_for_the_clock(cell):
    processes = named(real(cell, engine="replay"))
    assert processes["policy"].executable == "policy_node"
    assert processes["policy"].parameters["use_sim_time"] is False
    assert processes["policy"].restart is Restart.ON_FAILURE
    assert processes["recorder"].executable == "recorder_node"
    assert processes["gripper_bridge"].parameters == {"cell": load_cell(cell).origin.file}


@pytest.mark.parametrize("cell", CELLS)
def test_the_policy_of_a_real_cell_moves_only_while_somebody_watches_its_robots(cell):
    processes = named(real(cell, engine="replay"))
    assert processes["policy"].parameters["robot"] is True
    assert processes["robot"].executable == "robot_node"
    assert processes["robot"].parameters == {
        "cell": load_cell(cell).origin.file,
        "controllers": "labvla_controller",
        "fake_hardware": False,
    }
    assert named(real(cell, fake=True))["robot"].parameters["fake_hardware"] is True


def test_other_controllers_are_watched_by_their_names():
    watched = named(real("franka", controller="jtc"))["robot"].parameters["controllers"]
    assert watched == ", ".join(controllers.controller_names(load_cell("franka"), "jtc"))


def test_in_simulation_nobody_but_the_simulator_moves_the_fingers():
    stack = describe(load_cell("franka"), robot="sim")
    assert set(named(stack)) == {"sim", "policy", "recorder"}
    assert named(stack)["policy"].parameters["robot"] is False
    assert [stack.includes, stack.spawns, stack.transforms] == [(), (), ()]


def test_one_franka_is_brought_up_by_its_makers_launch_file():
    (include,) = real("franka", namespace="/lab1").includes
    assert (include.package, include.file) == ("franka_bringup", "franka.launch.py")
    assert include.arguments == {
        "robot_type": "fr3",
        "arm_prefix": "",
        "namespace": "/lab1",
        "robot_ip": "10.0.0.2",
        "load_gripper": "true",
        "use_fake_hardware": "false",
        "fake_sensor_commands": "false",
    }


def test_one_ur_is_brought_up_by_its_makers_launch_file_with_our_gripper_and_no_controller():
    (include,) = real("ur5e", kinematics={"arm": "/cal.yaml"}).includes
    assert (include.package, include.file) == ("ur_robot_driver", "ur_control.launch.py")
    told = include.arguments
    assert told["robot_ip"] == "10.0.0.2"
    assert told["kinematics_params_file"] == "/cal.yaml"
    assert told["activate_joint_controller"] == "false"
    assert told["description_file"].endswith("urdf/ur5e.urdf.xacro")
    assert told["use_tool_communication"] == "true"


def test_a_gripper_on_its_own_serial_line_needs_nothing_of_the_tool():
    told = real("ur5e", tool_port={"arm": "/dev/ttyUSB0"}).includes[0].arguments
    assert told["use_tool_communication"] == "false"
    assert told["tool_voltage"] == "0"
    assert told["tool_device_name"] == "/dev/ttyUSB0"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", controllers.KINDS)
def test_what_moves_the_arms_is_activated_by_one_request(cell, kind):
    if kind == "crisp" and load_cell(cell).arms[0].compliance.kind != "impedance":
        with pytest.raises(StackError, match="need torques"):
            real(cell, controller=kind)
        return
    spawn = real(cell, controller=kind).spawns[-1]
    assert spawn.controllers == controllers.controller_names(load_cell(cell), kind)
    words = spawn.process().arguments
    assert words[: len(spawn.controllers)] == spawn.controllers
    assert "--activate-as-group" in words


@pytest.mark.parametrize("kind", ["jtc", "crisp"])
def test_a_bridge_speaks_to_the_policy_for_controllers_of_others(kind):
    stack = real("dual_franka", engine="replay", controller=kind)
    bridge = named(stack)["controller_bridge"]
    expected = ", ".join(controllers.controller_names(load_cell("dual_franka"), kind))
    assert bridge.parameters["controllers"] == expected
    assert bridge.parameters["kind"] == kind
    assert "policy" in named(stack)
    assert "controller_bridge" not in named(real("dual_franka", controller="labvla"))


def test_impedance_controllers_of_two_arms_do_not_hear_each_others_targets():
    words = real("dual_franka", controller="crisp").spawns[-1].process().arguments
    rules = words[words.index("--controller-ros-args") + 1]
    for side in ("left", "right"):
        name = f"{side}_impedance_controller"
        assert f"--remap {name}:target_joint:={name}/target_joint" in rules


@pytest.mark.parametrize("cell", CELLS)
def test_the_controllers_are_told_what_the_shipped_files_say_in_whatever_namespace(cell):
    told = settings(real(cell).spawns[-1].parameters)
    shipped = controllers.parameters(load_cell(cell), "labvla")
    assert told == {f"/**/{name}": values for name, values in shipped.items()}


def test_no_controller_of_ours_has_the_name_of_one_that_the_ur_driver_loads():
    # What is loaded already would keep the driver's parameters, and nobody would notice.
    of_the_driver = {"joint_trajectory_controller", "scaled_joint_trajectory_controller"}
    for kind in ("labvla", "jtc"):
        assert not of_the_driver & set(controllers.controller_names(load_cell("ur5e"), kind))


def test_a_fake_ur_runs_no_program_that_could_be_waited_for():
    assert settings(real("ur5e").spawns[-1].parameters)["/**/labvla_controller"]["ready_interfaces"]
    fake = settings(real("ur5e", fake=True).spawns[-1].parameters)
    assert "ready_interfaces" not in fake["/**/labvla_controller"]


@pytest.mark.parametrize("cell", ["dual_arm", "dual_franka"])
def test_two_arms_share_one_manager_at_the_cells_rate(cell):
    stack = real(cell)
    manager = named(stack)["ros2_control_node"]
    assert manager.essential
    (file,) = manager.parameter_files
    rate = settings(file)["/**/controller_manager"]["update_rate"]
    assert rate == load_cell(cell).controller.rate
    assert len([p for p in stack.processes if p.executable == "ros2_control_node"]) == 1
    assert stack.spawns[-1].controllers == ("labvla_controller",)


@pytest.mark.parametrize("cell", ["dual_arm", "dual_franka"])
def test_two_arms_are_described_where_the_cell_has_them(cell):
    description = named(real(cell))["robot_state_publisher"].parameters["robot_description"]
    assert isinstance(description, Expanded)
    told = description.arguments
    assert (told["left_xyz"], told["right_xyz"]) == ("0 0.4 0", "0 -0.4 0")
    assert (told["left_robot_ip"], told["right_robot_ip"]) == ("10.0.0.2", "10.0.0.3")
    assert told["bench"] == load_cell(cell).frame


def test_two_urs_have_four_ports_each():
    description = named(real("dual_arm"))["robot_state_publisher"].parameters["robot_description"]
    ports = [int(description.arguments[f"{arm}_first_port"]) for arm in TWO]
    assert ports[1] - ports[0] >= 4


def test_each_hand_of_two_frankas_has_a_node_where_the_cell_looks_for_it():
    cell, stack = load_cell("dual_franka"), real("dual_franka", namespace="/lab1")
    hands = [include for include in stack.includes if include.file == "gripper.launch.py"]
    assert [hand.arguments["robot_ip"] for hand in hands] == ["10.0.0.2", "10.0.0.3"]
    nodes = [f"{hand.arguments['namespace']}/franka_gripper" for hand in hands]
    assert nodes == [f"/lab1/{arm.gripper.action}" for arm in cell.arms]


def test_joint_states_of_two_frankas_come_where_the_cell_looks_for_them():
    topic = load_cell("dual_franka").joint_states.topic
    stack = real("dual_franka")
    assert stack.spawns[0].remappings == (("joint_states", topic),)
    assert named(stack)["robot_state_publisher"].remappings == (("joint_states", topic),)


def test_what_a_ur_driver_runs_beside_the_manager_is_there_once_for_each_robot():
    stack = real("dual_arm")
    beside = [p for p in stack.processes if p.package == "ur_robot_driver"]
    assert {(p.namespace, p.name) for p in beside} == {
        (arm, name)
        for arm in TWO
        for name in (
            "dashboard_client",
            "urscript_interface",
            "ur_robot_state_helper",
            "controller_stopper",
        )
    }
    stopper = next(p for p in beside if (p.namespace, p.name) == ("right", "controller_stopper"))
    topic = "io_and_status_controller/robot_program_running"
    assert dict(stopper.remappings)[topic] == f"/right_{topic}"
    assert "labvla_controller" not in stopper.parameters["consistent_controllers"]


def test_fake_robots_need_no_address_and_none_of_the_programs_that_talk_to_them():
    stack = real("dual_arm", addresses={}, fake=True)
    assert not [p for p in stack.processes if p.package == "ur_robot_driver"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_camera_stands_where_the_cell_says_and_looks_along_its_pictures_z(cell):
    found = load_cell(cell)
    by_frame = {transform.child: transform for transform in real(cell).transforms}
    for camera in found.cameras:
        transform = by_frame[camera.frame_id]
        assert transform.parent == camera.mount.frame
        assert transform.translation == pytest.approx(camera.mount.position)
        body = camera.mount.matrix()[:3, :3]
        optical = rotation(transform.rotation)
        assert optical[:, 2] == pytest.approx(body[:, 0])  # depth: the body's x
        assert optical[:, 0] == pytest.approx(-body[:, 1])  # right: the body's -y


@pytest.mark.parametrize("cell", ["franka", "ur5e"])
def test_the_bench_hangs_on_the_foot_because_the_makers_tree_has_its_own_root(cell):
    found = load_cell(cell)
    turned = replace(
        found.arms[0], base=replace(found.arms[0].base, position=(0.1, 0.2, 0), rpy=(0, 0, np.pi))
    )
    transform = real(replace(found, arms=(turned,))).transforms[0]
    assert (transform.parent, transform.child) == (turned.base_frame, found.frame)
    bench_in_foot = np.eye(4)
    bench_in_foot[:3, :3] = rotation(transform.rotation)
    bench_in_foot[:3, 3] = transform.translation
    assert turned.base.matrix() @ bench_in_foot == pytest.approx(np.eye(4), abs=1e-9)


@pytest.mark.parametrize("cell", ["dual_arm", "dual_franka"])
def test_no_frame_has_two_parents(cell):
    children = [transform.child for transform in real(cell).transforms]
    assert len(set(children)) == len(children)
    assert load_cell(cell).frame not in children  # the root of the description itself


def rotation(quaternion):
    """Return the matrix of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    assert np.linalg.norm(quaternion) == pytest.approx(1)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_on_two_computers_the_robots_side_and_the_policys_side_are_the_whole():
    cell = load_cell("franka")
    whole = real("franka", engine="replay")
    robot = real("franka", engine="none")
    policy = describe(
        cell, robot="hardware", engine="replay", record=False, hardware=Hardware(drive=False)
    )
    assert [policy.includes, policy.spawns, policy.transforms] == [(), (), ()]
    assert set(named(policy)) == {"policy"}
    assert {**named(robot), **named(policy)} == named(whole)


def test_rviz_shows_the_cell_in_its_own_frame_with_every_camera():
    stack = describe(
        load_cell("ur5e"),
        robot="hardware",
        engine="none",
        hardware=Hardware(addresses=ONE),
        views=Views(rviz=True),
    )
    (file,) = [word for word in named(stack)["rviz"].arguments if isinstance(word, File)]
    shown = yaml.safe_load(file.text)["Visualization Manager"]
    assert shown["Global Options"]["Fixed Frame"] == "bench"
    topics = {display.get("Topic", {}).get("Value") for display in shown["Displays"]}
    assert {camera.topic for camera in load_cell("ur5e").cameras} <= topics


@pytest.mark.parametrize(
    ("cell", "told", "why"),
    [
        ("franka", {"addresses": {}}, r"arm: expected the robot's address \(robot_ip\)"),
        ("dual_arm", {"addresses": {"left": "10.0.0.2"}}, "right: expected the robot's address"),
        ("ur5e", {"namespace": "/lab1"}, "at /controller_manager; expected no namespace"),
        ("franka", {"namespace": "lab1"}, "expected a name that begins with '/'"),
        ("franka", {"engine": "expert"}, "true state, which a real cell has not"),
        ("franka", {"engine": "psychic"}, "engine: expected one of"),
    ],
)
def test_what_cannot_be_started_is_refused_with_its_reason(cell, told, why):
    with pytest.raises(StackError, match=why):
        real(cell, **told)


def test_a_franka_at_another_rate_than_its_own_is_refused():
    cell = load_cell("franka")
    slow = replace(cell, controller=replace(cell.controller, rate=500.0))
    with pytest.raises(StackError, match="expected 1000 Hz"):
        real(slow)


def test_an_instruction_without_a_policy_is_refused():
    with pytest.raises(StackError, match="instruction: expected none where no policy runs"):
        describe(
            load_cell("franka"),
            robot="hardware",
            engine="none",
            hardware=Hardware(addresses=ONE),
            instruction="pick up the beaker",
        )
