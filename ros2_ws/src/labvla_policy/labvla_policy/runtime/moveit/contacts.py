"""Which links MoveIt need not compare: computed from the gate's shapes, not guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, product

import numpy as np

from labvla_policy.runtime.cell import Arm, Cell
from labvla_policy.runtime.gate.bodies import capsules_of, touching
from labvla_policy.runtime.gate.collision import CollisionModel
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.moveit.groups import hand_of, links_of

SAMPLES = 5000  # postures over the whole range of the hardware
BATCH = 1000
SEED = 0
MARGIN = 0.03  # m; bodies that never came nearer than this are taken never to touch

Pair = tuple[str, str]


@lru_cache(maxsize=4)  # seconds of work, and always the same
def disabled(cell: Cell) -> Mapping[Pair, str]:
    """Return pairs of links, in alphabetical order, each with MoveIt's word for the reason."""
    pairs: dict[Pair, str] = {}
    links = {
        f"{arm.name}.{body}": names for arm in cell.arms for body, names in links_of(arm).items()
    }
    apart = [pair for arm in cell.arms for pair in _never(arm, cell)]
    for first, second in (*apart, *_out_of_reach(cell)):
        pairs |= dict.fromkeys(_between(links[first], links[second]), "Never")
    for first, second in _joined(cell):
        pairs |= dict.fromkeys(_between(links[first], links[second]), "Adjacent")
    for arm in cell.arms:
        hand = hand_of(arm)  # its fingers close on each other: that is what they are for
        own = combinations((hand.base, *hand.fingers), 2)
        pairs |= {(min(pair), max(pair)): "Default" for pair in own}
    return dict(sorted(pairs.items()))


def feet(cell: Cell) -> tuple[str, ...]:
    """Return the links that stand on the bench, which is a box that nothing else may touch."""
    return tuple(links_of(arm)["foot"][0] for arm in cell.arms)


def _between(first: tuple[str, ...], second: tuple[str, ...]) -> Iterator[Pair]:
    for a, b in product(first, second):
        yield min(a, b), max(a, b)


def _joined(cell: Cell) -> Iterator[Pair]:
    """Yield bodies that a joint connects, or that touch by construction."""
    for arm in cell.arms:
        for first, second in combinations(capsules_of(arm), 2):
            if first.body != second.body and touching(arm, first, second):
                yield f"{arm.name}.{first.body}", f"{arm.name}.{second.body}"


def _never(arm: Arm, cell: Cell) -> Iterator[Pair]:
    """Yield bodies of one arm that stayed apart in every sample."""
    # Without boxes, which are no links, and without the other arm.
    alone = replace(cell, arms=(arm,), workspace=replace(cell.workspace, keep_out=()))
    model = CollisionModel(alone)
    limits = arm.hardware_limits
    random = np.random.default_rng(SEED)
    nearest: dict[Pair, float] = {}
    for _ in range(SAMPLES // BATCH):
        q = random.uniform(limits.position_lower, limits.position_upper, (BATCH, len(arm.joints)))
        for (_, bodies), distance in zip(
            model.watched, model.distances(q).min(axis=0), strict=True
        ):
            nearest[bodies] = min(nearest.get(bodies, np.inf), float(distance))
    return (bodies for bodies, distance in nearest.items() if distance > MARGIN)


def _out_of_reach(cell: Cell) -> Iterator[Pair]:
    """Yield bodies of two arms that can never meet, because the arms stand too far apart."""
    for first, second in combinations(cell.arms, 2):
        apart = float(np.linalg.norm(np.subtract(first.base.position, second.base.position)))
        for (a, reach_a), (b, reach_b) in product(_reaches(first), _reaches(second)):
            if apart - reach_a - reach_b > MARGIN:
                yield f"{first.name}.{a}", f"{second.name}.{b}"


def _reaches(arm: Arm) -> Iterator[tuple[str, float]]:
    """Yield how far from the arm's foot a body can be: its links stretched out in one line."""
    chain = CHAINS[arm.kind]
    steps = np.linalg.norm([*chain.origins[:, :3, 3], chain.flange[:3, 3]], axis=1)
    furthest: dict[str, float] = {}
    for capsule in capsules_of(arm):
        tip = max(np.linalg.norm(capsule.start), np.linalg.norm(capsule.end)) + capsule.radius
        reach = float(steps[: capsule.link + 1].sum() + tip)
        furthest[capsule.body] = max(furthest.get(capsule.body, 0.0), reach)
    yield from furthest.items()
