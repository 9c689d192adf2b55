"""The files of a MoveIt configuration, and the one dictionary that MoveItPy is started with."""

from __future__ import annotations

from typing import Any

import yaml

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cell.arm import Arm
from labvla_policy.runtime.moveit.groups import arm_group, whole
from labvla_policy.runtime.moveit.srdf import srdf

OMPL = "ompl"
PILZ = "pilz_industrial_motion_planner"
PIPELINES = (OMPL, PILZ)  # CHOMP and STOMP need tuning that nobody here has done

# Of the request that `move_to` plans with; read by MoveItPy's PlanRequestParameters.
REQUEST = "move_to"
PLANNER = "RRTConnectkConfigDefault"
ATTEMPTS = 3
CHECKED = 0.002  # of the whole range: as far apart are the postures that are looked at for contacts

_ADAPTERS = "default_planning_request_adapters"
_RESPONSES = "default_planning_response_adapters"
_REQUEST_ADAPTERS = [
    f"{_ADAPTERS}/ResolveConstraintFrames",
    f"{_ADAPTERS}/ValidateWorkspaceBounds",
    f"{_ADAPTERS}/CheckStartStateBounds",
    f"{_ADAPTERS}/CheckStartStateCollision",
]


def files(cell: Cell) -> dict[str, str]:
    """Return the files of config/moveit/<cell>, by name, as MoveItConfigsBuilder looks for them."""
    return {
        f"{cell.name}.srdf": srdf(cell),
        "kinematics.yaml": _text(kinematics(cell)),
        "joint_limits.yaml": _text(joint_limits(cell)),
        f"{OMPL}_planning.yaml": _text(ompl(cell)),
        f"{PILZ}_planning.yaml": _text(pilz()),
        "pilz_cartesian_limits.yaml": _text(cartesian_limits()),
        "moveit_cpp.yaml": _text(moveit_cpp(cell)),
    }


def config(cell: Cell, urdf: str, robot_name: str, planning_time: float) -> dict[str, Any]:
    """Return what MoveItPy is told (config_dict): the files as one, with the robot itself."""
    cpp = moveit_cpp(cell)
    cpp[REQUEST]["plan_request_params"]["planning_time"] = planning_time
    return {
        "robot_description": urdf,
        "robot_description_semantic": srdf(cell, robot_name),
        "robot_description_kinematics": kinematics(cell),
        "robot_description_planning": {**joint_limits(cell), **cartesian_limits()},
        OMPL: ompl(cell),
        PILZ: pilz(),
        **cpp,
    }


def kinematics(cell: Cell) -> dict[str, Any]:
    """Return how goals of the tool become joints, for each arm."""
    solver = {
        "kinematics_solver": "kdl_kinematics_plugin/KDLKinematicsPlugin",
        "kinematics_solver_search_resolution": 0.005,
        "kinematics_solver_timeout": 0.05,
    }
    return {arm_group(cell, arm): dict(solver) for arm in cell.arms}


def joint_limits(cell: Cell) -> dict[str, Any]:
    """Return the operating limits, which are tighter than those in the makers' descriptions."""
    return {
        "default_velocity_scaling_factor": 1.0,
        "default_acceleration_scaling_factor": 1.0,
        "joint_limits": {
            joint: _limits(arm, i) for arm in cell.arms for i, joint in enumerate(arm.joints)
        },
    }


def _limits(arm: Arm, i: int) -> dict[str, Any]:
    limits = arm.operating_limits
    return {
        "has_position_limits": True,
        "min_position": limits.position_lower[i],
        "max_position": limits.position_upper[i],
        "has_velocity_limits": True,
        "max_velocity": limits.velocity[i],
        "has_acceleration_limits": True,
        "max_acceleration": limits.acceleration[i],
        "has_jerk_limits": True,
        "max_jerk": limits.jerk[i],
    }


def ompl(cell: Cell) -> dict[str, Any]:
    """Return the sampling planners: the usual one, and one that looks for shorter ways."""
    groups = [arm_group(cell, arm) for arm in cell.arms]
    if len(groups) > 1:
        groups.append(whole(cell))
    planners = {
        PLANNER: {"type": "geometric::RRTConnect", "range": 0.0},
        "RRTstarkConfigDefault": {"type": "geometric::RRTstar", "range": 0.0, "goal_bias": 0.05},
        "PRMkConfigDefault": {"type": "geometric::PRM", "max_nearest_neighbors": 10},
    }
    return {
        "planning_plugins": ["ompl_interface/OMPLPlanner"],
        "request_adapters": list(_REQUEST_ADAPTERS),
        "response_adapters": [
            f"{_RESPONSES}/AddTimeOptimalParameterization",
            f"{_RESPONSES}/ValidateSolution",
        ],
        "planner_configs": planners,
        **{
            group: {
                "default_planner_config": PLANNER,
                "planner_configs": list(planners),
                "longest_valid_segment_fraction": CHECKED,
            }
            for group in groups
        },
    }


def pilz() -> dict[str, Any]:
    """Return the planner of straight and round ways, which goes round nothing."""
    return {
        "planning_plugins": [f"{PILZ}/CommandPlanner"],
        "default_planner_config": "PTP",
        "request_adapters": list(_REQUEST_ADAPTERS),
        "response_adapters": [f"{_RESPONSES}/ValidateSolution"],
    }


def cartesian_limits() -> dict[str, Any]:
    """Return the tool's limits for straight and round ways: glassware is carried."""
    return {
        "cartesian_limits": {
            "max_trans_vel": 0.25,
            "max_trans_acc": 0.5,
            "max_trans_dec": -0.5,
            "max_rot_vel": 0.8,
        }
    }


def moveit_cpp(cell: Cell) -> dict[str, Any]:
    """Return what MoveItPy itself reads: where joints come from, which pipelines there are."""
    return {
        "planning_scene_monitor_options": {
            "name": "planning_scene_monitor",
            "robot_description": "robot_description",
            "joint_state_topic": cell.joint_states.topic,
            "attached_collision_object_topic": "moveit_cpp/attached_collision_object",
            "publish_planning_scene_topic": "moveit_cpp/publish_planning_scene",
            "monitored_planning_scene_topic": "moveit_cpp/monitored_planning_scene",
            "wait_for_initial_state_timeout": 1.0,
        },
        "planning_pipelines": {"pipeline_names": list(PIPELINES)},
        REQUEST: {
            "plan_request_params": {
                "planning_pipeline": OMPL,
                "planner_id": PLANNER,
                "planning_attempts": ATTEMPTS,
                "planning_time": 5.0,
                "max_velocity_scaling_factor": 1.0,
                "max_acceleration_scaling_factor": 1.0,
            }
        },
    }


def _text(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=100)
