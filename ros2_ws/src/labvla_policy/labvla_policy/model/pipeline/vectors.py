"""States and actions on their way into the network, and actions on their way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labvla_policy.model.config import ActionMode, ModelConfig
from labvla_policy.model.errors import CheckpointError, InputError
from labvla_policy.model.pipeline.arms import Columns
from labvla_policy.model.pipeline.norm_stats import (
    ABSOLUTE_ACTION,
    DELTA_ACTION,
    NORM_STATS,
    STATE,
    FeatureStats,
    NormStats,
)
from labvla_policy.model.pipeline.schema import DataSchema
from labvla_policy.model.pipeline.smoothing import smoother

Rows = NDArray[np.float32]
GripperNorm = Literal["q01_q99", "mean_std", "noop"]

GUARD = 1e-6  # what the public policy adds to every spread
# Below this a column never moved in the data: the guard alone would blow its noise up.
LEAST_SPREAD = 1e-4
_SNAP_TOLERANCE = 0.05
_LARGEST_OPENING = {"width": 0.3, "open_fraction": 1.5, "binary": 1.5}  # m, and shares


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Switches of the data pipeline. The defaults are those of the released recipe."""

    normalize_arm_joints: bool = True
    gripper_norm_mode: GripperNorm = "q01_q99"
    snap_gripper_to_binary: bool = False
    gripper_max_width: float = 0.04


@dataclass(frozen=True, eq=False)
class Scaling:
    """normalised = (value - centre) / spread, per column; nothing is clipped."""

    centre: Rows
    spread: Rows

    def normalise(self, values: Rows) -> Rows:
        """Scale into the network's range."""
        return (values - self.centre) / self.spread

    def restore(self, values: Rows) -> Rows:
        """Scale back."""
        return values * self.spread + self.centre


