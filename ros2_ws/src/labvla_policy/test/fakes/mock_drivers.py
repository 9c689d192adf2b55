"""franka_ros2 and ur_robot_driver as far as a recovery meets them, on their services and topics."""

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
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from ur_dashboard_msgs.action import SetMode
from ur_dashboard_msgs.msg import RobotMode, SafetyMode
from ur_msgs.srv import SetPayload

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class MockManager:
    """A controller manager with one controller of the stack, and hardware under it."""

    def __init__(self, node: Node, components):
        self.hardware = dict.fromkeys(components, "active")
        self.controllers = {"labvla_controller": "active", "state_broadcaster": "active"}
        self.switched = []
        manager = "controller_manager"
        node.create_service(ListControllers, f"{manager}/list_controllers", self._list)
        node.create_service(
            ListHardwareComponents, f"{manager}/list_hardware_components", self._components
        )
        node.create_service(
            SetHardwareComponentState, f"{manager}/set_hardware_component_state", self._set
        )
        node.create_service(SwitchController, f"{manager}/switch_controller", self._switch)

    def lose(self):
        self.hardware = dict.fromkeys(self.hardware, "unconfigured")
        self.controllers = dict.fromkeys(self.controllers, "inactive")

    def _list(self, _request, response):
        kinds = {"state_broadcaster": "franka_robot_state_broadcaster/FrankaRobotStateBroadcaster"}
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

    def _set(self, request, response):
        response.ok = request.target_state.label == "active" and self.may_connect()
        if response.ok:
            self.hardware[request.name] = "active"
        return response

    def may_connect(self):
        return True

    def _switch(self, request, response):
        self.switched.append(list(request.activate_controllers))
        response.ok = all(state == "active" for state in self.hardware.values())
        if response.ok:
            self.controllers |= dict.fromkeys(request.activate_controllers, "active")
        return response


class MockFranka:
    """One FR3 behind its driver; a reflex takes its hardware away."""

    def __init__(self, node: Node):
        self.manager = MockManager(node, ["FrankaHardwareInterface"])
        self.manager.may_connect = lambda: self.mode == 1
        self.mode, self.recoveries, self.stuck = 1, 0, False
        self._states = node.create_publisher(
            FrankaRobotState, "franka_robot_state_broadcaster/robot_state", 10
        )
        node.create_timer(0.02, self._tell)
        self._action = ActionServer(
            node, ErrorRecovery, "action_server/error_recovery", self._recover
        )

    def reflex(self, mode=4):
        self.mode = mode
        self.manager.lose()

    def _tell(self):
        if self.manager.controllers["state_broadcaster"] == "active":
            state = FrankaRobotState(robot_mode=self.mode)
            state.last_motion_errors.joint_reflex = self.mode == 4
            self._states.publish(state)

    def _recover(self, goal):
        self.recoveries += 1
        if self.stuck:
            goal.abort()
        else:
            self.mode = 1
            goal.succeed()
        return ErrorRecovery.Result()


class MockUr:
    """One UR behind its driver, dashboard and state helper."""

    def __init__(self, node: Node):
        self.node = node
        self.manager = MockManager(node, ["ur"])
        self.asked, self.payloads = [], []
        self.refuses = {}
        io = "io_and_status_controller"
        self._robot = node.create_publisher(RobotMode, f"{io}/robot_mode", LATCHED)
        self._safety = node.create_publisher(SafetyMode, f"{io}/safety_mode", LATCHED)
        self._program = node.create_publisher(Bool, f"{io}/robot_program_running", LATCHED)
        for name, what in (
            ("dashboard_client/stop", lambda: self.tell(program=False)),
            ("dashboard_client/unlock_protective_stop", lambda: self.tell(safety=1)),
            ("dashboard_client/play", lambda: self.tell(program=True)),
            (f"{io}/resend_robot_program", lambda: self.tell(program=True)),
        ):
            node.create_service(
                Trigger, name, lambda _, r, name=name, what=what: self._trigger(name, what, r)
            )
        node.create_service(SetPayload, f"{io}/set_payload", self._set_payload)
        self._action = ActionServer(node, SetMode, "ur_robot_state_helper/set_mode", self._mode)
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
        # controller_stopper
        state = "active" if self.program and self.safety == 1 else "inactive"
        self.manager.controllers["labvla_controller"] = state

    def _trigger(self, name, what, response):
        self.asked.append(name.rsplit("/", 1)[1])
        response.message = self.refuses.get(self.asked[-1], "")
        response.success = not response.message
        if response.success:
            what()
        return response

    def _mode(self, goal):
        self.asked.append("set_mode")
        self.tell(robot=goal.request.target_robot_mode, safety=1)
        goal.succeed()
        return SetMode.Result(success=True)

    def _set_payload(self, request, response):
        self.payloads.append(round(request.mass, 3))
        response.success = True
        return response


class Stack:
    """The policy and the controller, as far as a recovery asks them."""

    def __init__(self, node: Node):
        self.stops, self.resets = 0, 0
        node.create_service(Trigger, "labvla_controller/stop", self._stop)
        node.create_service(Trigger, "labvla/reset_stop", self._reset)

    def _stop(self, _request, response):
        self.stops += 1
        response.success = True
        return response

    def _reset(self, _request, response):
        self.resets += 1
        response.success = True
        return response
