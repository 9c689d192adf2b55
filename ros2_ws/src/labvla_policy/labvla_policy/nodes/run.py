"""Runs a node until a signal, then ends its threads before the middleware goes.

rclpy's own handlers invalidate the context at once: threads that still publish would fail, and a
process that ends without clean-up leaves its shared memory behind.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from labvla_policy.runtime.cell import CellError

_POLL = 0.1  # s


class Lacking(RuntimeError):
    """The environment lacks what was asked for; the text names it and says what to do."""


class Ending(Protocol):
    """A node with threads of its own."""

    def end(self) -> None:
        """End the threads."""
        ...

    def destroy_node(self) -> None:
        """Give the node back."""
        ...


def start() -> None:
    """Initialise ROS without its signal handlers."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)


def new_executor() -> Executor:
    """Return the lightest executor there is; callbacks are short, so one thread is enough.

    The usual ones collect everything that they wait for anew for every callback: at the 500 a
    second of three cameras and a robot that takes a whole core. Jazzy has no other.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def until_signalled(node: Ending, between: Callable[[], bool] = lambda: True) -> None:
    """Spin until SIGINT or SIGTERM, then end everything in order.

    `between` is called between callbacks; False ends the node, too.
    """
    executor = new_executor()
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    executor.add_node(node)
    while not asked.is_set() and between():
        executor.spin_once(timeout_sec=_POLL)
    node.end()
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()


def main_of(
    make: Callable[[], Ending],
    *,
    begin: Callable[[Any], None] = lambda _node: None,
    between: Callable[[Any], bool] = lambda _node: True,
    refused: tuple[type[Exception], ...] = (),
) -> int:
    """Run a node until it is interrupted, and return the exit code of its process.

    Args:
        make: makes the node; what it cannot work with is code 2, what is not installed code 3.
        begin: called with the node before it runs.
        between: called with the node between callbacks; False ends it.
        refused: exceptions of `make` that mean wrong settings, too.
    """
    wrong: tuple[type[Exception], ...] = (CellError, ValueError, *refused)
    start()
    try:
        node = make()
    except Lacking as lacking:
        sys.stderr.write(f"{lacking}\n")
        return 3
    except wrong as error:
        sys.stderr.write(f"{error}\n")
        return 2
    begin(node)
    until_signalled(node, lambda: between(node))
    return 0
