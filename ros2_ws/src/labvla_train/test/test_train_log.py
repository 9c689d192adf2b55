"""What a run tells is a line of JSON, and what TensorBoard can read."""

import json
import struct

from labvla_train.log import EVENTS, LOG, Log, crc32c


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # both from RFC 3720


def records(path):
    """Read the framing as TensorBoard documents it."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        for content, stored in ((data[:8], data[8:12]), (data[12:][:length], data[12 + length :])):
            checksum = crc32c(content)
            rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
            assert struct.unpack("<I", stored[:4]) == ((rotated + 0xA282EAD8) & 0xFFFFFFFF,)
        found.append(data[12 : 12 + length])
        data = data[16 + length :]
    return found


def test_entries_are_framed_events(tmp_path):
    log = Log(tmp_path, 0)
    log.tell(300, {"total": 0.5, "flow": 0.25})
    log.tell(300, {"held_out": {"tool_mm pick 90 %": 12.5}})
    version, learnt, measured = records(tmp_path / EVENTS)
    assert version.endswith(b"\x1a\x0dbrain.Event:2")
    step = b"\x10\xac\x02"  # field 2, 300 as a varint
    assert step in learnt
    assert b"\x0a\x0clearnt/total\x15" + struct.pack("<f", 0.5) in learnt
    assert b"held_out/tool_mm pick 90 %\x15" + struct.pack("<f", 12.5) in measured


def test_what_is_learnt_again_is_told_once(tmp_path):
    log = Log(tmp_path, 0)
    for step in (1, 2, 3):
        log.tell(step, {"total": float(step)})
    Log(tmp_path, 2).tell(3, {"total": 30.0})
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["total"] for line in lines] == [1.0, 2.0, 30.0]
    assert len(records(tmp_path / EVENTS)) == 4
