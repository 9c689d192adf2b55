"""Commands that have parts, such as `labvla data scan`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from labvla_bringup.cli.errors import UsageError


@dataclass(frozen=True)
class Verb:
    """A part of a command."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_verbs(
    parser: argparse.ArgumentParser, verbs: Mapping[str, Verb]
) -> Iterator[argparse.ArgumentParser]:
    """Add the parts of a command; yield the parser of each for what all of them take."""
    parts = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, verb in verbs.items():
        part = parts.add_parser(name, help=verb.summary, description=verb.summary)
        verb.add_arguments(part)
        yield part


def chosen_verb(arguments: argparse.Namespace, verbs: Mapping[str, Verb]) -> Verb:
    """Return the part that is asked for; none is wrong use."""
    if arguments.verb is None:
        raise UsageError(f"labvla {arguments.command}: expected one of {', '.join(verbs)}")
    return verbs[arguments.verb]
