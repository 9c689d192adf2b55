"""Several robots that ask one policy: one inference at a time, in the order of the questions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.model.timing import Latency


def measure_clients(ask: Callable[[], object], clients: int, calls: int) -> tuple[Latency, float]:
    """Return each client's latency with the wait for its turn, and chunks per second in all.

    Every client asks again as soon as it has its answer.
    """
    seconds: list[float] = []
    each = max(2, calls // clients)
    with ThreadPoolExecutor(max_workers=1) as device:

        def drive() -> None:
            for _ in range(each):
                begin = time.perf_counter()
                device.submit(ask).result()
                seconds.append(time.perf_counter() - begin)

        begin = time.perf_counter()
        threads = [threading.Thread(target=drive) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - begin
    return Latency.of(seconds[0], seconds), len(seconds) / elapsed
