"""Contracts are compared at every connection: what differs is listed, what is not said is known."""

from dataclasses import replace

import pytest
import yaml

from labvla_policy.engines.remote import agreement
from labvla_policy.engines.remote.dialects import LabVla, LabVlaRos
from labvla_policy.openpi.metadata import Metadata, MetadataError
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.refusal import Refused


@pytest.fixture(scope="module")
def cell():
    return load_cell("franka")


ORIGINAL = Metadata(policy_type="labvla", action_dim=8, state_dim=8, chunk_size=50, num_cameras=3)


def complete(cell):
    """What this stack's server says about a policy for the cell."""
    return replace(
        ORIGINAL,
        control_rate=30.0,
        row_offset=1,
        action_space="absolute",
        network_action_space="delta_from_observation",
        anchor="measured",
        columns=tuple(name or "" for name in cell.column_names),
        gripper_columns=(7,),
        gripper_unit="finger_width",
        joint_unit="rad",
        cameras=("camera_1_rgb", "camera_2_rgb", "camera_3_rgb"),
        camera_names=("front", "side", "wrist"),
        contract_hash=cell.contract_hash,
    )


def complaints(metadata, cell, dialect=None):
    with pytest.raises(Refused) as refused:
        agreement.check(metadata, cell, dialect or LabVla(), "gpu:8000")
    assert refused.value.refusal.reason == "server_contract"
    return refused.value.refusal.detail


def test_who_says_little_is_believed_about_it_and_the_cell_says_the_rest(cell):
    agreement.check(ORIGINAL, cell, LabVla(), "gpu:8000")
    assert agreement.unsaid(ORIGINAL) == {
        "control_rate": "policy.row_rate",
        "row_offset": "policy.row_offset",
        "columns": "arms[].joints",
        "gripper_unit": "arms[].gripper.policy_unit",
        "joint_unit": "rad",
    }


def test_who_says_everything_leaves_nothing_to_believe(cell):
    metadata = complete(cell)
    agreement.check(metadata, cell, LabVlaRos(metadata, cell), "gpu:8000")
    assert agreement.unsaid(metadata) == {}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"state_dim": 14}, "got 14-wide states"),
        ({"action_dim": 7}, "got 7-wide actions"),
        ({"num_cameras": 2, "cameras": None}, "got one for 2 from gpu:8000"),
        ({"cameras": ("camera_1_rgb",)}, "got one for 1"),
        ({"control_rate": 15.0}, "expected 30"),
        ({"row_offset": 0}, "policy.row_offset"),
        ({"network_action_space": "absolute"}, "policy.action_space"),
        ({"action_space": "delta_from_observation"}, "expected rows that are absolute"),
        ({"anchor": "reference"}, "policy.anchor"),
        ({"gripper_columns": (6,)}, "gripper columns"),
        ({"gripper_unit": "open_fraction"}, "expected finger_width, got open_fraction"),
        ({"joint_unit": "deg"}, "expected rad, got deg"),
        ({"columns": ("a",) * 8}, "expected fr3_joint1"),
        ({"camera_names": ("wrist", "side", "front")}, "got wrist, side, front"),
        ({"contract_hash": "0" * 64}, "another cell's contract"),
    ],
)
def test_every_difference_is_named(cell, changes, complaint):
    metadata = replace(complete(cell), **changes)
    assert complaint in complaints(metadata, cell)


def test_all_differences_are_told_at_once(cell):
    said = complaints(replace(complete(cell), control_rate=15.0, row_offset=0), cell)
    assert "row_rate" in said
    assert "row_offset" in said


def test_a_server_that_restores_cannot_serve_a_cell_anchored_to_the_reference(cell, tmp_path):
    description = yaml.safe_load(open(cell.origin.file))  # noqa: PTH123, SIM115
    description["policy"]["anchor"] = "reference"
    file = tmp_path / "franka.yaml"
    file.write_text(yaml.safe_dump(description))
    assert "adds its deltas to the measured state" in complaints(ORIGINAL, load_cell(file))


def test_metadata_travel_without_loss(cell):
    metadata = complete(cell)
    assert Metadata.read(metadata.as_map()) == metadata
    assert Metadata.read({**ORIGINAL.as_map(), "something_else": [1]}) == ORIGINAL
    assert "columns" not in ORIGINAL.as_map()


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("hello", "expected a map"),
        ({"action_dim": "8"}, "action_dim: expected int"),
        ({"action_dim": True}, "action_dim: expected int"),
        ({"action_dim": 8.0}, "action_dim: expected int"),
        ({"columns": "joint"}, "columns: expected a list of str"),
        ({"columns": [1]}, "columns: expected a list of str"),
        ({"control_rate": "fast"}, "control_rate: expected float"),
        ({"checkpoint": "x" * 201}, "checkpoint: expected str"),
        ({"checkpoint": "a\x1b[2J"}, "checkpoint: expected str"),
        ({"columns": ["a"] * 65}, "columns: expected a list of str"),
    ],
)
def test_metadata_that_are_none(message, complaint):
    with pytest.raises(MetadataError, match=complaint):
        Metadata.read(message)
