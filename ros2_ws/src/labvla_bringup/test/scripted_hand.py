"""What a person would do at the simulated bench, as scripts for `labvla teleop script`."""

import yaml
from std_msgs.msg import String

from labvla_policy.nodes import qos
from labvla_sim.scene.hot_plate import BUTTON
from labvla_sim.truth_text import from_text

TASK = "press"
TOP = 0.011  # m from the button's frame to its top
FINGERTIP = 0.010  # m from the tool centre point to the tip
BEYOND = 0.014  # m past the top: a compliant arm sags against the spring
ABOVE = 0.07  # m
SAFE_HEIGHT = 0.25  # m


def where_the_button_is(cell, seed):
    """Look at the bench, as a person would: the button and what is up from it."""
    heard = []
    node = cell.graph.node
    listener = node.create_subscription(
        String, "sim/truth", lambda message: heard.append(from_text(message.data)), qos.RELIABLE
    )
    cell.until(lambda: bool(heard) and (heard[-1].task, heard[-1].seed) == (TASK, seed))
    node.destroy_subscription(listener)
    pose = heard[-1].truth.bodies[BUTTON]
    return pose.position, pose.rotation[:, 2]


def press(cell, seed, file):
    """Write the script that presses the button of the scene that is up, recorded."""
    position, normal = where_the_button_is(cell, seed)
    top = position + normal * (TOP + FINGERTIP)

    def off(distance):
        return (top + normal * distance).tolist()

    before = off(ABOVE)
    high = [*before[:2], SAFE_HEIGHT]
    steps = [
        {"button": "start"},
        {"gripper": "closed"},
        {"to": high, "within": 0.02},
        {"to": before, "within": 0.01},
        {"to": off(-BEYOND), "speed": 0.35},
        {"to": before, "within": 0.01},
        {"to": high, "within": 0.02},
        {"button": "success"},
    ]
    file.write_text(yaml.safe_dump({"steps": steps}))
    return file
