"""The robot node against drivers that speak the makers' services, actions and latched topics.

Needs the makers' message packages, or stand-ins for them: fakes/vendor_messages.py builds some.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_node import RobotNode
from labvla_policy.runtime.cell import load_cell

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "fakes"))


def arguments(cell, *more):
    return ["--ros-args", "-p", f"cell:={cell}", *[word for one in more for word in ("-p", one)]]


class Bench:
    """The robot node, and a node that plays the drivers and the stack."""

    def __init__(self, cell, driver, *more):
        import mock_drivers  # needs the makers' messages

        self.words = arguments(cell, *more)
        self.context = Context()
        rclpy.init(context=self.context)
        self.world = Node("world", context=self.context)
        self.robot = getattr(mock_drivers, driver)(self.world)
        self.stack = mock_drivers.Stack(self.world)
        self.events, self.told = [], []
        self.world.create_subscription(
            SafetyEvent, "labvla/events", self.events.append, qos.RELIABLE
        )
        self.world.create_subscription(
            DiagnosticStatus, "labvla/robot", self.told.append, qos.LATCHED
        )
        self.grips = self.world.create_publisher(DiagnosticArray, "labvla/grips", qos.LATCHED)
        self.clients = {
            name: self.world.create_client(Trigger, f"labvla/{name}")
            for name in ("recover", "confirm_recovery")
        }
        self.outside = SingleThreadedExecutor(context=self.context)
        self.outside.add_node(self.world)
        self.start()

    def start(self):
        rclpy.init(args=self.words)
        self.node = RobotNode()
        self.inside = SingleThreadedExecutor()
        self.inside.add_node(self.node)

    def stop(self):
        self.inside.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def until(self, condition, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; told: {self.values()}"
            for executor in (self.inside, self.outside):
                end = time.monotonic() + 0.01
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.002)
        return self

    def call(self, name):
        client = self.clients[name]
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result().success, future.result().message

    def values(self):
        return {pair.key: pair.value for pair in self.told[-1].values} if self.told else {}

    def ready(self):
        return bool(self.told) and self.told[-1].level == DiagnosticStatus.OK

    def until_ready(self):
        return self.until(self.ready)

    def recovery(self, phase):
        return self.until(lambda: self.values().get("recovery") == phase)

    def close(self):
        self.stop()
        self.outside.shutdown()
        self.world.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def franka():
    pytest.importorskip("franka_msgs", reason="no makers' messages: fakes/vendor_messages.py")
    bench = Bench("franka", "MockFranka").until_ready()
    yield bench
    bench.close()


@pytest.fixture
def ur():
    pytest.importorskip("ur_dashboard_msgs", reason="no makers' messages: fakes/vendor_messages.py")
    bench = Bench("ur5e", "MockUr").until_ready()
    yield bench
    bench.close()


def test_a_reflex_stops_the_controller_and_is_told_with_its_error(franka):
    franka.robot.mode = 4
    franka.until(lambda: franka.events and franka.stack.stops)
    assert franka.events[0].reason == "protective_stop"
    assert franka.events[0].severity == SafetyEvent.STOPPED
    assert "joint_reflex" in franka.events[0].detail
    assert not franka.ready()
    assert franka.values()["reason"] == "protective_stop"
    assert franka.robot.recoveries == 0, "nothing is cleared before somebody asks"


def test_a_franka_comes_back_with_hardware_controllers_and_broadcaster(franka):
    franka.robot.reflex()
    franka.until(lambda: not franka.ready())
    assert franka.call("recover")[0]
    franka.recovery("done").until_ready()
    assert franka.robot.recoveries == 1
    assert franka.robot.manager.switched == [["labvla_controller", "state_broadcaster"]]
    assert franka.stack.resets == 1


def test_a_franka_that_cannot_be_cleared_says_so(franka):
    franka.robot.reflex(mode=5)
    franka.robot.stuck = True
    franka.until(lambda: not franka.ready())
    franka.until(lambda: franka.values()["reason"] == "robot_idle")  # its broadcaster is gone
    assert franka.call("recover")[0]
    franka.recovery("failed")
    assert "Release the stop button" in franka.values()["doing"]
    assert franka.stack.resets == 0


def test_a_pressed_button_is_not_recovered_from(franka):
    franka.robot.mode = 5
    franka.until(lambda: franka.values().get("reason") == "emergency_stop")
    done, message = franka.call("recover")
    assert not done
    assert "release the button" in message


def test_a_ur_waits_for_a_person_before_it_is_unlocked(ur):
    ur.robot.tell(safety=3)
    ur.until(lambda: ur.stack.stops > 0)
    assert ur.call("recover")[0]
    ur.recovery("waiting")
    assert ur.robot.asked == ["stop"]
    assert "look at the arm" in ur.values()["confirm"]
    assert ur.call("confirm_recovery")[0]
    ur.recovery("done").until_ready()
    assert ur.robot.asked == ["stop", "unlock_protective_stop", "play"]
    assert ur.stack.resets == 1


def test_a_button_that_is_pressed_while_a_person_looks_ends_it(ur):
    ur.robot.tell(safety=3)
    ur.until(lambda: not ur.ready())
    ur.call("recover")
    ur.recovery("waiting")
    ur.robot.tell(safety=7, robot=3)
    ur.recovery("failed")
    assert not ur.call("confirm_recovery")[0]
    assert ur.robot.asked == ["stop"]


def test_a_node_that_starts_again_in_the_middle_learns_all_from_latched_topics(ur):
    ur.robot.tell(safety=3)
    ur.until(lambda: not ur.ready())
    ur.call("recover")
    ur.recovery("waiting")
    ur.stop()
    ur.told.clear()
    ur.start()
    ur.until(lambda: ur.values().get("reason") == "protective_stop")
    assert not ur.call("confirm_recovery")[0], "nobody asked this node for anything"
    assert ur.call("recover")[0]
    ur.recovery("waiting")
    assert ur.call("confirm_recovery")[0]
    ur.recovery("done").until_ready()
    assert ur.robot.asked == ["stop", "unlock_protective_stop", "play"]


def test_a_program_that_cannot_be_played_yet_is_played_later(ur):
    ur.robot.refuses["play"] = "no program is loaded"
    ur.robot.tell(program=False)
    ur.until(lambda: not ur.ready())
    ur.call("recover")
    ur.until(lambda: ur.robot.asked.count("play") > 1)  # it is asked again
    ur.robot.refuses.clear()
    ur.recovery("done").until_ready()


def test_the_payload_is_told_at_the_start_and_again_after_a_stop(ur):
    mass = load_cell("ur5e").arms[0].payload.mass
    ur.until(lambda: ur.robot.payloads == [pytest.approx(mass, abs=1e-3)])
    ur.robot.tell(program=False)
    ur.until(lambda: not ur.ready())
    ur.call("recover")
    ur.recovery("done")
    ur.until(lambda: len(ur.robot.payloads) == 2)


def test_what_is_gripped_is_told_where_the_cell_says_its_mass(tmp_path):
    pytest.importorskip("ur_msgs", reason="no makers' messages: fakes/vendor_messages.py")
    text = Path(load_cell("ur5e").origin.file).read_text()
    assert "program: pendant}" in text
    file = tmp_path / "ur5e.yaml"
    held = "program: pendant, payload_held: {mass: 1.5 kg, com: [0, 0, 90 mm]}}"
    file.write_text(text.replace("program: pendant}", held))
    bench = Bench(file, "MockUr").until_ready()
    try:
        bench.until(lambda: len(bench.robot.payloads) == 1)
        bench.grips.publish(
            DiagnosticArray(status=[DiagnosticStatus(name="arm_gripper", message="grasped")])
        )
        bench.until(lambda: bench.robot.payloads[1:] == [1.5])
        bench.grips.publish(
            DiagnosticArray(status=[DiagnosticStatus(name="arm_gripper", message="open")])
        )
        bench.until(lambda: len(bench.robot.payloads) == 3)
    finally:
        bench.close()


def test_fake_hardware_has_controllers_and_nothing_else_to_recover():
    pytest.importorskip("franka_msgs", reason="no makers' messages: fakes/vendor_messages.py")
    bench = Bench("franka", "MockFranka", "fake_hardware:=true").until_ready()
    try:
        bench.robot.reflex()
        bench.robot.manager.hardware["FrankaHardwareInterface"] = "active"
        bench.until(lambda: not bench.ready())
        assert bench.call("recover")[0]
        bench.recovery("done").until_ready()
        assert bench.robot.recoveries == 0
    finally:
        bench.close()


def node(*words, before=""):
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; {before}\n"
            "from labvla_policy.nodes.robot_node import main; sys.exit(main())",
            *words,
        ],
        env=os.environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_missing_messages_end_the_node_with_their_name():
    done = node(*arguments("franka"), before="sys.modules['controller_manager_msgs'] = None")
    assert done.returncode == 3
    assert "controller_manager_msgs/srv/ListControllers, which is not installed" in done.stderr


def test_a_cell_without_drivers_is_refused(tmp_path):
    text = Path(load_cell("franka").origin.file).read_text()
    file = tmp_path / "franka.yaml"
    file.write_text("\n".join(ln for ln in text.splitlines() if not ln.startswith("    driver:")))
    done = node(*arguments(file))
    assert done.returncode == 2
    assert "expected a `driver` for arm, got none" in done.stderr
