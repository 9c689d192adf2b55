"""Scenes are data: what is described is built, stands still, and looks as described."""

import json

import numpy as np
import pytest

from labvla_sim.plant import CellRenderer
from labvla_sim.plant.sim_cell import SILENT, SimCell
from labvla_sim.quality import BEAUTY, CAMERA
from labvla_sim.scene import (
    Beaker,
    CameraShift,
    Clutter,
    HotPlate,
    Light,
    Place,
    SceneDescription,
    build_scene,
)
from labvla_sim.scene.things import CLUTTER_RADIUS

FULL = SceneDescription(
    beakers=(
        Beaker("beaker", "100ml", Place(0.46, -0.15, 0.4), liquid=0.4),
        Beaker("beaker_2", "250ml", Place(0.58, -0.02)),
        Beaker("beaker_3", "50ml", Place(0.56, -0.24)),
    ),
    clutter=tuple(
        Clutter(kind, Place(0.85, -0.5 + 0.2 * number))
        for number, kind in enumerate(CLUTTER_RADIUS)
    ),
)


def picture(cell, description, camera="front"):
    sim = SimCell(cell, description, noise=SILENT)
    renderer = CellRenderer(cell, cameras=[camera], sizes=(96, 72))
    try:
        return renderer.render(sim.snapshot())[camera].astype(float)
    finally:
        renderer.close()


def test_everything_stands_still_where_it_was_put(cell):
    sim = SimCell(cell, FULL, noise=SILENT)
    before = sim.truth().bodies
    for _ in range(1000):
        sim.step(np.zeros(7), [0.08])
    after = sim.truth().bodies
    for name in before:
        assert np.abs(after[name].position - before[name].position).max() < 1e-3, name
        assert after[name].tilt - before[name].tilt < 0.01, name


def test_a_description_can_be_recorded_as_json():
    assert json.loads(json.dumps(FULL.as_dict()))["beakers"][0]["size"] == "100ml"


def test_physics_does_not_depend_on_the_quality_of_pictures(cell):
    plain, fine = (build_scene(cell, FULL, quality).model for quality in (CAMERA, BEAUTY))
    assert plain.nq == fine.nq
    assert plain.nv == fine.nv
    np.testing.assert_array_equal(plain.body_mass, fine.body_mass)
    np.testing.assert_array_equal(plain.body_inertia, fine.body_inertia)
    touching = [model.geom_contype > 0 for model in (plain, fine)]
    np.testing.assert_array_equal(plain.geom_size[touching[0]], fine.geom_size[touching[1]])


def test_cameras_look_where_the_cell_says(cell):
    """A beaker is seen where the camera's pose and field of view project it to."""
    camera = next(camera for camera in cell.cameras if camera.name == "front")
    with_beaker = SceneDescription(
        beakers=(Beaker("beaker", "250ml", Place(0.55, -0.20)),), hot_plate=None, stirrer=None
    )
    without = SceneDescription(
        beakers=(Beaker("beaker", "250ml", Place(1.05, 0.80)),), hot_plate=None, stirrer=None
    )
    change = np.abs(picture(cell, with_beaker) - picture(cell, without)).sum(axis=2)
    rows, columns = np.nonzero(change > 20)
    middle = np.array([0.55, -0.20, 0.0475, 1.0])
    x, y, z, _ = np.linalg.inv(camera.mount.matrix()) @ middle
    scale = 36 / np.tan(camera.vertical_fov / 2)
    assert np.mean(columns) == pytest.approx(48 - scale * y / x, abs=4)
    assert np.mean(rows) == pytest.approx(36 - scale * z / x, abs=5)


def test_a_camera_shift_moves_the_picture(cell):
    shifted = SceneDescription(camera_shifts=(CameraShift("front", rpy=(0.0, 0.0, 0.05)),))
    assert np.abs(picture(cell, SceneDescription()) - picture(cell, shifted)).mean() > 2


def test_a_brighter_light_makes_a_brighter_picture(cell):
    dim, bright = (SceneDescription(light=Light(brightness=b)) for b in (0.6, 1.2))
    assert picture(cell, bright).mean() > 1.3 * picture(cell, dim).mean()


def test_a_running_plate_looks_different_in_every_scene_camera(cell):
    sim = SimCell(cell, SceneDescription(hot_plate=HotPlate(Place(0.5, 0.2))), noise=SILENT)
    renderer = CellRenderer(cell, cameras=["front", "side"], sizes=(96, 72))
    off = sim.snapshot()
    before = renderer.render(off)
    sim.push("hot_plate_button", [0, 0, -5, 0, 0, 0], 0.3)
    for _ in range(300):
        sim.step(np.zeros(7), [0.08])
    on = sim.snapshot()
    assert not off.hot_plate.running
    assert on.hot_plate.running
    after = renderer.render(on)
    renderer.close()
    for name in ("front", "side"):
        changed = np.abs(after[name].astype(float) - before[name]).sum(axis=2) > 40
        assert changed.sum() > 20, name


def test_the_plate_heats_up_to_its_set_point_and_stays_there(cell):
    from labvla_sim.plant.hot_plate_device import HotPlateDevice

    device = HotPlateDevice(80.0)
    device.step(0.005, 0.02)
    assert not device.state.running, "a tap of 20 ms is shorter than the switch's debouncing"
    device.step(0.0, 0.001)
    for _ in range(4):
        device.step(0.005, 0.01)
    assert device.state.running
    temperatures = []
    for _ in range(6000):
        device.step(0.0, 0.1)
        temperatures.append(device.state.temperature)
    assert 22.0 < temperatures[50] < 50.0
    assert temperatures[-1] == pytest.approx(78.0, abs=3.0)
    assert max(temperatures) < 81.0
