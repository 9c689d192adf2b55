"""franka_ros2 and ur_robot_driver as far as a recovery meets them: on their services, actions and
latched topics, under their names, and with the order that the real ones insist on."""

from controller_manager_msgs.msg import ControllerState, HardwareComponentState
from controller_manager_msgs.srv import (
    ListControllers,
    ListHardwareComponents,
    SetHardwareComponentState,
    SwitchController,
)
from franka_msgs.action import ErrorRecovery
from franka_msgs.msg import FrankaRobotState
from lifecycle_msgs.msg import State
from rclpy.action import ActionServer
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from ur_dashboard_msgs.action import SetMode
from ur_dashboard_msgs.msg import RobotMode, SafetyMode
from ur_msgs.srv import SetPayload

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OURS = "labvla_controller"
BROADCASTER = "franka_robot_state_broadcaster"


class Behaviour:
    """What drivers were asked, in order, and how they answer."""

    def __init__(self):
        self.asked = []
        self.refuses = {}  # call -> words
        self.deaf = set()  # calls that are never answered
        self.idle = set()  # calls that are answered with success, and change nothing

    async def perform(self, call, what):
        """Return whether it was done, and words."""
        self.asked.append(call)
        if call in self.deaf:
            await Future()
        if call in self.refuses:
            return False, self.refuses[call]
        if call in self.idle:
            return True, ""
        words = what() or ""
        return not words, words

    def answer_trigger(self, node, service, call, what):
        """Offer a Trigger service."""

        async def on_request(_request, response):
            response.success, response.message = await self.perform(call, what)
            return response

        node.create_service(Trigger, service, on_request)


class MockManager:
    """A controller manager: hardware of the arms, our controller, and broadcasters."""

    def __init__(self, node: Node, behaviour: Behaviour):
        self.behaviour = behaviour
        self.hardware, self.connects = {}, {}
        self.controllers = {OURS: "active"}
        self.switched = []
        for kind, name, answer in (
            (ListControllers, "list_controllers", self._list),
            (ListHardwareComponents, "list_hardware_components", self._components),
            (SetHardwareComponentState, "set_hardware_component_state", self._set),
            (SwitchController, "switch_controller", self._switch),
        ):
            node.create_service(kind, f"controller_manager/{name}", answer)

    def add(self, component, connects=lambda: ""):
        """Add hardware; `connects` says why it cannot be reached."""
        self.hardware[component], self.connects[component] = "active", connects

    def lose(self, component):
        """One component takes all controllers down that use it."""
        self.hardware[component] = "unconfigured"
        self.controllers = dict.fromkeys(self.controllers, "inactive")

    def _list(self, _request, response):
        kinds = {BROADCASTER: "franka_robot_state_broadcaster/FrankaRobotStateBroadcaster"}
        response.controller = [
            ControllerState(name=name, state=state, type=kinds.get(name, "labvla/Controller"))
            for name, state in self.controllers.items()
        ]
        return response

    def _components(self, _request, response):
        response.component = [
            HardwareComponentState(name=name, state=State(label=state))
            for name, state in self.hardware.items()
        ]
        return response

    async def _set(self, request, response):
        def connect():
            why = self.connects[request.name]()
            if not why:
                self.hardware[request.name] = request.target_state.label
            return why

        response.ok, _ = await self.behaviour.perform(f"activate {request.name}", connect)
        return response

    async def _switch(self, request, response):
        def switch():
            if any(state != "active" for state in self.hardware.values()):
                return "hardware is not active"
            self.switched.append(list(request.activate_controllers))
            self.controllers |= dict.fromkeys(request.activate_controllers, "active")
            return ""

        response.ok, response.message = await self.behaviour.perform("switch", switch)
        return response


