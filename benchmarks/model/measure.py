"""Measures one network on one device."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.model import stages, work
from benchmarks.model.clients import measure_clients
from benchmarks.model.network import COLUMNS, DTYPES, frames, loaded_policy, random_policy
from benchmarks.model.peaks import Peaks, measure_peaks
from benchmarks.model.rows import Case, row
from benchmarks.model.sizes import Size
from benchmarks.model.stages import Loop
from benchmarks.model.stock import PlainSampler, StockSampler
from benchmarks.model.timing import Latency, measure, seconds_of
from benchmarks.model.work import Work
from labvla_policy.model.config import Dtype
from labvla_policy.model.inference import LoadedPolicy
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.live import Committed, LivePolicy
from labvla_policy.model.realtime import RealtimePolicy, RealtimeSettings

CLIENTS = (1, 2, 4)
PRODUCTS = (1, 2)
SAMPLES = 8
_MEGABYTE = 1e6

Tell = Callable[[str], None]
Rows = list[dict[str, Any]]


class Bench:
    """One size on one device."""

    def __init__(
        self, size: Size, device: torch.device, dtype: Dtype, calls: int, tell: Tell
    ) -> None:
        self._size, self._device, self._calls, self._tell = size, device, calls, tell
        self._case = Case(size.name, device.type, dtype, "ours", "chunk")
        self._dtype = dtype
        tell(f"{size.name} on {device}: peaks of the machine")
        self.peaks: Peaks = measure_peaks(device, DTYPES[dtype])
        tell(f"{size.name} on {device}: random weights")
        self._loaded: LoadedPolicy = loaded_policy(size, device, dtype)
        self._policy = self._loaded.policy
        self._frames = frames(size, self._policy.vlm.camera_slots)
        self._inputs: PolicyInputs = stages.inputs_of(self._loaded, self._frames)
        self.weights_mb = sum(p.nbytes for p in self._policy.parameters()) / _MEGABYTE

    def run(self) -> Rows:
        """Measure everything."""
        with torch.no_grad():
            counted = self._counted()
            rows = [*self._stages(counted), *self._loops(counted), *self._baselines(counted)]
            return [*rows, *self._chunks(counted)]

    def memory(self) -> dict[str, float]:
        """Return megabytes: of the weights, and the most that was held at a time."""
        if self._device.type == "cuda":
            most = torch.cuda.max_memory_allocated(self._device) / _MEGABYTE
        else:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEGABYTE
        return {"weights_mb": self.weights_mb, "most_mb": most}

    def difference(self) -> float:
        """Return how far our chunk is from that of the network as it is written down."""
        loop = Loop(self._policy, self._inputs, RealtimeSettings())
        noise = torch.randn(1, *self._policy.chunk_shape)
        with torch.no_grad():
            plain = PlainSampler(self._policy)(self._inputs, noise)
        return float((loop.realtime.sample(noise) - plain).abs().max())

    def _counted(self) -> dict[str, Work]:
        """Count the work on shapes alone: the same code, on a network that has no numbers."""
        self._tell(f"{self._size.name}: counting the work")
        policy = random_policy(self._size, torch.device("meta"), self._dtype)
        inputs = PolicyInputs(**{n: v.to("meta") for n, v in vars(self._inputs).items()})
        found = {
            stage.name: work.count(stage.function)
            for stage in stages.network_stages(policy, inputs, graphs=False)
        }
        for products in (0, *PRODUCTS):
            settings = RealtimeSettings(products=max(1, products))
            found[_loop_name(products)] = _counted_loop(policy, settings, products > 0)
        return found

    def _stages(self, counted: dict[str, Work]) -> Rows:
        before, after = stages.edge_stages(self._loaded, self._frames)
        network = stages.network_stages(self._policy, self._inputs, graphs=True)
        rows = []
        for stage in (*before, *network, *after):
            self._tell(f"{self._size.name}: {stage.name}")
            rows.append(self._row(stage.function, counted.get(stage.name), part=stage.name))
        return rows

    def _loops(self, counted: dict[str, Work]) -> Rows:
        rows = []
        for products in PRODUCTS:
            self._tell(f"{self._size.name}: the loop, {products} products")
            loop = Loop(self._policy, self._inputs, RealtimeSettings(products=products))
            if products == PRODUCTS[0]:
                rows.append(self._row(loop.plain, counted[_loop_name(0)], part="loop"))
            name = _loop_name(products)
            rows.append(self._row(loop.guided, counted[name], part="loop", rtc=name))
        many = Loop(self._policy, self._inputs, RealtimeSettings(samples=SAMPLES))
        return [*rows, self._row(many.plain, None, part="loop", samples=SAMPLES)]

    def _baselines(self, counted: dict[str, Work]) -> Rows:
        noise = torch.randn(1, *self._policy.chunk_shape)
        samplers: dict[str, Any] = {"plain": PlainSampler(self._policy)}
        if self._size.is_public_architecture:
            samplers["stock"] = StockSampler(self._policy, self._size.vlm)
        rows = []
        for method, sampler in samplers.items():
            self._tell(f"{self._size.name}: {method}")

            def whole(sampler: Any = sampler) -> object:
                # Frames come from outside here too, and rows go out.
                inputs = stages.inputs_of(self._loaded, self._frames)
                chunk = sampler(inputs, noise)[0].numpy()
                return self._loaded.vectors.restored(chunk, np.zeros(COLUMNS, dtype=np.float32))

            rows.append(self._row(whole, None, method=method))
        return rows

    def _chunks(self, counted: dict[str, Work]) -> Rows:
        total = _sum(counted[name] for name in ("vision", "language", "keys", _loop_name(0)))
        self._tell(f"{self._size.name}: whole chunks")
        live: list[LivePolicy] = []
        first = seconds_of(
            lambda: live.append(LivePolicy(self._loaded, RealtimeSettings())), self._device
        )
        ask = partial(live[0].ask, self._frames, np.zeros(COLUMNS), stages.PROMPT)
        known = min(stages.KNOWN, self._size.config.chunk_size)
        committed = Committed(np.zeros((known, COLUMNS)), min(stages.FROZEN, known))
        rows = [self._row(ask, total) | {"prepare_s": first}]
        rows.append(self._row(partial(ask, committed), None, rtc=_loop_name(2)))
        for clients in CLIENTS[1:]:
            self._tell(f"{self._size.name}: {clients} clients")
            latency, rate = measure_clients(ask, clients, self._calls)
            case = replace(self._case, clients=clients)
            rows.append(row(case, latency) | {"chunks_per_second": rate})
        return rows

    def _row(
        self, function: Callable[[], object], counted: Work | None, **case: Any
    ) -> dict[str, Any]:
        latency: Latency = measure(function, self._device, self._calls)
        return row(replace(self._case, **case), latency, counted, self.peaks)


def _loop_name(products: int) -> str:
    return f"guided {products}" if products else "loop"


def _counted_loop(policy: Any, settings: RealtimeSettings, guided: bool) -> Work:
    loop = RealtimePolicy(policy, settings).loop(continued=guided)
    with torch.no_grad():
        return work.count(loop)


def _sum(parts: Iterable[Work]) -> Work:
    found = list(parts)
    return Work(sum(w.flops for w in found), sum(w.bytes for w in found))
