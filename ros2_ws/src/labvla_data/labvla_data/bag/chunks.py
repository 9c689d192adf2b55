"""The chunks of an MCAP file as they were before they were compressed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import lz4.frame
import zstandard

from labvla_data.bag.mcap_file import CHUNK_SIZES, Piece, chunk_data

RECORD = struct.Struct("<BQ")  # opcode, length of the body
_LARGEST_CHUNK = 1 << 30
_DECOMPRESS: dict[str, Callable[[memoryview, int], Piece]] = {
    "": lambda data, _size: data,
    "lz4": lambda data, _size: lz4.frame.decompress(data),
    "zstd": lambda data, size: zstandard.ZstdDecompressor().decompress(data, size),
}


def plain_chunk(body: Piece, *, check: bool = True) -> memoryview:
    """Return the records inside a chunk, or raise one of DAMAGE.

    `check` compares their checksum; whoever has just read them need not do it again.
    """
    _, _, size, checksum = CHUNK_SIZES.unpack_from(body)
    if size > _LARGEST_CHUNK:
        raise ValueError(f"a chunk of {size} bytes")
    compression, data = chunk_data(body)
    plain = memoryview(_DECOMPRESS[compression](data, size))
    if len(plain) != size or (check and checksum and zlib.crc32(plain) != checksum):
        raise ValueError("its checksum does not fit its bytes")
    return plain
