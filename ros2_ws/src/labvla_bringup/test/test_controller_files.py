"""The controllers' parameter files say what the cell files say."""

from pathlib import Path

import pytest
import yaml

from labvla_bringup import controllers
from labvla_bringup.controllers import ControllerError
from labvla_policy.runtime.cell import load_cell

ROOT = Path(__file__).resolve().parents[4]
CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")
FILES = sorted((ROOT / "config" / "controllers").glob("*.yaml"))
POSSIBLE = {
    (cell, kind)
    for cell in CELLS
    for kind in controllers.KINDS
    if kind != "crisp" or "franka" in cell
}


def test_there_is_a_file_for_every_cell_and_every_controller_that_can_move_it():
    assert {tuple(file.stem.rsplit("_", 1)) for file in FILES} == POSSIBLE


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_are_what_the_cells_say_now(file):
    cell, kind = file.stem.rsplit("_", 1)
    assert file.read_text() == controllers.to_yaml(load_cell(cell), kind)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_file_holds_anchors_which_ros_refuses(file):
    events = yaml.parse(file.read_text())
    assert not [e for e in events if isinstance(e, yaml.AliasEvent) or getattr(e, "anchor", None)]


def test_an_arm_without_torques_is_refused_to_crisp():
    with pytest.raises(ControllerError, match="need torques, and arm has a position interface"):
        controllers.parameters(load_cell("ur5e"), "crisp")


def test_an_unknown_controller_is_refused_with_the_known_ones():
    with pytest.raises(ControllerError, match=r"expected one of labvla, jtc, crisp, got 'pid'"):
        controllers.parameters(load_cell("franka"), "pid")


def test_the_reference_obeys_the_operating_limits_of_the_cell():
    cell = load_cell("franka")
    told = controllers.parameters(cell, "labvla")["labvla_controller"]["operating_limits"]
    limits = cell.arms[0].operating_limits
    assert [told[joint]["velocity"] for joint in cell.joints] == list(limits.velocity)
    assert [told[joint]["jerk"] for joint in cell.joints] == list(limits.jerk)
