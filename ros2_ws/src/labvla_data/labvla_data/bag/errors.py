"""What can be wrong with a bag."""

from __future__ import annotations

import struct

import zstandard
from mcap.exceptions import McapError


class BagError(ValueError):
    """A bag cannot be read; the text says why and what to do."""


# Whatever the libraries raise about bytes that are not what they should be.
DAMAGE = (McapError, ValueError, LookupError, struct.error, RuntimeError, zstandard.ZstdError)
