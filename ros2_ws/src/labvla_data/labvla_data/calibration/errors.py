"""How calibration fails."""

from __future__ import annotations


class CalibrationError(Exception):
    """What was given cannot be calibrated from; the text says why and what to do."""


class NotAccurateError(Exception):
    """Everything could be computed, and the answer is not good enough to be kept."""


class OpenCvLackError(Exception):
    """The installed OpenCV cannot find ChArUco boards."""
