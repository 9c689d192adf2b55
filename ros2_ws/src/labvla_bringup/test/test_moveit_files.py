"""MoveIt's configuration says what the cells say, and looks away only where nothing can happen."""

from functools import cache
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from labvla_bringup import moveit as command
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.gate.collision import CollisionModel
from labvla_policy.runtime.moveit import config, files, whole
from labvla_policy.runtime.moveit.contacts import SEED, disabled
from labvla_policy.runtime.moveit.groups import arm_group, hand_of, links_of

ROOT = Path(__file__).resolve().parents[4]
CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")


@pytest.fixture(params=CELLS)
def cell(request):
    """Return every shipped cell."""
    return load_cell(request.param)


def srdf_of(cell):
    return ElementTree.fromstring(files(cell)[f"{cell.name}.srdf"])


def test_the_shipped_files_are_what_the_cells_say_now(cell):
    folder = ROOT / "config" / "moveit" / cell.name
    assert {path.name: path.read_text() for path in folder.iterdir()} == files(cell)


def test_postures_are_the_cells_own(cell):
    srdf = srdf_of(cell)
    states = {
        (state.get("group"), state.get("name")): {
            joint.get("name"): float(joint.get("value")) for joint in state
        }
        for state in srdf.findall("group_state")
    }
    for arm in cell.arms:
        for posture in arm.postures:
            told = states[arm_group(cell, arm), posture.name]
            assert told == pytest.approx(dict(zip(arm.joints, posture.joints, strict=True)))
        driven = hand_of(arm).joint
        hand = arm_group(cell, arm).replace("arm", "hand")
        assert states[hand, "open"] == pytest.approx({driven: arm.gripper.open})
        assert states[hand, "closed"] == pytest.approx({driven: arm.gripper.closed})
    for posture in cell.arms[0].postures:
        assert set(states[whole(cell), posture.name]) == set(cell.joints)


def test_limits_are_the_operating_limits(cell):
    told = yaml.safe_load(files(cell)["joint_limits.yaml"])["joint_limits"]
    assert list(told) == list(cell.joints)
    for arm in cell.arms:
        limits = arm.operating_limits
        for i, joint in enumerate(arm.joints):
            one = told[joint]
            assert (one["min_position"], one["max_position"]) == (
                limits.position_lower[i],
                limits.position_upper[i],
            )
            assert one["max_velocity"] == limits.velocity[i]
            assert one["max_acceleration"] == limits.acceleration[i]
            assert one["max_jerk"] == limits.jerk[i]
            assert all(one[f"has_{what}_limits"] for what in ("position", "velocity", "jerk"))


def test_every_group_that_is_configured_is_there(cell):
    groups = {group.get("name") for group in srdf_of(cell).findall("group")}
    assert whole(cell) in groups
    assert set(yaml.safe_load(files(cell)["kinematics.yaml"])) <= groups
    told = yaml.safe_load(files(cell)["ompl_planning.yaml"])
    planners = set(told["planner_configs"])
    assert whole(cell) in told
    for group in groups & set(told):
        assert set(told[group]["planner_configs"]) == planners
        assert told[group]["default_planner_config"] in planners


def test_every_pipeline_has_its_file(cell):
    found = files(cell)
    told = yaml.safe_load(found["moveit_cpp.yaml"])
    pipelines = told["planning_pipelines"]["pipeline_names"]
    for pipeline in pipelines:
        assert yaml.safe_load(found[f"{pipeline}_planning.yaml"])["planning_plugins"]
    request = told["move_to"]["plan_request_params"]
    assert request["planning_pipeline"] in pipelines
    assert request["planner_id"] in yaml.safe_load(found["ompl_planning.yaml"])["planner_configs"]
    topic = told["planning_scene_monitor_options"]["joint_state_topic"]
    assert topic == cell.joint_states.topic


