"""What a person would do at the simulated bench, as scripts for `labvla teleop script`."""

import yaml

from labvla_policy.runtime.cell import load_cell
from labvla_sim.scene.glass import size_of
from labvla_sim.tasks.episode import sample_episode

BELOW_RIM = 0.028  # m from the rim to the pads
ABOVE = 0.10  # m
LIFT = 0.18  # m
SQUEEZE = 0.012  # m


def pick(seed, folder, *, record=True):
    """Write the script that picks the beaker of a scene up; return its file and the instruction."""
    cell = load_cell("franka")
    episode = sample_episode(cell, "pick", seed, "id")
    beaker = episode.scene.beaker("beaker")
    size = size_of(beaker)
    grasp = [beaker.place.x, beaker.place.y, size.height - BELOW_RIM]

    def above(height):
        return [grasp[0], grasp[1], grasp[2] + height]

    steps = [
        {"gripper": "open"},
        {"to": above(ABOVE), "within": 0.01},
        {"to": grasp, "speed": 0.6},
        {"gripper": size.diameter - SQUEEZE},
        # Simulated pictures have no noise: a hand that waits for long looks like a frozen camera.
        {"wait": 0.4},
        {"to": above(LIFT), "speed": 0.5, "within": 0.01},
    ]
    if record:
        steps = [{"button": "start"}, *steps, {"button": "success"}]
    file = folder / f"pick_{seed}.yaml"
    file.write_text(yaml.safe_dump({"steps": plain(steps)}))
    return file, episode.instruction


def plain(value):
    """Return nested values without NumPy's numbers, which are no YAML."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value
