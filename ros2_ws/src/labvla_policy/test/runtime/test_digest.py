"""The hash is what its definition says, computed here a second time and in another way."""

import hashlib

import numpy as np
import pytest

from labvla_policy.runtime.observation.digest import observation_digest, pixel_digest

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
STATE = np.array([0.5, -0.0, 1e-9])


IMAGES = (PICTURE, None)


def digest(images=IMAGES, state=STATE, text="rühre um"):
    return observation_digest(images, state, text)


def test_definition():
    expected = b"labvla.observation.1\n" + bytes([2])
    expected += bytes([1]) + (2).to_bytes(4, "little") + (3).to_bytes(4, "little")
    expected += hashlib.sha256(bytes(range(18))).digest() + bytes([0])
    expected += (3).to_bytes(4, "little")
    expected += np.array([0.5, 0.0, 1e-9], dtype="<f8").tobytes() + "rühre um".encode()
    assert digest() == hashlib.sha256(expected).digest()


def test_views_hash_like_copies():
    turned = np.ascontiguousarray(PICTURE[..., ::-1])[..., ::-1]
    assert pixel_digest(turned) == pixel_digest(PICTURE)


@pytest.mark.parametrize(
    "other",
    [
        {"images": (None, PICTURE)},
        {"images": (PICTURE.reshape(3, 2, 3), None)},
        {"images": (PICTURE + 1, None)},
        {"state": STATE + 1e-12},
        {"state": STATE[:2]},
        {"text": "rühre um "},
    ],
)
def test_every_part_counts(other):
    assert digest(**other) != digest()