def test_what_moveit_py_is_told_is_the_same_as_the_files(cell):
    told, found = config(cell, "<robot/>", cell.name, 7.0), files(cell)
    assert told["robot_description_semantic"] == found[f"{cell.name}.srdf"]
    assert told["robot_description_kinematics"] == yaml.safe_load(found["kinematics.yaml"])
    assert told["ompl"] == yaml.safe_load(found["ompl_planning.yaml"])
    assert told["move_to"]["plan_request_params"]["planning_time"] == 7.0
    assert set(yaml.safe_load(found["moveit_cpp.yaml"])) <= set(told)


# --- which links need no look


def bodies_by_link(cell):
    return {
        link: f"{arm.name}.{body}"
        for arm in cell.arms
        for body, links in links_of(arm).items()
        for link in links
    }


@cache
def distances(cell):
    """The least distance of each two bodies over postures that nobody has sampled."""
    path = extremes(cell)
    model = CollisionModel(cell)
    least = {}
    for (kind, bodies), distance in zip(
        model.watched, model.distances(path).min(axis=0), strict=True
    ):
        if kind != "keep_out":
            pair = frozenset(bodies)
            least[pair] = min(least.get(pair, np.inf), distance)
    return least


def extremes(cell):
    """Every end of range of an arm with every other, and postures that were not sampled."""
    lower = np.concatenate([arm.hardware_limits.position_lower for arm in cell.arms])
    upper = np.concatenate([arm.hardware_limits.position_upper for arm in cell.arms])
    random = np.random.default_rng(SEED + 1)
    n = len(cell.arms[0].joints)
    corners = np.array(list(product((0.0, 1.0), repeat=n)))
    parts = [np.tile(corners, len(cell.arms)), random.uniform(0, 1, (500, len(lower)))]
    return lower + np.concatenate(parts) * (upper - lower)


def test_links_that_are_said_never_to_touch_do_not_in_other_postures_either(cell):
    body, least = bodies_by_link(cell), distances(cell)
    never = [pair for pair, reason in disabled(cell).items() if reason == "Never"]
    assert never
    for first, second in never:
        assert least[frozenset((body[first], body[second]))] > 0.01


def test_links_that_touched_in_a_sample_are_looked_at(cell):
    body, least = bodies_by_link(cell), distances(cell)
    off = {frozenset((body[a], body[b])) for a, b in disabled(cell) if body[a] != body[b]}
    for pair, distance in least.items():
        if distance < 0:
            assert pair not in off


def test_the_feet_may_stand_on_the_bench_and_touch_nothing_else(cell):
    srdf = srdf_of(cell)
    standing = {e.get("link") for e in srdf.findall("disable_default_collisions")}
    assert standing == {links_of(arm)["foot"][0] for arm in cell.arms}
    on = {frozenset((e.get("link1"), e.get("link2"))) for e in srdf.findall("enable_collisions")}
    off = {frozenset((e.get("link1"), e.get("link2"))) for e in srdf.findall("disable_collisions")}
    assert not on & off
    others = set(bodies_by_link(cell))
    for foot in standing:
        assert {frozenset((foot, link)) for link in others - {foot}} <= on | off


def test_the_two_arms_of_a_cell_are_looked_at_against_each_other():
    cell = load_cell("dual_arm")
    off = disabled(cell)
    assert ("left_wrist_3_link", "right_wrist_3_link") not in off
    assert ("left_base_link_inertia", "right_base_link_inertia") in off


# --- the command


def test_it_is_written_where_it_is_wanted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["moveit", "ur5e", str(tmp_path / "new" / "ur5e")])
    assert command.main() == 0
    written = {Path(line) for line in capsys.readouterr().out.split()}
    assert written == set((tmp_path / "new" / "ur5e").iterdir())


def test_a_cell_that_is_none_is_wrong_use(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["moveit", "nowhere", str(tmp_path)])
    assert command.main() == 2
    assert "nowhere" in capsys.readouterr().err
