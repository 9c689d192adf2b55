"""The contestants: this controller as it is, the others as models of what they do to a chunk."""

from benchmarks.control.methods.base import Method, Outcome
from benchmarks.control.methods.field import contestants

__all__ = ["Method", "Outcome", "contestants"]
