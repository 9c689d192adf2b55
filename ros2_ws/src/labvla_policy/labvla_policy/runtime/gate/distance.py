"""Distances of segments from segments and from boxes, for many of them at once.

Shapes: segments are given by their ends, (..., 3) each; leading axes broadcast.
"""

from __future__ import annotations

import numpy as np

from labvla_policy.runtime.types import Array

_SHORT = 1e-12  # squared length in m² below which a segment is a point
_HALVINGS = 14  # leave 1/16384 of the segment: 0.03 mm of half a metre


def segments_apart(p: Array, p_end: Array, q: Array, q_end: Array) -> Array:
    """Return the least distance between the segments p and q.

    Points are p + s u and q + t v. For s fixed the best t is known, so s is the best one for the
    whole lines, clipped; then t follows, and s once more where t was clipped.
    """
    u, v, w = p_end - p, q_end - q, p - q
    uu, vv, uv = _dot(u, u), _dot(v, v), _dot(u, v)
    uw, vw = _dot(u, w), _dot(v, w)
    safe_uu, safe_vv = np.maximum(uu, _SHORT), np.maximum(vv, _SHORT)
    determinant = uu * vv - uv * uv
    skewed = determinant > _SHORT * safe_uu
    s = np.where(skewed, (uv * vw - vv * uw) / np.where(skewed, determinant, 1.0), 0.0)
    s = np.clip(s, 0.0, 1.0)
    t = np.clip((s * uv + vw) / safe_vv, 0.0, 1.0)
    s = np.clip((t * uv - uw) / safe_uu, 0.0, 1.0)
    apart = w + s[..., np.newaxis] * u - t[..., np.newaxis] * v
    return np.sqrt(_dot(apart, apart))


def segment_box_apart(p: Array, p_end: Array, lower: Array, upper: Array) -> Array:
    """Return the least distance between the segment and the box, 0 where they meet.

    The distance of a point from a box is convex, and so it is along a segment: the slope's sign
    says in which half the nearest point lies.
    """
    along = p_end - p
    low = np.zeros(np.broadcast_shapes(p.shape, lower.shape)[:-1])
    high = np.ones_like(low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        point = p + middle[..., np.newaxis] * along
        rising = _dot(point - np.clip(point, lower, upper), along) > 0
        high = np.where(rising, middle, high)
        low = np.where(rising, low, middle)
    point = p + ((low + high) / 2)[..., np.newaxis] * along
    outside = point - np.clip(point, lower, upper)
    return np.sqrt(_dot(outside, outside))


def _dot(a: Array, b: Array) -> Array:
    product: Array = np.einsum("...i,...i->...", a, b)
    return product
