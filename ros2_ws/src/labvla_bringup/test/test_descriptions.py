"""Every robot description expands, and has what its cell file speaks of.

The makers' macros are the stand-ins of vendors/: names, arguments and published limits, no meshes.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from vendor_prefix import make_prefix

from labvla_bringup.description import Expanded
from labvla_bringup.frames import bench_below, cameras
from labvla_bringup.hardware import Hardware
from labvla_bringup.robots.parts import pose_arguments
from labvla_bringup.stack import describe
from labvla_policy.runtime.cell import Pose, load_cell
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.moveit import files
from labvla_policy.runtime.moveit.groups import arm_group, hand_of

xacro = pytest.importorskip("xacro", reason="xacro is not installed")

ROOT = Path(__file__).resolve().parents[4]
CELLS = {
    "ur5e": {"arm": "10.0.0.2"},
    "dual_arm": {"left": "10.0.0.2", "right": "10.0.0.3"},
    "dual_franka": {"left": "10.0.0.2", "right": "10.0.0.3"},
}
ALONE = "franka"  # its driver publishes a description of its own: ours is for other tools
DESCRIBED = (*CELLS, ALONE)


@pytest.fixture
def expand(tmp_path, monkeypatch):
    """Return what expands the description of a cell as its launch file would."""
    prefix = make_prefix(tmp_path / "vendors")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix), prepend=":")

    def robot(cell, fake=False):
        if cell.name == ALONE:
            path, arguments = ROOT / "urdf/franka.urdf.xacro", pose_arguments(cell.arms[0])
            document = xacro.process_file(str(path), mappings={"bench": cell.frame, **arguments})
            return ElementTree.fromstring(document.toxml())
        told = Hardware(addresses=CELLS[cell.name], fake=fake)
        stack = describe(cell, robot="hardware", engine="none", hardware=told)
        path, arguments = description(stack)
        return ElementTree.fromstring(xacro.process_file(path, mappings=arguments).toxml())

    return robot


def description(stack):
    """Return the xacro file of a stack and what it is told, by us or through the driver."""
    for process in stack.processes:
        found = process.parameters.get("robot_description")
        if isinstance(found, Expanded):
            return found.path, dict(found.arguments)
    (driver,) = stack.includes
    passed = ("ur_type", "robot_ip", "tf_prefix", "use_mock_hardware", "tool_device_name")
    arguments = {name: driver.arguments[name] for name in passed}
    # What the driver adds by itself.
    return driver.arguments["description_file"], {"name": arguments["ur_type"], **arguments}


def limits(robot):
    """Return the limits of the moving joints, by name."""
    return {
        joint.get("name"): {key: float(value) for key, value in joint.find("limit").attrib.items()}
        for joint in robot.findall("joint")
        if joint.get("type") != "fixed"
    }


@pytest.mark.parametrize("name", DESCRIBED)
def test_it_has_the_cells_joints_and_no_wider_limits_are_driven(expand, name):
    cell = load_cell(name)
    described = limits(expand(cell))
    for arm in cell.arms:
        for i, joint in enumerate(arm.joints):
            driven, there = arm.hardware_limits, described[joint]
            assert driven.position_lower[i] >= there["lower"] - 1e-3
            assert driven.position_upper[i] <= there["upper"] + 1e-3
            assert driven.velocity[i] <= there["velocity"] + 1e-3


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_frame_that_the_cell_speaks_of_is_there(expand, name):
    cell = load_cell(name)
    links = {link.get("name") for link in expand(cell).findall("link")}
    for arm in cell.arms:
        assert {arm.base_frame, arm.flange_frame} <= links
    hung = {told.child: told.parent for told in (bench_below(cell), *cameras(cell))}
    assert {camera.frame_id for camera in cell.cameras} <= set(hung)
    assert {parent for child, parent in hung.items() if child != cell.frame} <= links | {cell.frame}


@pytest.mark.parametrize("name", DESCRIBED)
def test_its_joints_lead_the_flange_where_the_cells_own_chain_does(expand, name):
    cell = load_cell(name)
    robot = expand(cell)
    random = np.random.default_rng(0)
    for arm in cell.arms:
        q = random.uniform(arm.operating_limits.position_lower, arm.operating_limits.position_upper)
        there = pose_in(
            robot, arm.base_frame, arm.flange_frame, dict(zip(arm.joints, q, strict=True))
        )
        np.testing.assert_allclose(there, CHAINS[arm.kind].forward(q), atol=1e-6)


def pose_in(robot, base, tip, positions):
    """Return where a link is, by what the description says of every joint on the way."""
    above = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    pose = np.eye(4)
    while tip != base:
        joint = above[tip]
        origin = joint.find("origin")
        xyz, rpy = (
            tuple(
                float(w) for w in ("0 0 0" if origin is None else origin.get(key, "0 0 0")).split()
            )
            for key in ("xyz", "rpy")
        )
        turned = Pose(position=(0, 0, 0), rpy=(0, 0, positions.get(joint.get("name"), 0.0)))
        pose = Pose(position=xyz, rpy=rpy).matrix() @ turned.matrix() @ pose
        tip = joint.find("parent").get("link")
    return pose


@pytest.mark.parametrize("name", DESCRIBED)
def test_it_is_one_tree(expand, name):
    robot = expand(load_cell(name))
    links = [link.get("name") for link in robot.findall("link")]
    children = [joint.find("child").get("link") for joint in robot.findall("joint")]
    assert len(set(links)) == len(links)
    assert len(set(children)) == len(children)
    assert len(set(links) - set(children)) == 1  # the root


@pytest.mark.parametrize("name", ["dual_arm", "dual_franka", "franka"])
def test_the_arms_stand_where_the_cell_says(expand, name):
    cell = load_cell(name)
    robot = expand(cell)
    bench = [j for j in robot.findall("joint") if j.find("parent").get("link") == cell.frame]
    stand = [
        tuple(float(word) for word in joint.find("origin").get("xyz").split()) for joint in bench
    ]
    assert sorted(stand) == sorted(arm.base.position for arm in cell.arms)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("fake", [False, True])
def test_every_driven_joint_has_the_interface_that_the_cell_commands(expand, name, fake):
    cell = load_cell(name)
    commands = {
        joint.get("name"): {c.get("name") for c in joint.findall("command_interface")}
        for joint in expand(cell, fake=fake).findall("ros2_control/joint")
    }
    for arm in cell.arms:
        for joint in arm.joints:
            assert arm.command_interface in commands[joint]


@pytest.mark.parametrize("name", CELLS)
def test_fake_hardware_reaches_for_no_robot(expand, name):
    robot = expand(load_cell(name), fake=True)
    plugins = {plugin.text for plugin in robot.findall("ros2_control/hardware/plugin")}
    assert plugins == {"mock_components/GenericSystem"}


def test_two_robots_of_one_manager_have_addresses_and_ports_of_their_own(expand):
    robot = expand(load_cell("dual_arm"))
    told = [
        {param.get("name"): param.text for param in hardware.findall("param")}
        for hardware in robot.findall("ros2_control/hardware")
    ]
    assert {one["robot_ip"] for one in told} == {"10.0.0.2", "10.0.0.3"}
    ports = [value for one in told for name, value in one.items() if name.endswith("_port")]
    assert len(ports) == len(set(ports)) == 8


def test_one_ur_has_its_gripper_in_the_manager(expand):
    cell = load_cell("ur5e")
    driven = {joint.get("name") for joint in expand(cell).findall("ros2_control/joint")}
    assert cell.arms[0].gripper.joint in driven


# --- MoveIt's words about the same links and joints


@pytest.mark.parametrize("name", DESCRIBED)
def test_moveits_configuration_names_only_links_and_joints_that_there_are(expand, name):
    cell = load_cell(name)
    robot, srdf = expand(cell), ElementTree.fromstring(files(cell)[f"{name}.srdf"])
    links = {link.get("name") for link in robot.findall("link")}
    joints = {joint.get("name") for joint in robot.findall("joint")}
    of_links = ("base_link", "tip_link", "parent_link", "link1", "link2", "link")
    named = {element.get(key) for element in srdf.iter() for key in of_links} - {None}
    named |= {element.get("name") for element in srdf.iter("link")}
    assert named <= links
    assert {element.get("name") for element in srdf.iter("joint")} <= joints
    assert {element.get("name") for element in srdf.iter("passive_joint")} <= joints


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_chain_of_each_group_has_exactly_the_arms_joints(expand, name):
    cell = load_cell(name)
    robot, srdf = expand(cell), ElementTree.fromstring(files(cell)[f"{name}.srdf"])
    above = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    for arm in cell.arms:
        chain = srdf.find(f"group[@name='{arm_group(cell, arm)}']/chain")
        link, moving = chain.get("tip_link"), []
        while link != chain.get("base_link"):
            joint = above[link]
            moving += [joint.get("name")] * (joint.get("type") != "fixed")
            link = joint.find("parent").get("link")
        assert tuple(reversed(moving)) == arm.joints


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_moving_link_of_a_hand_belongs_to_it(expand, name):
    cell = load_cell(name)
    robot = expand(cell)
    below = {}
    for joint in robot.findall("joint"):
        child = joint.find("child").get("link")
        below.setdefault(joint.find("parent").get("link"), []).append(child)
    for arm in cell.arms:
        hand = hand_of(arm)
        found, todo = set(), [hand.base]
        while todo:
            link = todo.pop()
            found.add(link)
            todo += below.get(link, [])
        found = {link for link in found if not link.endswith("_tcp")}  # a frame, no body
        assert found == {hand.base, *hand.fingers}
