"""The bodies of a cell: free where people put the arms, in contact where they obviously are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_support import cell_of, posture

from labvla_policy.runtime.cell.geometry import KeepOut
from labvla_policy.runtime.gate.bodies import FOOT, SHAPES, capsules_of
from labvla_policy.runtime.gate.collision import CollisionModel
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.kinematics import CHAINS

CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")
CLEARANCE = 0.010


def contact(cell, *rows, clearance=CLEARANCE):
    model = CollisionModel(cell)
    return model.first_contact(np.array(rows, dtype=float), model.required(clearance, 0.0))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("at", ["home", "ready"])
def test_the_postures_of_the_shipped_cells_are_free(name, at):
    cell = cell_of(name)
    assert contact(cell, posture(cell, at)) is None


def bent(cell, **joints):
    """The ready posture with some joints elsewhere, numbered from 1."""
    q = posture(cell).copy()
    for joint, value in joints.items():
        q[int(joint[1:]) - 1] = value
    return q


@pytest.mark.parametrize(
    ("name", "joints", "kind", "bodies"),
    [
        # the hand lowered through the bench, and the whole arm leaning into the wall behind it
        ("franka", {"j2": 1.2, "j4": -1.5}, "keep_out", {"bench_top"}),
        ("franka", {"j2": -1.7, "j4": -0.3, "j6": 2.0}, "keep_out", {"wall"}),
        # folded together: the hand is in the arm's own shoulder
        (
            "franka",
            {"j2": -1.0, "j4": -2.95, "j6": 0.7},
            "self_collision",
            {"arm.fingers", "arm.link2"},
        ),
        ("ur5e", {"j2": -0.3, "j3": 0.6}, "keep_out", {"bench_top"}),
        ("ur5e", {"j3": 2.95}, "self_collision", {"arm.upper_arm"}),
        # the elbow far bent, the wrist in the shoulder
        ("ur5e", {"j2": -1.2, "j3": -2.9}, "self_collision", {"arm.forearm", "arm.shoulder"}),
        # both arms turned to each other
        ("dual_arm", {"j1": -0.8, "j7": 0.8}, "arm_collision", {"left.forearm", "right.wrist2"}),
        ("dual_franka", {"j1": -0.9, "j8": 0.9}, "arm_collision", {"left.link7", "right.link7"}),
    ],
)
def test_obvious_collisions(name, joints, kind, bodies):
    cell = cell_of(name)
    found = contact(cell, bent(cell, **joints))
    assert found is not None
    assert found.distance < found.required
    model = CollisionModel(cell)
    distances = model.distances(bent(cell, **joints)[np.newaxis])[0]
    broken = [p for p, d in zip(model._pairs, distances, strict=True) if d < CLEARANCE]
    assert kind in {pair.kind for pair in broken}
    assert bodies <= {body for pair in broken for body in pair.bodies}


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_bodies_contain_the_joints_that_they_connect(kind):
    """A table with a wrong sign would leave the arm's own axis outside of its housing."""
    name = {"fr3": "franka", "ur5e": "ur5e"}[kind]
    cell = cell_of(name)
    chain = CHAINS[kind]
    model = CollisionModel(cell)
    q = np.random.default_rng(0).uniform(-1.5, 1.5, (20, chain.joints))
    starts, ends = model._segments(q)
    frames = chain.frames(q)
    for joint in range(chain.joints):
        centre = frames[:, joint, :3, 3]
        capsules = [i for i, c in enumerate(model._capsules) if c.link in (joint - 1, joint)]
        near = np.full(len(q), np.inf)
        for i in capsules:
            along = ends[:, i] - starts[:, i]
            s = np.einsum("ri,ri->r", centre - starts[:, i], along)
            s = np.clip(s / np.einsum("ri,ri->r", along, along), 0, 1)[:, np.newaxis]
            gap = np.linalg.norm(starts[:, i] + s * along - centre, axis=1)
            near = np.minimum(near, gap - model._capsules[i].radius)
        # on a UR5e the frames after shoulder and elbow lie on the axis, beside the tubes
        assert near.max() < (0.08 if kind == "ur5e" else 0.0), joint


