"""Whether a path of the whole cell touches anything, at its rows and anywhere between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.gate.bodies import FOOT, Capsule, capsules_of, touching
from labvla_policy.runtime.gate.distance import segment_box_apart, segments_apart
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.types import Array

Kind = Literal["self_collision", "arm_collision", "keep_out"]

# Between two rows the distance is known to within this; below it an interval is not divided again.
RESOLUTION = 0.001  # m


@dataclass(frozen=True)
class Contact:
    """The first place of a path where two bodies are too near to each other."""

    kind: Kind
    bodies: tuple[str, str]
    row: int  # the row, or the later one of the two rows in between
    distance: float  # m between the surfaces; negative where they overlap
    required: float


@dataclass(frozen=True)
class _Pair:
    kind: Kind
    bodies: tuple[str, str]
    first: int  # capsule
    second: int  # capsule, or box


class CollisionModel:
    """All pairs of bodies of a cell that must not touch, as arrays."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._capsules: list[Capsule] = []
        self._arm_of: list[int] = []
        for index, arm in enumerate(cell.arms):
            shape = capsules_of(arm)
            self._capsules += shape
            self._arm_of += [index] * len(shape)
        self._pairs = self._body_pairs() + self._box_pairs()
        self._between_bodies = sum(pair.kind != "keep_out" for pair in self._pairs)

    @property
    def pairs(self) -> int:
        """How many pairs of capsules, and of capsules and boxes, are watched."""
        return len(self._pairs)

    @property
    def watched(self) -> tuple[tuple[Kind, tuple[str, str]], ...]:
        """What each pair is about, in the order of `distances`: the kind, and both bodies."""
        return tuple((pair.kind, pair.bodies) for pair in self._pairs)

    def required(self, between_bodies: float, to_boxes: float) -> Array:
        """Return a required distance for each pair."""
        count = self._between_bodies
        return np.concatenate(
            [np.full(count, between_bodies), np.full(self.pairs - count, to_boxes)]
        )

    def distances(self, path: Array) -> Array:
        """Return the distance of every pair (m) at every row of a path of cell.joints."""
        starts, ends = self._segments(path)
        rows, pairs = (a.ravel() for a in np.indices((len(path), self.pairs)))
        return self._exact(starts, ends, rows, pairs).reshape(len(path), self.pairs)

    def first_contact(self, path: Array, required: Array) -> Contact | None:
        """Return the first place where a pair comes nearer than required, or None.

        Nothing is sampled by luck: between two rows no point can move further than the joints'
        travel times its lever, so the distance in between is bounded by those at the ends. An
        interval that this does not clear is halved until it is cleared or found guilty.
        """
        starts, ends = self._segments(path)
        travel = np.abs(np.diff(path, axis=0)) @ self._levers.T
        reach = np.zeros((len(path), self.pairs))  # how far a pair may come nearer around a row
        reach[:-1] = travel / 2
        reach[1:] = np.maximum(reach[1:], travel / 2)
        distance = self._cheap(starts, ends)
        rows, pairs = np.nonzero(distance <= required + reach)
        distance[rows, pairs] = self._exact(starts, ends, rows, pairs)
        at_rows = self._nearest_guilty(distance, required, np.arange(len(path)))
        doubtful = distance[:-1] + distance[1:] - travel < 2 * (required - RESOLUTION)
        if at_rows is not None:
            doubtful[max(at_rows.row - 1, 0) :] = False  # what comes later cannot come first
        intervals = np.flatnonzero(np.any(doubtful, axis=1))
        watched = np.flatnonzero(np.any(doubtful, axis=0))
        return self._between(path, distance, intervals, watched, required) or at_rows

    def _between(
        self,
        path: Array,
        distance: Array,
        intervals: NDArray[np.intp],
        watched: NDArray[np.intp],
        required: Array,
    ) -> Contact | None:
        """Halve all doubtful intervals at once until each is cleared or found guilty."""
        levers, needed = self._levers[watched], required[watched]
        left, right = path[intervals], path[intervals + 1]
        near_left = distance[np.ix_(intervals, watched)]
        near_right = distance[np.ix_(intervals + 1, watched)]
        rows = intervals + 1
        first: Contact | None = None
        while len(rows):
            middle = (left + right) / 2
            starts, ends = self._segments(middle)
            at, pair = (a.ravel() for a in np.indices((len(rows), len(watched))))
            near = self._exact(starts, ends, at, watched[pair]).reshape(len(rows), -1)
            found = self._nearest_guilty(near, needed, rows, watched)
            if found is not None:
                first = found  # later intervals are left out below, so it is never a later one
            travel = np.abs(right - left) @ levers.T / 2
            left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
            near_left = np.concatenate([near_left, near])
            near_right = np.concatenate([near, near_right])
            rows, travel = np.tile(rows, 2), np.tile(travel, (2, 1))
            doubtful = np.any(near_left + near_right - travel < 2 * (needed - RESOLUTION), axis=1)
            if first is not None:
                doubtful &= rows < first.row
            left, right, rows = left[doubtful], right[doubtful], rows[doubtful]
            near_left, near_right = near_left[doubtful], near_right[doubtful]
        return first

    def _nearest_guilty(
        self,
        distance: Array,
        required: Array,
        rows: NDArray[np.intp],
        pairs: NDArray[np.intp] | None = None,
    ) -> Contact | None:
        """Return the worst pair of the first row in which one is too near, or None."""
        missing = required - distance
        guilty = np.any(missing > 0, axis=1)
        if not np.any(guilty):
            return None
        row = int(rows[guilty].min())
        at = np.flatnonzero(guilty & (rows == row))
        i, column = np.unravel_index(np.argmax(missing[at]), missing[at].shape)
        pair = self._pairs[int(column if pairs is None else pairs[column])]
        return Contact(
            pair.kind, pair.bodies, row, float(distance[at[i], column]), float(required[column])
        )

    def _body_pairs(self) -> list[_Pair]:
        pairs = []
        for i, first in enumerate(self._capsules):
            for j in range(i + 1, len(self._capsules)):
                second, arms = self._capsules[j], (self._arm_of[i], self._arm_of[j])
                if arms[0] != arms[1]:
                    pairs.append(_Pair("arm_collision", self._names(i, j), i, j))
                elif not touching(self._cell.arms[arms[0]], first, second):
                    pairs.append(_Pair("self_collision", self._names(i, j), i, j))
        return pairs

    def _box_pairs(self) -> list[_Pair]:
        return [
            _Pair("keep_out", (self._name(i), box.name), i, k)
            for i, capsule in enumerate(self._capsules)
            if capsule.link != FOOT  # the foot may stand on a box
            for k, box in enumerate(self._cell.workspace.keep_out)
        ]

    def _name(self, capsule: int) -> str:
        return f"{self._cell.arms[self._arm_of[capsule]].name}.{self._capsules[capsule].body}"

    def _names(self, first: int, second: int) -> tuple[str, str]:
        return self._name(first), self._name(second)

    @cached_property
    def _index(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and second capsule (or box) of every pair."""
        return (
            np.array([pair.first for pair in self._pairs], dtype=np.intp),
            np.array([pair.second for pair in self._pairs], dtype=np.intp),
        )

    @cached_property
    def _radii(self) -> Array:
        return np.array([capsule.radius for capsule in self._capsules])

    @cached_property
    def _pair_radii(self) -> Array:
        """Sum of the radii of every pair; a box has none."""
        first, second = self._index
        radii = self._radii[first].copy()
        count = self._between_bodies
        radii[:count] += self._radii[second[:count]]
        return radii

    @cached_property
    def _boxes(self) -> tuple[Array, Array]:
        boxes = self._cell.workspace.keep_out
        lower = np.array([box.lower for box in boxes]).reshape(-1, 3)
        return lower, np.array([box.upper for box in boxes]).reshape(-1, 3)

    @cached_property
    def _levers(self) -> Array:
        """Pairs x joints: how far (m) a radian of a joint can move a pair's bodies, at most.

        The lever of a joint is never longer than the links in between stretched out. Two bodies of
        one arm are moved against each other only by the joints between them.
        """
        own = np.zeros((len(self._capsules), len(self._cell.joints)))
        first_joint = 0
        for index, arm in enumerate(self._cell.arms):
            chain = CHAINS[arm.kind]
            steps = np.linalg.norm([*chain.origins[:, :3, 3], chain.flange[:3, 3]], axis=1)
            for i, capsule in enumerate(self._capsules):
                if self._arm_of[i] != index or capsule.link == FOOT:
                    continue
                tip = max(np.linalg.norm(capsule.start), np.linalg.norm(capsule.end))
                for joint in range(min(capsule.link + 1, chain.joints)):
                    between = steps[joint + 1 : capsule.link + 1].sum()
                    own[i, first_joint + joint] = between + tip
            first_joint += chain.joints
        first, second = self._index
        levers = own[first].copy()
        for pair, (i, j) in enumerate(zip(first, second, strict=True)):
            kind = self._pairs[pair].kind
            if kind == "arm_collision":
                levers[pair] += own[j]
            elif kind == "self_collision":
                further, nearer = (
                    (j, i) if self._capsules[j].link > self._capsules[i].link else (i, j)
                )
                levers[pair] = np.where(own[nearer] > 0, 0.0, own[further])
        return levers

    def _segments(self, path: Array) -> tuple[Array, Array]:
        """Return where the capsules' segments begin and end: rows x capsules x 3, cell frame."""
        starts: list[Array] = []
        ends: list[Array] = []
        first_joint = 0
        for arm, cell_arm in enumerate(self._cell.arms):
            chain = CHAINS[cell_arm.kind]
            q = path[:, first_joint : first_joint + chain.joints]
            base = cell_arm.base.matrix()
            frames = np.empty((len(path), chain.joints + 2, 4, 4))
            frames[:, 0] = base
            frames[:, 1:] = base @ chain.frames(q)
            capsules = [c for c, of in zip(self._capsules, self._arm_of, strict=True) if of == arm]
            poses = frames[:, [capsule.link + 1 for capsule in capsules]]
            for ends_of, points in (
                (starts, [capsule.start for capsule in capsules]),
                (ends, [capsule.end for capsule in capsules]),
            ):
                turned = np.einsum("rcij,cj->rci", poses[..., :3, :3], np.array(points))
                ends_of.append(turned + poses[..., :3, 3])
            first_joint += chain.joints
        return np.concatenate(starts, axis=1), np.concatenate(ends, axis=1)

    def _cheap(self, starts: Array, ends: Array) -> Array:
        """Return a lower bound of every distance, from spheres around capsules."""
        centres = (starts + ends) / 2
        lengths = np.linalg.norm(ends - starts, axis=2)[0] / 2
        first, second = self._index
        count = self._between_bodies
        apart = centres[:, first[:count]] - centres[:, second[:count]]
        lower, upper = self._boxes
        centre = centres[:, first[count:]]
        outside = centre - np.clip(centre, lower[second[count:]], upper[second[count:]])
        distance = np.concatenate(
            [np.sqrt(np.einsum("...i,...i->...", v, v)) for v in (apart, outside)], axis=1
        )
        sizes = lengths[first] + self._pair_radii
        sizes[:count] += lengths[second[:count]]
        lower_bound: Array = distance - sizes
        return lower_bound

    def _exact(
        self, starts: Array, ends: Array, rows: NDArray[np.intp], pairs: NDArray[np.intp]
    ) -> Array:
        """Return the distances of the given pairs at the given rows."""
        first, second = self._index
        result = np.empty(len(rows))
        bodies = pairs < self._between_bodies
        r, i, j = rows[bodies], first[pairs[bodies]], second[pairs[bodies]]
        result[bodies] = segments_apart(starts[r, i], ends[r, i], starts[r, j], ends[r, j])
        r, i, k = rows[~bodies], first[pairs[~bodies]], second[pairs[~bodies]]
        lower, upper = self._boxes
        result[~bodies] = segment_box_apart(starts[r, i], ends[r, i], lower[k], upper[k])
        return result - self._pair_radii[pairs]