@dataclass(frozen=True, eq=False)
class VectorPlan:
    """Everything about a policy's rows of numbers."""

    state_columns: Columns
    action_columns: Columns
    state_scaling: Scaling
    action_scaling: Scaling
    delta_mask: NDArray[np.bool_]  # columns that are relative to the state at the query
    padded_state: int
    padded_action: int
    action_mode: ActionMode
    snap_width: float | None = None
    smoothing: Rows | None = None  # rows x rows; None: rows stay as they were sampled

    @property
    def action_width(self) -> int:
        """Columns of an action that mean something."""
        return self.action_columns.width

    def canonical_state(self, state: ArrayLike) -> Rows:
        """Check one state in raw units and bring it into the policy's columns."""
        try:
            values = np.asarray(state, dtype=np.float32)
        except (TypeError, ValueError):
            raise InputError(f"state: expected numbers, got {state!r}") from None
        columns = self.state_columns
        if values.shape not in {(columns.width,), (columns.raw_width,)}:
            raise InputError(
                f"state: expected {columns.width} numbers, got an array of shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise InputError(f"state: expected finite numbers, got {values.tolist()}")
        return columns.canonical(values)

    def network_state(self, canonical: Rows) -> Rows:
        """Normalise a state and pad it with zeros."""
        snapped = self._snapped(canonical, self.state_columns)
        return _padded(self.state_scaling.normalise(snapped), self.padded_state)

    def network_actions(self, actions: Rows, state: Rows) -> Rows:
        """Turn absolute canonical rows into what training shows the network."""
        base = np.where(self.delta_mask, state[..., : self.action_width], np.float32(0))
        return _padded(self.network_rows(actions - base), self.padded_action)

    def network_rows(self, rows: Rows) -> Rows:
        """Normalise rows that are relative already, where `delta_mask` says so."""
        return self.action_scaling.normalise(self._snapped(rows, self.action_columns))

    def denormalised(self, chunk: Rows) -> Rows:
        """Cut the padding off and scale back: deltas where `delta_mask` says so."""
        rows = self.action_scaling.restore(chunk[..., : self.action_width])
        if self.smoothing is not None:
            # A gripper opens and closes at once: its column is left alone.
            rows = np.where(self.action_columns.joints, self.smoothing @ rows, rows)
        return np.where(self.action_columns.used, rows, np.float32(0))

    def restored(self, chunk: Rows, canonical: Rows) -> Rows:
        """Return absolute rows of what the network answered."""
        return self.absolute(self.denormalised(chunk), canonical)

    def absolute(self, rows: Rows, canonical: Rows) -> Rows:
        """Return absolute rows: every row is relative to the one state at the query."""
        base = np.where(self.delta_mask, canonical[: self.action_width], np.float32(0))
        return rows + base

    def _snapped(self, rows: Rows, columns: Columns) -> Rows:
        if self.snap_width is None:
            return rows
        width = np.float32(self.snap_width)
        snapped = rows.copy()
        for column in columns.grippers:
            snapped[..., column] = np.where(rows[..., column] > width / 2, width, np.float32(0))
        return snapped


def make_plan(
    config: ModelConfig,
    schema: DataSchema,
    stats: NormStats,
    options: DataOptions | None = None,
    smooth_rows: int | None = None,
) -> VectorPlan:
    """Put configuration, schema and statistics together; refuse what does not fit."""
    options = options or DataOptions()
    _check_chunk_size(config, stats)
    if smooth_rows is not None and smooth_rows > config.chunk_size:
        raise CheckpointError(
            f"smooth_rows: expected at most the {config.chunk_size} rows of a chunk, "
            f"got {smooth_rows}"
        )
    state_columns = _columns(schema, schema.raw_state_width)
    action_columns = _columns(schema, schema.raw_action_width)
    for name, columns, most in (
        ("state_dims", state_columns, config.max_state_dim),
        ("action_dims", action_columns, config.max_action_dim),
    ):
        if columns.width > most:
            raise CheckpointError(
                f"{name}: expected at most {most} columns (config.json), got {columns.width}"
            )
    mask = np.array(schema.delta_mask[: schema.raw_action_width])
    delta_mask = action_columns.canonical(mask, padding=False)
    if config.action_mode == "abs":
        delta_mask = np.zeros_like(delta_mask)
    elif delta_mask.any() and action_columns.width > state_columns.width:
        raise CheckpointError(
            f"delta actions of {action_columns.width} columns need a state as wide, "
            f"got {state_columns.width}"
        )
    # "action" holds statistics of deltas; absolute rows scaled with them would be far off.
    action_key = ABSOLUTE_ACTION if config.action_mode == "abs" else DELTA_ACTION
    state_stats, action_stats = stats.feature(STATE), stats.feature(action_key)
    _check_gripper_unit(schema, _canonical_stats(state_stats, state_columns, STATE), state_columns)
    snap = options.gripper_max_width if options.snap_gripper_to_binary else None
    if snap is not None:
        _check_snap(_canonical_stats(state_stats, state_columns, STATE), state_columns, snap)
    return VectorPlan(
        state_columns=state_columns,
        action_columns=action_columns,
        state_scaling=_scaling(state_stats, state_columns, options, STATE),
        action_scaling=_scaling(action_stats, action_columns, options, action_key),
        delta_mask=delta_mask,
        padded_state=config.max_state_dim,
        padded_action=config.max_action_dim,
        action_mode=config.action_mode,
        snap_width=snap,
        smoothing=None if smooth_rows is None else smoother(config.chunk_size, smooth_rows),
    )


def _check_chunk_size(config: ModelConfig, stats: NormStats) -> None:
    if config.action_mode == "delta" and stats.chunk_size not in (None, config.chunk_size):
        raise CheckpointError(
            f"{NORM_STATS}: deltas were measured over chunks of {stats.chunk_size} rows, and the "
            f"policy predicts {config.chunk_size}; make them anew with `labvla data stats`"
        )


def _columns(schema: DataSchema, raw_width: int) -> Columns:
    if schema.arm_layout is None:
        grippers = tuple(c for c in schema.gripper_action_dims if c < raw_width)
        return Columns.as_recorded(raw_width, grippers)
    columns = schema.arm_layout.columns(raw_width)
    declared = schema.gripper_action_dims
    if columns.width == raw_width and declared and declared != columns.grippers:
        raise CheckpointError(
            f"gripper_action_dims: expected {list(columns.grippers)} with this arm_layout, "
            f"got {list(declared)}"
        )
    return columns


def _canonical_stats(stats: FeatureStats, columns: Columns, name: str) -> FeatureStats:
    if stats.width not in (columns.width, columns.raw_width):
        raise CheckpointError(
            f"{NORM_STATS}: {name}: expected {columns.width} columns, got {stats.width}; "
            "they belong to other data: make them with `labvla data stats`"
        )
    # Columns that no robot fills get statistics that leave zero alone.
    return FeatureStats(
        mean=columns.canonical(stats.mean, padding=0.0),
        std=columns.canonical(stats.std, padding=1.0),
        q01=columns.canonical(stats.q01, padding=-1.0),
        q99=columns.canonical(stats.q99, padding=1.0),
    )


def _scaling(stats: FeatureStats, columns: Columns, options: DataOptions, name: str) -> Scaling:
    stats = _canonical_stats(stats, columns, name)
    centre, spread = np.zeros(columns.width), np.ones(columns.width)
    gripper = columns.is_gripper
    by_mean = columns.joints & options.normalize_arm_joints
    if options.gripper_norm_mode == "mean_std":
        by_mean |= gripper
    centre[by_mean], spread[by_mean] = stats.mean[by_mean], stats.std[by_mean] + GUARD
    if options.gripper_norm_mode == "q01_q99":
        half = (stats.q99 - stats.q01 + GUARD) / 2
        centre[gripper], spread[gripper] = (stats.q01 + half)[gripper], half[gripper]
    still = np.flatnonzero(spread < LEAST_SPREAD)
    if len(still):
        raise CheckpointError(
            f"{NORM_STATS}: {name}: columns {still.tolist()} never moved in the data, so any "
            "deviation would be blown up; record them moving, or give them a std (gripper: q01 "
            f"and q99) of at least {LEAST_SPREAD:g} by hand"
        )
    return Scaling(centre.astype(np.float32), spread.astype(np.float32))


def _check_gripper_unit(schema: DataSchema, stats: FeatureStats, columns: Columns) -> None:
    """Metres and open fractions differ by a factor of 25: the larger one would break glass."""
    most = _LARGEST_OPENING.get(schema.gripper_semantic)
    for column in columns.grippers:
        if most is not None and stats.q99[column] > most:
            raise CheckpointError(
                f"{NORM_STATS}: {STATE}: expected openings up to {most:g} in column {column} "
                f"(gripper_semantic {schema.gripper_semantic}), got {stats.q99[column]:g}: another "
                "unit, or statistics of other data"
            )


def _check_snap(stats: FeatureStats, columns: Columns, width: float) -> None:
    for column in columns.grippers:
        low, high = stats.q01[column], stats.q99[column]
        if abs(low) > _SNAP_TOLERANCE * width or abs(high - width) > _SNAP_TOLERANCE * width:
            raise CheckpointError(
                f"snap_gripper_to_binary: expected q01 = 0 and q99 = {width:g} in column {column}, "
                f"got {low:g} and {high:g}; make canonical gripper statistics with "
                "`labvla data stats`"
            )


def _padded(values: Rows, width: int) -> Rows:
    padding = [(0, 0)] * (values.ndim - 1) + [(0, width - values.shape[-1])]
    return np.pad(values, padding).astype(np.float32)
