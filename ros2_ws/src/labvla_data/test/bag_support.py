"""Bags for tests: messages as a middleware would send them, and other people's readers."""

import json
import struct
from functools import cache
from pathlib import Path

import numpy as np
from ament_index_python.packages import get_package_share_directory
from builtin_interfaces.msg import Time
from mcap.reader import make_reader
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from labvla_data.bag.connection import Connection
from labvla_data.bag.definitions import definition
from labvla_data.bag.metadata import Qos
from labvla_data.bag.writer import BagWriter

SECOND = 1_000_000_000
BEGIN = 1_800_000_000 * SECOND

IMAGES = "sensor_msgs/msg/Image"
STATES = "sensor_msgs/msg/JointState"


def header(stamp):
    return Header(stamp=Time(sec=stamp // SECOND, nanosec=stamp % SECOND), frame_id="f")


@cache  # the bytes that fill gaps between fields differ from one serialisation to the next
def picture(stamp, number, side):
    pixels = np.random.default_rng(number).integers(0, 256, side * side * 3, np.uint8)
    message = Image(
        header=header(stamp), height=side, width=side, encoding="rgb8", step=3 * side, data=pixels
    )
    return serialize_message(message)


@cache
def state(stamp, number, joints=7):
    message = JointState(
        header=header(stamp),
        name=[f"joint{i}" for i in range(joints)],
        position=[number + i / 10 for i in range(joints)],
    )
    return serialize_message(message)


@cache
def official_hash(kind):
    """The hash that ROS 2 computed when it built the message's package."""
    package, _, name = kind.split("/")
    path = Path(get_package_share_directory(package), "msg", f"{name}.json")
    hashes = {h["type_name"]: h["hash_string"] for h in json.loads(path.read_text())["type_hashes"]}
    return hashes[kind]


def connection(topic, kind):
    offered = (Qos("best_effort", depth=5),)
    return Connection(topic, kind, definition(kind), official_hash(kind), offered)


def write_bag(folder, seconds=3.0, compression="none", flush_every=0.5, finish=True, side=16):
    """Write 100 states and 10 pictures a second; return the writer."""
    writer = BagWriter(folder, compression, {"made_by": "a test"})
    states = writer.add_connection(connection("/states", STATES))
    pictures = writer.add_connection(connection("/camera", IMAGES))
    flushed = 0.0
    for number in range(round(seconds * 100)):
        stamp = BEGIN + number * SECOND // 100
        writer.add(states, number, stamp, stamp - 1000, state(stamp, number))
        if number % 10 == 0:
            writer.add(pictures, number // 10, stamp, stamp - 1000, picture(stamp, number, side))
        if number / 100 - flushed >= flush_every:
            writer.flush()
            flushed = number / 100
    if finish:
        writer.finish()
        writer.close()
    return writer


def read_with_mcap(path):
    """All messages as (topic, log time, data), by the format's own library."""
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        return [
            (channel.topic, message.log_time, message.data)
            for _, channel, message in reader.iter_messages()
        ]


def read_with_rosbags(folder):
    """All messages as (topic, log time, data), by a library that knows rosbag2's metadata."""
    with AnyReader([folder]) as reader:
        assert reader.message_count == sum(c.msgcount for c in reader.connections)
        return [(c.topic, time, bytes(data)) for c, time, data in reader.messages()]


def chunk_ends(data):
    """Where chunks end in a file, and how many messages it holds up to there."""
    ends, at, messages = [], 8, 0
    while data[at] != 0x0F:
        opcode, length = struct.unpack_from("<BQ", data, at)
        if opcode == 0x06:
            end = at + 9 + length
        elif opcode == 0x07:
            messages += (length - 6) // 16
            ends = [e for e in ends if e[0] != end] + [(end, messages)]
        at += 9 + length
    return ends
