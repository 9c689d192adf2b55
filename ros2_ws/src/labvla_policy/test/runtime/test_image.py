"""Raw pictures: the same pixels out of every format, as views, and named refusals."""

import numpy as np
import pytest
from runtime_support import refusal_of

from labvla_policy.runtime.streams.cdr import Image
from labvla_policy.runtime.streams.image import ImageFormat, decode

PICTURE = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def raw(encoding, pixels, padding=0):
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Image(encoding, width, height, rows.shape[1], memoryview(rows.tobytes()))


def declared(encoding, width=8, height=6):
    return ImageFormat(encoding, width, height)


ALPHA = np.full((6, 8, 1), 9, np.uint8)
FORMATS = {
    "rgb8": PICTURE,
    "bgr8": PICTURE[..., ::-1],
    "rgba8": np.concatenate([PICTURE, ALPHA], axis=2),
    "bgra8": np.concatenate([PICTURE[..., ::-1], ALPHA], axis=2),
}


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", FORMATS)
def test_colour_formats(encoding, padding):
    message = raw(encoding, FORMATS[encoding], padding)
    pixels = decode(message, declared(encoding))
    np.testing.assert_array_equal(pixels, PICTURE)
    assert np.shares_memory(pixels, np.frombuffer(message.data, np.uint8))
    assert not pixels.flags.writeable


def test_mono():
    message = raw("mono8", PICTURE[..., :1])
    pixels = decode(message, declared("mono8"))
    np.testing.assert_array_equal(pixels, PICTURE[..., :1].repeat(3, axis=2))
    assert np.shares_memory(pixels, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("message", "expected", "reason"),
    [
        (raw("bgr8", PICTURE), "rgb8", "image_encoding"),
        (raw("16UC1", PICTURE), "rgb8", "image_encoding"),
        (raw("rgb8", PICTURE[:, :7]), "rgb8", "image_size"),
        (raw("rgb8", PICTURE.swapaxes(0, 1)), "rgb8", "image_size"),
        (Image("rgb8", 8, 6, 24, memoryview(bytes(6 * 24 - 1))), "rgb8", "image_buffer"),
        (Image("rgb8", 8, 6, 24, memoryview(b"")), "rgb8", "image_buffer"),
        (Image("rgb8", 8, 6, 23, memoryview(bytes(6 * 24))), "rgb8", "image_buffer"),
    ],
)
def test_refusals(message, expected, reason):
    assert refusal_of(lambda: decode(message, declared(expected))).reason == reason


def test_a_padded_last_row_may_be_short():
    message = raw("rgb8", PICTURE, padding=5)
    cut = Image("rgb8", 8, 6, message.step, message.data[:-5])
    np.testing.assert_array_equal(decode(cut, declared("rgb8")), PICTURE)


def test_other_encodings_go_to_the_converter_as_the_cell_declares_them():
    asked = []

    def convert(message):
        asked.append(message.encoding)
        return PICTURE

    message = raw("yuv422_yuy2", PICTURE)
    declared_so = declared("yuv422_yuy2")
    np.testing.assert_array_equal(decode(message, declared_so, convert), PICTURE)
    assert asked == ["yuv422_yuy2"]
    # what is built in is never left to the converter, nor what the cell does not declare
    decode(raw("rgb8", PICTURE), declared("rgb8"), convert)
    other = refusal_of(lambda: decode(message, declared("rgb8"), convert))
    assert other.reason == "image_encoding"
    assert asked == ["yuv422_yuy2"]
    # not every answer of it is a picture
    grey = refusal_of(lambda: decode(message, declared_so, lambda _: PICTURE[..., 0]))
    assert grey.reason == "image_encoding"
    small = refusal_of(lambda: decode(message, declared_so, lambda _: PICTURE[:3]))
    assert small.reason == "image_size"
    cut = Image("yuv422_yuy2", 8, 6, 24, memoryview(bytes(6 * 24 - 1)))
    assert refusal_of(lambda: decode(cut, declared_so, convert)).reason == "image_buffer"


def test_without_a_converter_the_refusal_names_it():
    message = raw("bayer_rggb8", PICTURE[..., :1])
    refusal = refusal_of(lambda: decode(message, declared("bayer_rggb8")))
    assert refusal.reason == "image_decoder"
    assert "bayer_rggb8 needs cv_bridge" in refusal.detail