def test_fingers_end_at_the_tool_centre_point():
    for name, beyond in (("franka", 0.009), ("ur5e", 0.0)):
        arm = cell_of(name).arms[0]
        tip = max(
            max(c.start[2], c.end[2]) + c.radius for c in capsules_of(arm) if c.body == "fingers"
        )
        assert tip == pytest.approx(arm.tcp.position[2] + beyond, abs=1e-3)


def test_only_the_foot_may_stand_on_a_box():
    for name in CELLS:
        model = CollisionModel(cell_of(name))
        at_boxes = {model._capsules[p.first].link for p in model._pairs if p.kind == "keep_out"}
        assert FOOT not in at_boxes
        assert len(at_boxes) == CHAINS[cell_of(name).arms[0].kind].joints + 1


@pytest.mark.parametrize("name", ["franka", "dual_arm"])
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_pair_moves_further_than_its_levers_say(name, seed):
    cell = cell_of(name)
    model = CollisionModel(cell)
    limits = Limits.of_cell(cell)
    source = np.random.default_rng(seed)
    q = source.uniform(limits.lower, limits.upper)
    step = source.normal(0, 0.05, len(q))
    before, after = model.distances(np.stack([q, q + step]))
    assert np.all(np.abs(after - before) <= model._levers @ np.abs(step) + 1e-4)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 6))
def test_between_rows_nothing_is_missed(seed, rows):
    """Against dense sampling, on paths so coarse that rows alone would miss contacts."""
    cell = cell_of("franka")
    model = CollisionModel(cell)
    limits = Limits.of_cell(cell)
    source = np.random.default_rng(seed)
    ends = np.stack([posture(cell), source.uniform(limits.lower, limits.upper)])
    path = ends[0] + np.linspace(0, 1, rows)[:, np.newaxis] * (ends[1] - ends[0])
    dense = ends[0] + np.linspace(0, 1, 600)[:, np.newaxis] * (ends[1] - ends[0])
    worst = (model.distances(dense) - model.required(CLEARANCE, 0.0)).min()
    found = model.first_contact(path, model.required(CLEARANCE, 0.0))
    if worst < -0.001:  # the resolution between rows
        assert found is not None
    if found is not None:
        assert worst < 0.001
        assert found.distance < found.required


def test_a_thin_box_between_two_rows_is_found():
    cell = cell_of("franka")
    sheet = KeepOut(name="sheet", lower=(0.3, 0.1, 0.0), upper=(0.9, 0.101, 1.0))
    keep_out = (*cell.workspace.keep_out, sheet)
    cell = replace(cell, workspace=replace(cell.workspace, keep_out=keep_out))
    left, right = bent(cell, j1=0.7), bent(cell, j1=-0.7)
    assert contact(cell, left) is None
    assert contact(cell, right) is None
    found = contact(cell, right, left)
    assert (found.kind, found.bodies[1], found.row) == ("keep_out", "sheet", 1)


def test_a_contact_at_the_very_beginning_comes_first():
    cell = cell_of("franka")
    down = bent(cell, j2=1.2, j4=-1.5)
    folded = bent(cell, j2=-1.0, j4=-2.95, j6=0.7)
    found = contact(cell, down, posture(cell), folded)
    assert (found.row, found.kind) == (0, "keep_out")


def test_the_first_contact_of_the_way_is_reported():
    cell = cell_of("franka")
    ready, down = posture(cell), bent(cell, j2=1.2, j4=-1.5)
    path = ready + np.linspace(0, 1, 40)[:, np.newaxis] * (down - ready)
    found = contact(cell, *path)
    assert contact(cell, *path[: found.row]) is None
    assert contact(cell, *path[: found.row + 1]) is not None
