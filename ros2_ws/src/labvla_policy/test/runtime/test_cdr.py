"""Messages as rclpy serialises them (Kilted, Fast DDS), and everything that is not one."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_support import outcome, refusal_of

from labvla_policy.runtime.streams import cdr

# Header: stamp 1700000000.123456789, frame "camera".
IMAGE = bytes.fromhex(  # 3 x 2, rgb8, step 10, data 0 to 19
    "0001000000f1536515cd5b070700000063616d6572610000020000000300000005000000726762380000bd510a000000"
    "14000000000102030405060708090a0b0c0d0e0f10111213"
)
COMPRESSED = bytes.fromhex(
    "0001000000f1536515cd5b070700000063616d657261003a050000006a7065670064496d05000000ffd8ffe001"
)
JOINTS = bytes.fromhex(  # a 0.5, joint_b -1.25; one velocity, no effort
    "0001000000f1536515cd5b070700000063616d6572610000020000000200000061000000080000006a6f696e745f6200"
    "02000000000000000000e03f000000000000f4bf0100000000000000000000000000f03f0000000000000000"
)
READERS = (cdr.read_stamp, cdr.read_image, cdr.read_compressed_image, cdr.read_joint_state)


@pytest.mark.parametrize("message", [IMAGE, COMPRESSED, JOINTS])
def test_stamp(message):
    assert cdr.read_stamp(message) == 1_700_000_000_123_456_789


def test_image_is_a_view():
    buffer = bytearray(IMAGE)
    image = cdr.read_image(buffer)
    assert (image.encoding, image.width, image.height, image.step) == ("rgb8", 3, 2, 10)
    assert bytes(image.data) == bytes(range(20))
    buffer[-1] = 99
    assert image.data[-1] == 99


def test_compressed_image():
    image = cdr.read_compressed_image(COMPRESSED)
    assert (image.encoding, bytes(image.data)) == ("jpeg", b"\xff\xd8\xff\xe0\x01")


def test_joint_state():
    state = cdr.read_joint_state(JOINTS)
    assert state.name == ("a", "joint_b")
    np.testing.assert_array_equal(state.position, [0.5, -1.25])


def test_big_endian():
    body = struct.pack(">iII", 5, 7, 1) + b"\0" + b"\0" * 3
    body += struct.pack(">I", 1) + struct.pack(">I", 2) + b"a\0" + b"\0" * 2
    body += struct.pack(">I", 1) + b"\0" * (-(len(body) + 4) % 8) + struct.pack(">d", 0.25)
    message = b"\0\0\0\0" + body
    assert cdr.read_stamp(message) == 5_000_000_007
    state = cdr.read_joint_state(message)
    assert (state.name, state.position.tolist()) == (("a",), [0.25])


@pytest.mark.parametrize("message", [IMAGE, COMPRESSED])
def test_every_truncation_is_refused(message):
    read = cdr.read_image if message is IMAGE else cdr.read_compressed_image
    for size in range(len(message)):
        assert refusal_of(lambda size=size: read(message[:size])).reason == "message_corrupt"


@pytest.mark.parametrize("read", READERS)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(read, message):
    reason = outcome(lambda: read(message))
    assert reason in {"done", "message_corrupt"}


def test_text_that_is_none():
    message = bytearray(JOINTS)
    message[message.index(b"joint_b")] = 0xFF
    assert refusal_of(lambda: cdr.read_joint_state(message)).reason == "message_corrupt"


def test_a_count_that_cannot_fit_is_refused_before_it_is_read():
    message = bytearray(JOINTS)
    message[24:28] = struct.pack("<I", 2**32 - 1)
    assert refusal_of(lambda: cdr.read_joint_state(message)).reason == "message_corrupt"
