"""Lock-step: the simulation waits until what it has sent is here, and for a disk that is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.node import Node

from labvla_policy.nodes.lockstep_link import LockStepLink
from labvla_policy.runtime.beat import Step

_POLL = 0.01  # s between two looks whether the disk has caught up


class StepWatcher:
    """The recorder's part in lock-step, on a thread of its own."""

    def __init__(
        self,
        node: Node,
        clock: Callable[[], int],
        has: Callable[[str, int], bool],
        is_behind: Callable[[], bool],
    ) -> None:
        """Take part from `start` on.

        Args:
            node: whose topics are meant.
            clock: the time before the first step.
            has: whether a topic's message of a time (ns) has come.
            is_behind: whether time has to stand for the disk.
        """
        self._node, self._has, self._is_behind = node, has, is_behind
        # It has no work of its own: a scene that is put up with `hold` does not begin for it.
        self._link = LockStepLink(node, clock, self._has_arrived, is_idle=lambda: True)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lockstep", daemon=True)

    def start(self) -> None:
        """Take part."""
        self._thread.start()

    def end(self) -> None:
        """Hold nobody up any more."""
        self._ending.set()
        self._link.beat.end()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        member = self._link.beat.join(threading.Event())
        while not self._ending.is_set():
            member.look()
            while self._is_behind() and not self._ending.is_set():
                time.sleep(_POLL)
            member.rest(0.0)
        member.leave()

    def _has_arrived(self, step: Step) -> bool:
        topics = (self._node.resolve_topic_name(topic) for topic in step.topics)
        return all(self._has(topic, step.stamp) for topic in topics)
