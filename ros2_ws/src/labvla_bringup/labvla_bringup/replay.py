"""Does the simulator again what was recorded, and compares where the arms went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from labvla_data.motion import RecordedMotion, Samples
from labvla_data.scene import Scene
from labvla_policy.runtime.types import Array
from labvla_sim.closed_loop.replay import Course, Executed, Setting, drive
from labvla_sim.tasks import sample_episode
from labvla_sim.tasks.variation import VariationName


class SceneError(ValueError):
    """A scene cannot be put up; the text says why."""


@dataclass(frozen=True)
class Tolerance:
    """By how much executed and recorded motion may differ at any moment."""

    joint: float = 0.02  # rad
    # m; only where the scene is known: a gripper that closes on nothing goes further
    gripper: float = 0.005


def replay(
    motion: RecordedMotion,
    scene: Scene | None,
    tolerance: Tolerance,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> dict[str, Any]:
    """Replay a motion; return the comparison, whose `ok` says whether it was reproduced."""
    commanded, measured = motion.commanded, motion.measured
    course = Course(
        dt=motion.dt,
        positions=commanded.positions,
        openings=commanded.openings,
        start_positions=measured.positions[0],
        start_openings=np.where(
            np.isfinite(measured.openings[0]), measured.openings[0], commanded.openings[0]
        ),
    )
    try:
        executed = drive(motion.cell, course, _setting(motion, scene), progress)
    except ValueError as error:
        raise SceneError(str(error)) from None
    return _report(motion, scene, executed, tolerance)


def _setting(motion: RecordedMotion, scene: Scene | None) -> Setting | None:
    if scene is None:
        return None
    variation = cast("VariationName", scene.variation)  # checked where it is drawn
    episode = sample_episode(motion.cell, scene.task, scene.seed, variation)
    things = np.array(scene.positions) if scene.positions else None
    return Setting(episode, things, scene.heating, scene.temperature)


def _report(
    motion: RecordedMotion, scene: Scene | None, executed: Executed, tolerance: Tolerance
) -> dict[str, Any]:
    cell, measured = motion.cell, motion.measured
    grippers = [arm.gripper_name for arm in cell.arms]
    joints = deviations(cell.joints, measured, measured.positions, executed, executed.positions)
    fingers = deviations(grippers, measured, measured.openings, executed, executed.openings)
    beyond = [name for name, one in joints.items() if one["max"] > tolerance.joint]
    if scene is not None:
        beyond += [name for name, one in fingers.items() if one["max"] > tolerance.gripper]
    verdict = executed.verdict
    failed = verdict is not None and motion.outcome == "success" and not verdict.success
    return {
        "source": motion.name,
        "cell": cell.name,
        "seconds": round(motion.seconds, 3),
        "commands": len(motion.commanded.times),
        "joints": joints,
        "grippers": fingers,
        "tolerance": {"joint": tolerance.joint, "gripper": tolerance.gripper},
        "scene": scene and {"task": scene.task, "seed": scene.seed, "variation": scene.variation},
        "success": {
            "recorded": motion.outcome,
            "replayed": verdict and verdict.success,
            "missing": verdict.reason if verdict is not None else "the scene is not known",
        },
        "refused": dict(executed.refused),
        "stops": dict(executed.stops),
        "beyond": beyond,
        "ok": not (beyond or failed or executed.refused),
    }


def deviations(
    names: Sequence[str], measured: Samples, recorded: Array, executed: Executed, done: Array
) -> dict[str, dict[str, float]]:
    """Return by name how far what was done is from what was recorded, at the recorded times.

    What was never measured has no entry.
    """
    inside = (measured.times >= 0) & (measured.times <= executed.times[-1])
    times = measured.times[inside]
    found = {}
    for column, name in enumerate(names):
        differences = np.interp(times, executed.times, done[:, column]) - recorded[inside, column]
        if not np.isfinite(differences).all() or not len(differences):
            continue
        worst = int(np.abs(differences).argmax())
        found[name] = {
            "rms": float(np.sqrt(np.mean(differences**2))),
            "max": float(np.abs(differences[worst])),
            "at": round(float(times[worst]), 3),
        }
    return found
