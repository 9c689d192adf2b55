"""A flow whose every answer is known: data that are normal, rows correlated in time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GaussianFlow:
    """The exact velocity of a flow to chunks (rows x columns) of normal data.

    With x_t = t a + (1 - t) e, both normal, the expected data are
    a(x) = mean + t C (t^2 C + (1 - t)^2)^-1 (x - t mean), and the velocity is (a(x) - x) / (1 - t).
    """

    mean: Tensor  # rows x columns
    covariance: Tensor  # of the chunk as one long vector

    @classmethod
    def smooth(
        cls, rows: int, columns: int, reach: float, level: float = 0.0, across: float = 0.0
    ) -> GaussianFlow:
        """Unit variance; rows agree over `reach` rows, columns by `across`."""
        places = torch.arange(rows, dtype=torch.float64)
        along = torch.exp(-0.5 * ((places[:, None] - places) / reach).square())
        along += 1e-4 * torch.eye(rows)
        beside = (1 - across) * torch.eye(columns, dtype=torch.float64) + across
        mean = torch.full((rows, columns), level, dtype=torch.float64)
        return cls(mean, torch.kron(along, beside))

    @classmethod
    def independent(cls, rows: int, columns: int) -> GaussianFlow:
        """Return standard normal data."""
        size = rows * columns
        return cls(
            torch.zeros(rows, columns, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
        )

    def velocity(self, chunk: Tensor, time: Tensor) -> Tensor:
        """Return the velocity; all chunks of a batch have the same time."""
        t = float(time[0])
        mean = self.mean.flatten()
        spread = t * t * self.covariance + (1 - t) ** 2 * torch.eye(len(mean), dtype=torch.float64)
        gain = t * torch.linalg.solve(spread, self.covariance)
        expected = mean + (chunk.flatten(1) - t * mean) @ gain.T
        return (expected.view_as(chunk) - chunk) / (1 - t)

    def draw(self, count: int, seed: int) -> Tensor:
        """Draw chunks from the data."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(count, len(self.covariance), generator=generator, dtype=torch.float64)
        values, vectors = torch.linalg.eigh(self.covariance)
        chunks = (z * values.clamp(min=0).sqrt()) @ vectors.T
        return chunks.view(count, *self.mean.shape) + self.mean

    def given(self, leading: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of a chunk whose leading rows are known."""
        known = leading.numel()
        cov, mean = self.covariance, self.mean.flatten()
        gain = torch.linalg.solve(cov[:known, :known], cov[:known]).T
        expected = mean + gain @ (leading.flatten() - mean[:known])
        variance = (cov - gain @ cov[:known]).diagonal().clamp(min=0)
        return expected.view_as(self.mean), variance.sqrt().view_as(self.mean)


def noise_for(flow: GaussianFlow, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *flow.mean.shape, generator=generator, dtype=torch.float64)


def follow(velocity, chunk: Tensor, steps: int) -> Tensor:
    """Follow a velocity as flow.euler does, in double precision."""
    for step in range(steps):
        time = torch.full((len(chunk),), step / steps, dtype=torch.float64)
        chunk = chunk + velocity(chunk, time) / steps
    return chunk
