"""The simulated cell as Gymnasium environments: LabvlaPress-v0, LabvlaPick-v0, LabvlaTransport-v0.

An action is one row: absolute joint targets of all arms and metres between the fingers, played
over one row time (30 Hz by default) by the joint servo. Importing this module registers both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from labvla_policy.runtime.cell import Cell, load_cell
from labvla_sim.plant.rendering import CellRenderer
from labvla_sim.plant.servo import JointServo, RowPlayer, fastest_rows
from labvla_sim.plant.sim_cell import SimCell
from labvla_sim.tasks.registry import TASKS
from labvla_sim.tasks.trial import Trial

if TYPE_CHECKING:
    from labvla_sim.tasks.variation import VariationName

Observation = dict[str, Any]
Action = NDArray[Any]
_SEEDS = 2**31


class CellEnv(gymnasium.Env[Observation, Action]):
    """One task in one cell.

    The observation holds `images` (one picture per camera), `state` (joints, then finger widths)
    and `instruction`. The reward is 1 on success, else 0; an episode ends with success or is
    truncated at the task's time limit.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(
        self,
        task: str,
        cell: str | Cell = "franka",
        *,
        variation: VariationName = "id",
        image_size: tuple[int, int] = (224, 224),
        render_mode: str | None = None,
    ) -> None:
        """Prepare the environment.

        Args:
            task: a task's name.
            cell: a cell, its name or its file.
            variation: ranges to draw episodes from.
            image_size: width and height of all cameras.
            render_mode: rgb_array, or None.
        """
        self.cell = cell if isinstance(cell, Cell) else load_cell(cell)
        self.task, self.variation, self.render_mode = task, variation, render_mode
        self.trial = Trial(SimCell(self.cell))
        self._servo = JointServo.stiff(self.cell)
        self._renderer = CellRenderer(self.cell, sizes=image_size)
        self._dt = 1.0 / self.cell.policy.row_rate
        self._debt = 0.0
        self._actions = self._box()
        self.action_space = self._actions
        self._states = self._box(margin=0.2)
        picture = spaces.Box(0, 255, (image_size[1], image_size[0], 3), np.uint8)
        self.observation_space = spaces.Dict(
            {
                "images": spaces.Dict({camera.name: picture for camera in self.cell.cameras}),
                "state": self._states,
                "instruction": spaces.Text(max_length=200, charset=_letters()),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw an episode; options may hold `seed` (of the episode) and `variation`."""
        super().reset(seed=seed)
        options = options or {}
        drawn = options.get("seed", int(self.np_random.integers(_SEEDS)) if seed is None else seed)
        self.trial.reset(self.task, drawn, options.get("variation", self.variation))
        state = self.trial.sim.state()
        start = np.concatenate([state.positions, state.widths])
        self._player = RowPlayer(start, self._dt, fastest_rows(self.cell))
        self._debt = 0.0
        return self._observe(), {"episode_seed": drawn}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one row."""
        low, high = self._actions.low, self._actions.high
        row = np.clip(np.asarray(action, dtype=np.float64), low, high)
        self._player.load(row[None])
        self._debt += self._dt * 1e3
        ticks, joints = int(self._debt), len(self.cell.joints)
        self._debt -= ticks
        for _ in range(ticks):
            self._player.advance(1e-3)
            target, speed = self._player.sample()
            state = self.trial.sim.state()
            torques = self._servo.torques(
                target[:joints], speed[:joints], state.positions, state.velocities
            )
            self.trial.step(torques, target[joints:])
        verdict = self.trial.verdict
        info = {"success": verdict.success, "phase": verdict.phase, "reason": verdict.reason}
        reward = 1.0 if verdict.success else 0.0
        return self._observe(), reward, verdict.success, self.trial.out_of_time, info

    def render(self) -> Any:
        """Return the first camera's picture."""
        if self.render_mode != "rgb_array":
            return None
        return self._renderer.render(self.trial.sim.snapshot())[self.cell.cameras[0].name]

    def close(self) -> None:
        """Free the graphics contexts."""
        self._renderer.close()

    def _observe(self) -> Observation:
        state = self.trial.sim.state()
        row = np.concatenate([state.positions, state.widths]).astype(np.float32)
        return {
            "images": self._renderer.render(self.trial.sim.snapshot()),
            "state": np.clip(row, self._states.low, self._states.high),
            "instruction": self.trial.episode.instruction,
        }

    def _box(self, margin: float = 0.0) -> spaces.Box:
        limits = [arm.hardware_limits for arm in self.cell.arms]
        strokes = [arm.gripper.stroke for arm in self.cell.arms]
        low = [*np.concatenate([limit.position_lower for limit in limits]), *(0.0 for _ in strokes)]
        high = [*np.concatenate([limit.position_upper for limit in limits]), *strokes]
        return spaces.Box(
            np.array(low, dtype=np.float32) - np.float32(margin),
            np.array(high, dtype=np.float32) + np.float32(margin),
        )


def _letters() -> str:
    texts = [text for task in TASKS.values() for text in (*task.wordings, *task.held_out)]
    return "".join(sorted(set("".join(texts))))


for _name in TASKS:
    gymnasium.register(
        id=f"Labvla{_name.capitalize()}-v0",
        entry_point=f"{__name__}:CellEnv",
        kwargs={"task": _name},
    )
