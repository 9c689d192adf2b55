"""How commands fail: the kind of the error decides the exit code."""

import enum


class ExitCode(enum.IntEnum):
    """What the shell learns."""

    DONE = 0
    NO = 1
    USAGE = 2
    ENVIRONMENT = 3


class UsageError(Exception):
    """Wrong use or bad input."""


class Refusal(Exception):
    """The command ran and the answer is no."""


class EnvironmentLack(Exception):
    """The environment lacks something; the text names it."""
