"""One inference at a time on one device: a thread that works off a fair queue."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from labvla_policy.serving.fair_queue import FairQueue
from labvla_policy.serving.policy import PolicyAnswer, PolicyRequest, ServedPolicy
from labvla_policy.serving.reasons import RequestRefused

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the policy says, and how long that took."""

    said: PolicyAnswer
    waited: float  # s in the queue
    took: float  # s in the policy


@dataclass(frozen=True, eq=False)
class Job:
    """A question on its way through the queue."""

    client: str
    request: PolicyRequest
    asked: float = field(default_factory=time.monotonic)
    answer: Future[Answer] = field(default_factory=Future)


class Lane:
    """Asks the policy, one question after another, the clients in turn."""

    def __init__(self, policy: ServedPolicy, most_waiting: int) -> None:
        self._policy = policy
        self._most_waiting = most_waiting
        self._queue: FairQueue[Job] = FairQueue(most_waiting)
        self._wake = threading.Condition()
        self._closed = False
        self._busy_since: float | None = None
        # A policy that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    def submit(self, client: str, request: PolicyRequest) -> Job:
        """Queue a question; its answer is a RequestRefused where there is no room for it."""
        job = Job(client, request)
        with self._wake:
            displaced = self._queue.put(client, job)
            self._wake.notify()
        if displaced is not None:
            displaced.answer.set_exception(
                RequestRefused("overload", f"{self._most_waiting} requests are waiting already")
            )
        return job

    def abandon(self, job: Job) -> None:
        """Note that nobody waits for the answer any more."""
        job.request.abandoned.set()
        with self._wake:
            if self._queue.discard(job.client, job):
                job.answer.cancel()

    @property
    def waiting(self) -> int:
        """Questions in the queue."""
        with self._wake:
            return len(self._queue)

    @property
    def busy_for(self) -> float:
        """Seconds that the question in work has taken so far; 0 if there is none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def close(self, timeout: float) -> bool:
        """End the thread; False if the policy does not come back in time."""
        with self._wake:
            self._closed = True
            while (job := self._queue.take()) is not None:
                job.answer.cancel()
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if not job.answer.set_running_or_notify_cancel():
                continue
            begin = self._busy_since = time.monotonic()
            try:
                said = self._checked(self._policy.infer(job.request))
            except Exception as error:  # whatever a policy raises, the next question may be fine
                if not isinstance(error, RequestRefused):
                    _LOG.exception("the policy failed")
                    error = RequestRefused("internal_server_error", "see the server's log")
                job.answer.set_exception(error)
            else:
                took = time.monotonic() - begin
                job.answer.set_result(Answer(said, begin - job.asked, took))
            finally:
                self._busy_since = None

    def _next(self) -> Job | None:
        with self._wake:
            self._wake.wait_for(lambda: self._closed or len(self._queue))
            return None if self._closed else self._queue.take()

    def _checked(self, said: PolicyAnswer) -> PolicyAnswer:
        rows, width = said.rows, self._policy.metadata.action_dim
        if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != width:
            raise RequestRefused(
                "policy_answer", f"expected rows of {width} numbers, got the shape {rows.shape}"
            )
        if not np.all(np.isfinite(rows)):
            row, column = (int(i) for i in np.argwhere(~np.isfinite(rows))[0])
            raise RequestRefused(
                "policy_answer", f"row {row}, column {column} is {rows[row, column]}"
            )
        return said
