"""A stand-in for moveit_py and moveit_msgs: their names and their manners, and no planner behind.

`World.answer` decides what planning leads to. It gets start and goal by joint name, and returns the
joint names and postures of a trajectory, or an error code; or it raises, or does not return.
"""

import sys
from types import ModuleType, SimpleNamespace

SUCCESS, PLANNING_FAILED, TIMED_OUT, GOAL_IN_COLLISION = 1, -1, -6, -12


class World:
    """What a test says MoveIt does, and what it was told."""

    def __init__(self, joints):
        self.joints = tuple(joints)
        self.made, self.boxes, self.asked, self.shut_down = [], [], [], 0
        self.load_error = None

    def answer(self, start, goal):
        """Straight there, in the order of the robot's own joints, not the cell's."""
        names = sorted(self.joints)
        ends = ([state[name] for name in names] for state in (start, goal))
        return names, list(ends)


class Result:
    """A plan response: true when there is a trajectory."""

    def __init__(self, code, trajectory=None):
        self.error_code = SimpleNamespace(val=code)
        self.trajectory = trajectory

    def __bool__(self):
        return self.error_code.val == SUCCESS


class Trajectory:
    """MoveIt's own trajectory, which becomes a message when it is asked to."""

    def __init__(self, names, points):
        self._names, self._points = names, points

    def get_robot_trajectory_msg(self, joint_filter=None):
        assert joint_filter is None
        points = [SimpleNamespace(positions=list(p)) for p in self._points]
        return SimpleNamespace(
            joint_trajectory=SimpleNamespace(joint_names=list(self._names), points=points)
        )


class RobotState:
    """Joint positions; nothing is valid before defaults are set."""

    def __init__(self, robot_model):
        self._known = set(robot_model.joints)
        self._positions = None
        self.updated = False

    def set_to_default_values(self):
        self._positions = dict.fromkeys(self._known, 0.0)

    @property
    def joint_positions(self):
        return dict(self._positions)

    @joint_positions.setter
    def joint_positions(self, values):
        unknown = set(values) - self._known
        if unknown:
            raise ValueError(f"no such joint: {min(unknown)}")
        self._positions.update(values)
        self.updated = False

    def update(self, force=False):
        self.updated = True


class PlanRequestParameters:
    """Reads its defaults from where the configuration has them."""

    def __init__(self, moveit, namespace=""):
        read = moveit.config[namespace]["plan_request_params"]
        for name in (
            "planner_id",
            "planning_pipeline",
            "planning_attempts",
            "planning_time",
            "max_velocity_scaling_factor",
            "max_acceleration_scaling_factor",
        ):
            setattr(self, name, read[name])


class PlanningComponent:
    """One group."""

    def __init__(self, world, name):
        self._world, self.name = world, name
        self._start = self._goal = None

    def set_start_state(self, configuration_name=None, robot_state=None):
        assert (configuration_name is None) != (robot_state is None)
        assert robot_state.updated
        self._start = robot_state

    def set_goal_state(
        self,
        configuration_name=None,
        robot_state=None,
        pose_stamped_msg=None,
        pose_link=None,
        motion_plan_constraints=None,
    ):
        given = (configuration_name, robot_state, pose_stamped_msg, motion_plan_constraints)
        assert sum(one is not None for one in given) == 1
        assert robot_state.updated
        self._goal = robot_state

    def plan(self, single_plan_parameters=None, multi_plan_parameters=None, planning_scene=None):
        asked = SimpleNamespace(
            group=self.name,
            start=self._start.joint_positions,
            goal=self._goal.joint_positions,
            parameters=single_plan_parameters,
        )
        self._world.asked.append(asked)
        answer = self._world.answer(asked.start, asked.goal)
        return Result(answer) if isinstance(answer, int) else Result(SUCCESS, Trajectory(*answer))


class SceneMonitor:
    """The planning scene; it may be changed only inside `read_write`."""

    def __init__(self, world):
        self._world = world

    def read_write(self):
        return self

    def __enter__(self):
        return SimpleNamespace(apply_collision_object=self._world.boxes.append)

    def __exit__(self, *_):
        return None


def install(monkeypatch, world):
    """Make `import moveit...` find the stand-in."""

    class MoveItPy:
        def __init__(
            self,
            node_name="moveit_py",
            name_space="",
            launch_params_filepaths=None,
            config_dict=None,
            provide_planning_service=True,
            remappings=None,
        ):
            if world.load_error is not None:
                raise RuntimeError(world.load_error)
            self.config, self.node_name, self.name_space = config_dict, node_name, name_space
            self.provides_service = provide_planning_service
            world.made.append(self)

        def get_robot_model(self):
            return SimpleNamespace(joints=world.joints)

        def get_planning_component(self, name):
            return PlanningComponent(world, name)

        def get_planning_scene_monitor(self):
            return SceneMonitor(world)

        def shutdown(self):
            world.shut_down += 1

    class CollisionObject(SimpleNamespace):
        ADD = b"\x00"

    contents = {
        "moveit": {},
        "moveit.planning": {
            "MoveItPy": MoveItPy,
            "PlanRequestParameters": PlanRequestParameters,
        },
        "moveit.core": {},
        "moveit.core.robot_state": {"RobotState": RobotState},
        "moveit_msgs": {},
        "moveit_msgs.msg": {"CollisionObject": CollisionObject},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        module.__spec__ = SimpleNamespace(name=name)  # find_spec asks for it
        module.__path__ = []
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