class MockFranka:
    """One FR3 behind its driver; a reflex takes its hardware away."""

    def __init__(self, node: Node, manager: MockManager, prefix=""):
        self.manager, self.behaviour = manager, manager.behaviour
        self.component = f"{prefix}FrankaHardwareInterface"
        self.mode, self.cleared = 1, True
        manager.add(self.component, lambda: "" if self.cleared else "the robot is in an error")
        if not prefix:  # two arms come without
            manager.controllers[BROADCASTER] = "active"
            self._states = node.create_publisher(FrankaRobotState, f"{BROADCASTER}/robot_state", 10)
            node.create_timer(0.02, self._tell)
        self._call = f"{prefix}error_recovery"
        place = prefix.replace("_", "/")
        name = f"{place}action_server/error_recovery"
        self._action = ActionServer(node, ErrorRecovery, name, self._recover)

    def reflex(self, mode=4):
        """Stop, as after a collision: the driver loses the robot."""
        self.mode, self.cleared = mode, False
        self.manager.lose(self.component)

    def _tell(self):
        if self.manager.controllers[BROADCASTER] == "active":
            state = FrankaRobotState(robot_mode=self.mode)
            state.last_motion_errors.joint_reflex = self.mode == 4
            self._states.publish(state)

    async def _recover(self, goal):
        def clear():
            if self.mode == 5:
                return "the stop button is pressed"
            self.mode, self.cleared = 1, True
            return ""

        done, _ = await self.behaviour.perform(self._call, clear)
        if done:
            goal.succeed()
        else:
            goal.abort()
        return ErrorRecovery.Result()


class MockUr:
    """One UR behind its driver, dashboard and state helper."""

    def __init__(self, node: Node, manager: MockManager, prefix=""):
        self.manager, self.behaviour, self.prefix = manager, manager.behaviour, prefix
        manager.add(f"{prefix}ur")
        self.payloads, self.modes_asked = [], []
        io, place = f"{prefix}io_and_status_controller", prefix.replace("_", "/")
        self._robot = node.create_publisher(RobotMode, f"{io}/robot_mode", LATCHED)
        self._safety = node.create_publisher(SafetyMode, f"{io}/safety_mode", LATCHED)
        self._program = node.create_publisher(Bool, f"{io}/robot_program_running", LATCHED)
        for service, call, what in (
            (f"{place}dashboard_client/stop", "stop", self._stop),
            (f"{place}dashboard_client/unlock_protective_stop", "unlock", self._unlock),
            (f"{place}dashboard_client/play", "play", self._play),
            (f"{io}/resend_robot_program", "resend", self._play),
        ):
            self.behaviour.answer_trigger(node, service, f"{prefix}{call}", what)
        node.create_service(SetPayload, f"{io}/set_payload", self._set_payload)
        name = f"{place}ur_robot_state_helper/set_mode"
        self._action = ActionServer(node, SetMode, name, self._set_mode)
        self.robot, self.safety, self.program = 7, 1, True
        self.tell()

    def tell(self, robot=None, safety=None, program=None):
        """Publish what changed, once: it is latched."""
        self.robot = self.robot if robot is None else robot
        self.safety = self.safety if safety is None else safety
        self.program = self.program if program is None else program
        self._robot.publish(RobotMode(mode=self.robot))
        self._safety.publish(SafetyMode(mode=self.safety))
        self._program.publish(Bool(data=self.program))
        if not self.program or self.safety != 1:  # controller_stopper
            self.manager.controllers[OURS] = "inactive"

    def _stop(self):
        self.tell(program=False)

    def _unlock(self):
        if self.safety != 3:
            return "not in a protective stop"
        self.tell(safety=1)
        return ""

    def _play(self):
        if self.safety != 1 or self.robot != 7:
            return "the robot cannot run a program now"
        self.tell(program=True)
        return ""

    async def _set_mode(self, goal):
        self.modes_asked.append(goal.request)

        def power():
            self.tell(robot=goal.request.target_robot_mode, safety=1)

        done, words = await self.behaviour.perform(f"{self.prefix}set_mode", power)
        goal.succeed()  # the real one ends regularly, too, and says in its result that it failed
        return SetMode.Result(success=done, message=words)

    def _set_payload(self, request, response):
        self.payloads.append(round(request.mass, 3))
        response.success = "payload" not in self.behaviour.refuses
        return response


class Stack:
    """The policy and the controller, as far as a recovery asks them."""

    def __init__(self, node: Node, behaviour: Behaviour, policy=True):
        self.stops, self.resets = 0, 0
        behaviour.answer_trigger(node, f"{OURS}/stop", "controller stop", self._stop)
        who = "labvla" if policy else OURS
        behaviour.answer_trigger(node, f"{who}/reset_stop", "reset_stop", self._reset)

    def _stop(self):
        self.stops += 1

    def _reset(self):
        self.resets += 1
