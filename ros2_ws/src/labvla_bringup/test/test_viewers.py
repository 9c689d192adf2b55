"""The configurations of rviz and Foxglove are what the cells say, and name only what there is."""

import json
from itertools import chain
from pathlib import Path

import pytest
import yaml

from labvla_bringup.hardware import Hardware
from labvla_bringup.stack import Views, describe
from labvla_bringup.viewers import VIEWERS, foxglove_layout, rviz_config
from labvla_policy.runtime.cell import load_cell

ROOT = Path(__file__).resolve().parents[4]
CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")
ENDINGS = {"rviz": "rviz", "foxglove": "json"}

# What rviz_default_plugins and rviz_common register in Jazzy and Kilted, and this repository uses.
RVIZ_DISPLAYS = {"Camera", "Grid", "Image", "MarkerArray", "RobotModel", "TF"}
RVIZ_TOOLS = {"FocusCamera", "Interact", "Measure", "MoveCamera", "Select"}
RVIZ_PANELS = {"Displays", "Time", "Views"}
FOXGLOVE_PANELS = {"3D", "Image", "Plot", "RawMessages", "DiagnosticSummary", "RosOut"}


@pytest.mark.parametrize("viewer", VIEWERS)
def test_there_is_a_file_for_every_cell_and_it_is_what_the_cell_says_now(viewer):
    folder, ending = ROOT / "config" / viewer, ENDINGS[viewer]
    assert {path.name for path in folder.iterdir()} == {f"{cell}.{ending}" for cell in CELLS}
    for cell in CELLS:
        assert (folder / f"{cell}.{ending}").read_text() == VIEWERS[viewer](load_cell(cell))


def classes(entries, package):
    return {entry["Class"].removeprefix(f"{package}/") for entry in entries}


@pytest.mark.parametrize("cell", CELLS)
def test_rviz_knows_every_class(cell):
    config = yaml.safe_load(rviz_config(load_cell(cell)))
    manager = config["Visualization Manager"]
    assert classes(manager["Displays"], "rviz_default_plugins") == RVIZ_DISPLAYS
    assert classes(manager["Tools"], "rviz_default_plugins") == RVIZ_TOOLS
    assert classes(config["Panels"], "rviz_common") == RVIZ_PANELS
    assert manager["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"


def display(config, name):
    shown = yaml.safe_load(config)["Visualization Manager"]["Displays"]
    return next(one for one in shown if one["Name"] == name)


def test_rviz_listens_as_it_is_spoken_to():
    config = rviz_config(load_cell("franka"))
    robot = display(config, "robot")["Description Topic"]
    markers = display(config, "plans, boxes, status")["Topic"]
    camera = display(config, "camera front")["Topic"]
    assert robot["Durability Policy"] == "Transient Local"
    assert (markers["Value"], markers["Reliability Policy"]) == ("labvla/markers", "Reliable")
    assert camera["Reliability Policy"] == "Best Effort"
    names = [one["Name"] for one in yaml.safe_load(config)["Visualization Manager"]["Displays"]]
    assert len(names) == len(set(names))


def leaves(layout):
    if isinstance(layout, str):
        return [layout]
    assert layout["direction"] in ("row", "column")
    assert 0 < layout["splitPercentage"] < 100
    return list(chain(leaves(layout["first"]), leaves(layout["second"])))


@pytest.mark.parametrize("cell", CELLS)
def test_a_foxglove_layout_places_every_panel_once(cell):
    layout = json.loads(foxglove_layout(load_cell(cell)))
    placed = leaves(layout["layout"])
    assert sorted(placed) == sorted(layout["configById"])
    assert {panel.split("!")[0] for panel in placed} == FOXGLOVE_PANELS


@pytest.mark.parametrize("name", CELLS)
def test_a_foxglove_layout_plots_every_joint_commanded_and_measured(name):
    cell = load_cell(name)
    panels = json.loads(foxglove_layout(cell))["configById"]
    plotted = [path for key in panels if key.startswith("Plot!") for path in panels[key]["paths"]]
    state = f"/{cell.controller.name}/state"
    assert {path["value"] for path in plotted} == {
        f"{state}.{field}[{i}]"
        for i in range(len(cell.joints))
        for field in ("reference_positions", "measured_positions")
    }
    by_index = {int(path["value"].split("[")[1][:-1]): path["label"] for path in plotted}
    assert [by_index[i].split()[0] for i in range(len(cell.joints))] == list(cell.joints)


def test_a_foxglove_layout_shows_cameras_and_markers_of_its_namespace():
    cell = load_cell("franka")
    panels = json.loads(foxglove_layout(cell, "/lab1"))["configById"]
    pictures = {key: panels[key]["imageMode"]["imageTopic"] for key in panels if "Image!" in key}
    assert set(pictures.values()) == {f"/lab1/{camera.topic}" for camera in cell.cameras}
    assert panels["3D!scene"]["topics"]["/lab1/labvla/markers"] == {"visible": True}
    assert panels["3D!scene"]["followTf"] == cell.frame


@pytest.mark.parametrize("robot", ["sim", "hardware"])
def test_the_monitor_runs_where_it_is_asked_for_and_shows_bodies_where_no_robot_is_described(robot):
    cell = load_cell("franka")
    engine = "expert" if robot == "sim" else "none"
    addresses = {} if robot == "sim" else {"hardware": Hardware(drive=False)}
    asked = describe(cell, robot=robot, engine=engine, views=Views(markers=True), **addresses)
    (monitor,) = [process for process in asked.processes if process.name == "monitor"]
    simulated = robot == "sim"
    assert monitor.parameters["bodies"] == monitor.parameters["use_sim_time"] == simulated
    assert not monitor.essential
    without = describe(cell, robot=robot, engine=engine, **addresses)
    assert "monitor" not in {process.name for process in without.processes}
