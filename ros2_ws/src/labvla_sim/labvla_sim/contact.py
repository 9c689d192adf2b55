"""Who may touch whom: MuJoCo's contact bits, decided in one place.

Two geoms collide if one's type meets the other's affinity. Objects touch everything. Neighbouring
links of an arm overlap by design, so an arm touches itself only between its foot (base to upper
arm) and its far end (wrist and gripper). Two arms touch each other everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

_OBJECT, _FOOT, _FAR_END, _FIRST_OF_ARMS = 1, 2, 4, 8


@dataclass(frozen=True)
class ContactBits:
    """The two masks of a geom."""

    type: int
    affinity: int


NOTHING = ContactBits(0, 0)
OBJECT = ContactBits(_OBJECT, _OBJECT)


def foot(arm: int) -> ContactBits:
    """Return the bits of base, shoulder and upper arm of the arm with this index."""
    return ContactBits(_FOOT | _own(arm), _OBJECT | _FAR_END | _others(arm))


def middle(arm: int) -> ContactBits:
    """Return the bits of elbow and forearm, which cannot reach the rest of their own arm."""
    return ContactBits(_own(arm), _OBJECT | _others(arm))


def far_end(arm: int) -> ContactBits:
    """Return the bits of wrist and gripper."""
    return ContactBits(_FAR_END | _own(arm), _OBJECT | _others(arm))


def _own(arm: int) -> int:
    return _FIRST_OF_ARMS << arm


def _others(arm: int) -> int:
    return _FIRST_OF_ARMS << (1 - arm)
