"""Work on many things at once, in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]  # how many of how many are done

# A forked copy of a process with threads may hang, and libraries here have threads. A server that
# has imported what the work needs starts a worker in milliseconds nevertheless.
_PRELOADED = ["labvla_data.dataset"]


class WorkerLostError(RuntimeError):
    """A worker process ended in the midst of its work."""


def silent(_done: int, _all: int) -> None:
    """Show no progress."""


def cores() -> int:
    """Return on how many processors this process may run."""
    return len(os.sched_getaffinity(0))


def run_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, as they are done.

    `work` must be a function of a module, and what goes in and comes out must be picklable. The
    first error ends it. With one worker all is done here, one after the other.
    """
    count = min(workers or cores(), len(items))
    progress(0, len(items))
    if count <= 1:
        for done, item in enumerate(items, 1):
            yield item, work(item)
            progress(done, len(items))
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        waiting: dict[Future[Result], Item] = {pool.submit(work, item): item for item in items}
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                yield waiting[future], future.result()
                progress(done, len(items))
        except BrokenProcessPool:
            raise WorkerLostError(
                "a worker process was killed in the midst of its work: too little memory? "
                "Use fewer workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
