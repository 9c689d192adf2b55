"""Rarer pixel formats go through cv_bridge where it is there; a stand-in plays its part here."""

import sys
from types import ModuleType

import numpy as np
import pytest

from labvla_policy.nodes.cv_converter import cv_bridge_converter
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams.cdr import Image
from labvla_policy.runtime.streams.image import ImageFormat, decode

HEIGHT, WIDTH = 4, 6


class CvBridgeError(TypeError):
    """As cv_bridge has it."""


class CvBridge:
    """Converts a 16-bit grey picture, and refuses depth: nothing else is needed to see the way."""

    def imgmsg_to_cv2(self, message, desired_encoding="passthrough"):
        assert desired_encoding == "rgb8"
        if message.encoding != "mono16":
            raise CvBridgeError(f"[{message.encoding}] is not a color format")
        order = ">u2" if message.is_bigendian else "<u2"
        grey = np.ndarray((message.height, message.width), order, message.data)
        return np.repeat((grey // 257).astype(np.uint8)[..., np.newaxis], 3, axis=2)


@pytest.fixture
def convert(monkeypatch):
    module = ModuleType("cv_bridge")
    module.CvBridge, module.CvBridgeError = CvBridge, CvBridgeError
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    return cv_bridge_converter()


def picture(encoding, order):
    values = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 10
    data = (values * 257).astype(order).tobytes()
    big = order == ">u2"
    image = Image(encoding, WIDTH, HEIGHT, 2 * WIDTH, memoryview(data), is_bigendian=big)
    return image, np.repeat(values.astype(np.uint8)[..., np.newaxis], 3, axis=2)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_a_picture_in_either_byte_order(convert, order):
    message, expected = picture("mono16", order)
    pixels = decode(message, ImageFormat("mono16", WIDTH, HEIGHT), convert)
    np.testing.assert_array_equal(pixels, expected)
    assert not pixels.flags.writeable


def test_what_cv_bridge_refuses_is_refused_in_its_words(convert):
    message, _ = picture("16UC1", "<u2")
    with pytest.raises(Refused) as refused:
        decode(message, ImageFormat("16UC1", WIDTH, HEIGHT), convert)
    assert refused.value.refusal.reason == "image_encoding"
    assert "[16UC1] is not a color format" in refused.value.refusal.detail


def test_without_cv_bridge_there_is_no_converter(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)  # as if it were not installed
    assert cv_bridge_converter() is None
