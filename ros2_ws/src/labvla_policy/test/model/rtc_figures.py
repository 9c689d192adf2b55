"""Prints what guidance does on a flow whose answers are known (docs/model-runtime.md)."""

from __future__ import annotations

import torch
from gaussian_flow import GaussianFlow, follow, noise_for

from labvla_policy.model.rtc import Continuation, Guided

ROWS, COLUMNS, FROZEN, KNOWN, STEPS, SAMPLES = 50, 8, 8, 25, 10, 200


class Fixed:
    """The usual way, for comparison: the gradient with a weight that takes the data for standard
    normal, and a bound on the weight."""

    def __init__(self, velocity, continuation, strongest):
        self.velocity, self.continuation, self.strongest = velocity, continuation, strongest

    def __call__(self, chunk, time):
        plain = self.velocity(chunk, time)
        t = float(time[0])
        if t == 0:
            return plain
        chunk = chunk.detach().requires_grad_()
        estimate = chunk + (1 - t) * self.velocity(chunk, time)
        missing = self.continuation.weight * (self.continuation.target - estimate.detach())
        (pull,) = torch.autograd.grad(estimate, chunk, missing)
        return plain + min(self.strongest, (t * t + (1 - t) ** 2) / (t * (1 - t))) * pull


def ways(flow, continuation):
    yield "not guided", flow.velocity
    for strongest in (5.0, 1e12):
        name = f"fixed weight, at most {strongest:g}" if strongest < 1e6 else "fixed weight"
        yield name, Fixed(flow.velocity, continuation, strongest)
    for products in (1, 2, 3):
        yield (
            f"ours, {products} product{'s' * (products > 1)}",
            Guided(flow.velocity, continuation, 1 / STEPS, products),
        )


def figures(flow, apart):
    """One line for each way: how chunks continue plans that are `apart` from the data."""
    plans = flow.draw(SAMPLES, seed=1) + apart
    noise = noise_for(flow, SAMPLES, seed=2)
    shape = Continuation.of(plans[0, :KNOWN], FROZEN, ROWS, COLUMNS)
    continuation = Continuation(plans, shape.weight.double(), shape.frozen)  # each its own
    for name, velocity in ways(flow, continuation):
        chunks = follow(velocity, noise, STEPS)
        yield (
            name,
            (
                rms(chunks[:, :FROZEN] - plans[:, :FROZEN]),
                rms(chunks[:, FROZEN] - plans[:, FROZEN - 1]),
                rms(chunks[:, FROZEN + 1 :] - chunks[:, FROZEN:-1]),
                float(chunks.abs().max()),
            ),
        )


def rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def main() -> None:
    print("| data | way | frozen rows | seam | row to row | largest |\n|---|---|---|---|---|---|")
    smooth = GaussianFlow.smooth(ROWS, COLUMNS, 20.0, across=0.9)
    for name, flow, apart in (
        ("short memory", GaussianFlow.smooth(ROWS, COLUMNS, 5.0), 0.0),
        ("smooth, columns agree", smooth, 0.0),
        ("the same, plan 3 sigma off", smooth, 3.0),
    ):
        data = flow.draw(SAMPLES, seed=3)
        step, largest = rms(data.diff(dim=1)), float(data.abs().max())
        print(f"| {name} | the data themselves | | {step:.3f} | {step:.3f} | {largest:.1f} |")
        for way, (frozen, seam, rows, most) in figures(flow, apart):
            print(f"| | {way} | {frozen:.3f} | {seam:.3f} | {rows:.3f} | {most:.1f} |")


if __name__ == "__main__":
    main()
