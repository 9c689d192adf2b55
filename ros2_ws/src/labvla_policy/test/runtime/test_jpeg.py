"""JPEG pictures: decoded, or refused by name before anything grey or giant comes of them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_support import outcome, refusal_of

from labvla_policy.runtime.streams import image as image_module
from labvla_policy.runtime.streams.cdr import Image
from labvla_policy.runtime.streams.image import ImageFormat, decode

DECLARED = ImageFormat("jpeg", 64, 48)


def jpeg_of(pixels):
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert done
    return data.tobytes()


def jpeg(data):
    return Image("rgb8; jpeg compressed bgr8", 0, 0, 0, memoryview(data))


SMOOTH = np.full((48, 64, 3), 128, np.uint8)  # what a JPEG keeps nearly as it is
SMOOTH[..., 0] = np.arange(64) * 3
SMOOTH[..., 1] = np.arange(48)[:, np.newaxis] * 4


@pytest.mark.parametrize("padding", [b"", b"\0" * 31])
def test_jpeg(padding):
    pixels = decode(jpeg(jpeg_of(SMOOTH) + padding), DECLARED)
    assert np.abs(pixels.astype(int) - SMOOTH).mean() < 2.0
    assert not pixels.flags.writeable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "image_encoding"),
        (bytes(64 * 48 * 3), "image_encoding"),
        (b"\x89PNG\r\n\x1a\n", "image_encoding"),
        (jpeg_of(SMOOTH)[:-40], "image_corrupt"),
        (b"\xff\xd8\xff\xd9", "image_corrupt"),
        (jpeg_of(SMOOTH[:40]), "image_size"),
    ],
)
def test_refusals(data, reason):
    assert refusal_of(lambda: decode(jpeg(data), DECLARED)).reason == reason


def test_a_giant_is_refused_by_its_header():
    data = bytearray(jpeg_of(SMOOTH))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert "65535 x 65535" in refusal_of(lambda: decode(jpeg(bytes(data)), DECLARED)).detail


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_damaged_jpeg_is_decoded_or_refused(at, value):
    data = bytearray(jpeg_of(SMOOTH))
    data[at % len(data)] = value
    reason = outcome(lambda: decode(jpeg(bytes(data)), DECLARED))
    assert reason in {"done", "image_corrupt", "image_encoding", "image_size"}


def test_without_opencv_jpeg_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(image_module, "cv2", None)
    message = jpeg(jpeg_of(SMOOTH))
    reason = refusal_of(lambda: decode(message, DECLARED)).reason
    assert reason == "image_decoder"
