"""Real-time chunking: a chunk that continues the motion which is executed while it is computed.

Two ways. `Guided` pulls a network that was never trained for it, with vector-Jacobian products of
its estimate of the data; docs/model-runtime.md derives it. `Conditioned` is for a network that was
trained with clean leading rows: it is simply given them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from labvla_policy.model.flow import Velocity

# One says how far to go towards what has to be continued; with the second, rows that ask for
# different things no longer hinder each other. More gain little, and lose where a network's
# Jacobian is not as symmetric as a true one.
PRODUCTS = 2
# Bounds of the pull in one step, for what no data look like. It is never so many times the plain
# gradient: with ten steps and standard normal data 9.1 times is right at both ends of the flow.
STRONGEST = 10.0
# And the estimate is corrected at most by what it lacks, and a quarter: towards the end the chunk
# itself moves less than its estimate does. From twice on, steps would lead away.
ENOUGH = 1.25
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Continuation:
    """What a chunk has to continue, in the network's own numbers. Shapes are those of a chunk."""

    target: Tensor  # rows x columns; zero where nothing is known
    weight: Tensor  # rows x columns, 0 to 1: how much a number matters
    frozen: Tensor  # rows x 1, bool: executed before the chunk can take over

    @classmethod
    def nothing(cls, rows: int, columns: int, device: torch.device) -> Continuation:
        """Return the continuation of nothing: buffers of the right shapes."""
        zeros = torch.zeros(rows, columns, device=device)
        return cls(zeros, zeros.clone(), torch.zeros(rows, 1, dtype=torch.bool, device=device))

    @classmethod
    def of(cls, target: Tensor, frozen: int, rows: int, columns: int) -> Continuation:
        """Continue the leading rows and columns of a chunk, of which `frozen` rows are fixed."""
        known, width = target.shape
        if known > rows or width > columns or frozen > known:
            raise ValueError(
                f"expected at most {rows} rows x {columns} columns and no more frozen than known "
                f"rows, got {known} x {width} with {frozen} frozen"
            )
        made = cls.nothing(rows, columns, target.device)
        made.target[:known, :width] = target
        made.weight[:, :width] = row_weights(rows, known, frozen).to(target.device)[:, None]
        made.frozen[:frozen] = True
        return made

    def distance(self, chunks: Tensor) -> Tensor:
        """Return how far each chunk (batch x rows x columns) is from what it has to continue."""
        return (self.weight * (self.target - chunks).square()).sum(dim=(-2, -1))


def row_weights(rows: int, known: int, frozen: int) -> Tensor:
    """Return 1 for frozen rows, then what falls exponentially to 0 at the end of the known ones."""
    weights = torch.zeros(rows)
    weights[:frozen] = 1.0
    soft = torch.arange(frozen, known)
    left = (known - soft) / (known - frozen + 1)
    weights[frozen:known] = left * torch.expm1(left) / (math.e - 1)
    return weights


@dataclass(frozen=True, eq=False)
class Guided:
    """A velocity that leads to chunks which continue something."""

    velocity: Velocity
    continuation: Continuation
    step: float  # of the Euler method that follows the velocity
    products: int = PRODUCTS

    def __call__(self, chunk: Tensor, time: Tensor) -> Tensor:
        """Return the guided velocity; it differs from the plain one after time 0 only.

        At 0 the chunk is noise alone, and no change of it can change the estimate.
        """
        with torch.enable_grad():
            chunk = chunk.detach().requires_grad_()
            velocity = self.velocity(chunk, time)
            estimate = chunk + (1 - time)[:, None, None] * velocity

        def product(vector: Tensor) -> Tensor:
            (pulled,) = torch.autograd.grad(estimate, chunk, vector, retain_graph=True)
            return pulled

        pull = self._pull(product, self.continuation.target - estimate.detach(), time)
        return velocity.detach() + pull

    def _pull(self, product: Callable[[Tensor], Tensor], missing: Tensor, time: Tensor) -> Tensor:
        """Return what to add to the velocity, by a few steps of conjugate gradients.

        The system is that of a normal posterior whose covariance is the estimate's own Jacobian,
        times (1 - t)^2 / t. A weight below 1 is an uncertainty of what is to be continued.
        """
        weight, time = self.continuation.weight, time[:, None, None]
        root, rest = weight.sqrt(), 1 - time
        doubt = (1 - weight) * time / (time.square() + rest.square())
        residual = root * missing
        lacking = _total(residual.square())
        direction, error = residual, lacking
        gradient = pull = torch.zeros_like(missing)
        for number in range(self.products):
            pulled = product(root * direction)
            gradient = pulled if number == 0 else gradient
            image = root * pulled + doubt * direction
            length = _quotient(error, _total(direction * image))
            pull = pull + length * pulled
            residual = residual - length * image
            before, error = error, _total(residual.square())
            direction = residual + _quotient(error, before) * direction
        pull = pull / rest.clamp(min=_TINY)
        correction = _total(gradient * pull)  # of half the squared lack, per unit of time
        bounded = torch.minimum(
            STRONGEST * _quotient(_total(gradient.square()), _total(pull.square())).sqrt(),
            ENOUGH / self.step * _quotient(lacking, correction),
        )
        return torch.where(time > 0, pull * bounded.clamp(max=1.0), torch.zeros_like(pull))


def _total(chunk: Tensor) -> Tensor:
    return chunk.sum(dim=(-2, -1), keepdim=True)


def _quotient(upper: Tensor, lower: Tensor) -> Tensor:
    """Divide; 0 where the lower one is not positive, as it never is for a true flow."""
    return torch.where(lower > _TINY, upper / lower.clamp(min=_TINY), torch.zeros_like(lower))


@dataclass(frozen=True, eq=False)
class Conditioned:
    """A velocity of a network that knows leading rows which are data already.

    The network gets a time for every row: 1 for the frozen ones, whose values are exact.
    """

    velocity: Velocity  # takes times of batch x rows
    continuation: Continuation
    step: float

    def __call__(self, chunk: Tensor, time: Tensor) -> Tensor:
        """Return a velocity that leaves frozen rows at their target, wherever they were before."""
        frozen, target = self.continuation.frozen, self.continuation.target
        given = torch.where(frozen, target, chunk)
        times = torch.where(frozen[:, 0], torch.ones_like(time)[:, None], time[:, None])
        return torch.where(frozen, (target - chunk) / self.step, self.velocity(given, times))
