"""Flow matching: t = 0 is noise, t = 1 is data; what is learnt is the velocity between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class FlowDraw:
    """What chance adds to a training sample."""

    noise: Tensor  # batch x rows x columns, fp32
    time: Tensor  # batch, or batch x rows where leading rows are given; fp32


@dataclass(frozen=True)
class TimeSampling:
    """Which times training looks at. More of them are near the noise.

    The released configuration names its parameters in the other order than the distribution takes
    them: time = scale * Beta(beta_beta, beta_alpha) + offset.
    """

    beta_alpha: float = 1.5
    beta_beta: float = 1.0
    scale: float = 0.999
    offset: float = 0.0

    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Draw times."""
        # The distribution takes no generator: it gets a seed from ours.
        seed = int(torch.randint(2**62, (), generator=_on_cpu(generator)))
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            share = torch.distributions.Beta(self.beta_beta, self.beta_alpha).sample((count,))
        return (self.scale * share + self.offset).to(device)


def draw(
    actions: Tensor,
    sampling: TimeSampling,
    generator: torch.Generator | None = None,
    draws: int = 1,
) -> FlowDraw:
    """Draw noise and times for a batch of actions, `draws` of them for each."""
    count = draws * len(actions)
    noise = draw_noise((count, *actions.shape[1:]), actions.device, generator)
    return FlowDraw(noise, sampling.draw(count, generator, actions.device))


def with_given_rows(
    drawn: FlowDraw, most: int, generator: torch.Generator | None = None
) -> FlowDraw:
    """Give 0 to `most` leading rows as they are, as what is executed meanwhile will be given."""
    chunks, rows = drawn.noise.shape[:2]
    count = torch.randint(most + 1, (chunks, 1), generator=_on_cpu(generator))
    given = (torch.arange(rows) < count).to(drawn.time.device)
    return FlowDraw(drawn.noise, torch.where(given, 1.0, drawn.time[:, None]))


def draw_noise(
    shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    """Draw on the CPU, so that one seed gives one result on every device."""
    noise = torch.randn(shape, dtype=torch.float32, device="cpu", generator=_on_cpu(generator))
    return noise.to(device)


def _on_cpu(generator: torch.Generator | None) -> torch.Generator | None:
    if generator is not None and generator.device.type != "cpu":
        raise ValueError(f"expected a generator on the CPU, got one on {generator.device}")
    return generator


def interpolate(actions: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return what lies between noise and data at this time, or at each row's."""
    time = time[..., None] if time.ndim == 2 else time[:, None, None]
    return time * actions + (1 - time) * noise


def target_velocity(actions: Tensor, noise: Tensor) -> Tensor:
    """Return the velocity that leads from noise to data."""
    return actions - noise


def flow_loss(predicted: Tensor, target: Tensor, is_pad: Tensor, column_weights: Tensor) -> Tensor:
    """Mean squared error over the real columns of the real rows, in fp32.

    `column_weights` has as many entries as there are real columns; they weigh the squares, not
    the mean. Without a real row the loss is zero, and still has a gradient.
    """
    return _mean((predicted.float() - target.float()).square(), is_pad, column_weights)


def l1_loss(predicted: Tensor, target: Tensor, is_pad: Tensor, column_weights: Tensor) -> Tensor:
    """Mean absolute error, over the same numbers and weighed in the same way."""
    return _mean((predicted.float() - target.float()).abs(), is_pad, column_weights)


def _mean(errors: Tensor, is_pad: Tensor, column_weights: Tensor) -> Tensor:
    columns = len(column_weights)
    weighed = errors[..., :columns] * column_weights
    rows = (~is_pad).to(weighed.dtype)
    return (weighed * rows[..., None]).sum() / (rows.sum() * columns).clamp(min=1)


def euler(velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
    """Follow the velocity from noise to data in equal steps, in fp32, without clipping."""
    chunk = noise.float()
    for step in range(steps):
        time = torch.full((len(chunk),), step / steps, device=chunk.device)
        chunk = chunk + velocity(chunk, time) / steps
    return chunk
