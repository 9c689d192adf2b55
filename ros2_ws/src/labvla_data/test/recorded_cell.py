"""A cell small enough for tests, as a file."""

import yaml

from labvla_policy.runtime.cell.load import find_cells


def write_cell(folder, *, picture=32, camera_rate=20.0, state_rate=100.0):
    """Write the Franka cell with small pictures and slow streams; return the file."""
    cell = yaml.safe_load(find_cells()["franka"].read_text())
    cell["name"] = "small"
    for camera in cell["cameras"]:
        camera |= {"width": picture, "height": picture, "rate": camera_rate}
    cell["joint_states"]["rate"] = state_rate
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(cell))
    return path
