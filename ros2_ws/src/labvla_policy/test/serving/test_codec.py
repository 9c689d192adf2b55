"""The codec: what openpi's own codec writes and reads, and nothing that could do harm."""

import contextlib

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.openpi.codec import CodecError, decode, encode


def array_map(data=b"\0" * 8, dtype="<f4", shape=(2,), **more):
    return {b"__ndarray__": True, b"data": data, b"dtype": dtype, b"shape": list(shape), **more}


def scalar_map(data, dtype):
    return {b"__npgeneric__": True, b"data": data, b"dtype": dtype}


def test_the_bytes_are_those_of_the_contract():
    picture = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    message = encode({"camera_1_rgb": picture, "n": np.float32(0.5)})
    assert msgpack.unpackb(message) == {
        "camera_1_rgb": array_map(bytes(range(6)), "|u1", (1, 2, 3)),
        "n": scalar_map(0.5, "<f4"),
    }


@pytest.mark.parametrize("dtype", ["|u1", "<f4", ">f4", "<f8", "<f2", "<i8", "<u2", "|b1"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4)])
def test_arrays_return_as_they_were(dtype, shape):
    sent = (np.arange(np.prod(shape, dtype=int)) % 2).astype(dtype).reshape(shape)
    got = decode(encode({"a": sent}))["a"]
    assert got.dtype == sent.dtype
    assert got.shape == sent.shape
    np.testing.assert_array_equal(got, sent)
    assert not got.flags.writeable


def test_an_array_in_another_memory_order_arrives_right():
    turned = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode(encode(turned)), turned)


def test_plain_values_and_numpy_scalars():
    sent = {"a": [1, 2.5, None, True, "x"], "text": np.str_("beaker"), "n": np.int16(-3)}
    assert decode(encode(sent)) == {"a": [1, 2.5, None, True, "x"], "text": "beaker", "n": -3}


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"", "incomplete"),
        (b"\xc1", "no MessagePack"),
        (b"\xc0\xc0", "extra data"),
        (b"\x91" * 5000, "no MessagePack"),  # nested beyond the stack
        (b"\xdd\xff\xff\xff\xff", "exceeds"),  # announces four thousand million items
        (b"\xdf\xff\xff\xff\xff", "exceeds"),
        (b"\xc6\xff\xff\xff\xff", "incomplete"),
        (b"\xdb\xff\xff\xff\xff", "incomplete"),
        (b"\xd6\x01abcd", "exceeds"),  # an extension type
        (b"\xd6\xff\0\0\0\0", "exceeds"),  # a time stamp
        (b"\xa2\xff\xff", "utf-8"),
        (b"\x82\xa1a\x01\xa1a\x02", "a key twice"),
        (b"\x81\x01\x02", "no MessagePack"),  # a number as a key
        (b"\x81\xc4\x01a\x01", "expected texts as keys"),
    ],
)
def test_malformed_messages(message, complaint):
    with pytest.raises(CodecError, match=complaint):
        decode(message)


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (array_map(dtype="O"), "array of numbers"),
        (array_map(dtype="|O8"), "array of numbers"),
        (array_map(dtype="<c8"), "array of numbers"),
        (array_map(dtype="V8"), "array of numbers"),
        (array_map(dtype="<M8[s]"), "array of numbers"),
        (array_map(dtype="<f4,<f4"), "array of numbers"),
        (array_map(dtype="(2,)<f4"), "array of numbers"),
        (array_map(dtype=3), "array of numbers"),
        (array_map(dtype=None), "array of numbers"),
        (array_map(data="text"), "without bytes"),
        (array_map(shape=[3]), "8 bytes, where"),
        (array_map(shape=[1]), "8 bytes, where"),
        (array_map(shape=[2**40, 2**40]), "8 bytes, where"),
        (array_map(shape=[-1]), "of the shape"),
        (array_map(shape=[True]), "of the shape"),
        (array_map(shape=["2"]), "of the shape"),
        (array_map(shape=[1] * 9), "of the shape"),
        ({**array_map(), b"shape": 2}, "of the shape"),
        (scalar_map(300, "|u1"), "300 is no uint8"),
        (scalar_map("x", "<f4"), "said to be float32"),
        (scalar_map([1], "<f4"), "said to be float32"),
        (scalar_map(b"x", "|S1"), "array of numbers"),
    ],
)
def test_arrays_that_lie(found, complaint):
    with pytest.raises(CodecError, match=complaint):
        decode(msgpack.packb({"a": found}))


@pytest.mark.parametrize(
    "value", [object(), {"a": np.array([object()])}, np.zeros(2, complex), {1, 2}, 2**70]
)
def test_what_has_no_place_in_a_message_is_not_sent(value):
    with pytest.raises(CodecError):
        encode(value)


@given(st.binary(max_size=200))
def test_whatever_comes_it_is_a_value_or_a_codec_error(message):
    with contextlib.suppress(CodecError):
        decode(message)
