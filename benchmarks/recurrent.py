"""Measures small calls: a recurrent cell with a KANLayer beside the same cell with an MLP, and a call beside nn.Linear.

    python -m benchmarks recurrent                  hidden sizes 32 and 64
    python -m benchmarks recurrent --rounds 5       less time, less certain

The cell is a GRU whose candidate is computed by a KANLayer, by an MLP of as many parameters with one hidden layer, or
by an nn.Linear, which has a ninth of the parameters. A sequence has 50 steps, a batch 64 sequences of 8 columns. One
round runs each once, forward and backward, in turn and in one process on one thread; the medians over the rounds are
compared, since a busy machine slows all three down. The calls are of one sample and of 64.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from superpose import KANLayer

BATCH, STEPS, COLUMNS = 64, 50, 8


class Recurrent(nn.Module):
    """A GRU with any module from ``COLUMNS + hidden`` to ``hidden`` as its candidate."""

    def __init__(self, candidate: nn.Module, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(COLUMNS + hidden, 2 * hidden)
        self.candidate = candidate
        self.hidden = hidden

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, COLUMNS] -> [B, hidden]``."""
        h = x.new_zeros(len(x), self.hidden)
        for now in x.unbind(1):
            update, reset = torch.sigmoid(self.gates(torch.cat([now, h], 1))).chunk(2, 1)
            h = torch.lerp(h, torch.tanh(self.candidate(torch.cat([now, reset * h], 1))), update)
        return h


def size(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def candidates(hidden: int) -> dict[str, nn.Module]:
    """The modules that are compared, by their names."""
    inputs = COLUMNS + hidden
    layer = KANLayer(inputs, hidden)
    width = round((size(layer) - hidden) / (inputs + hidden + 1))
    mlp = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, hidden))
    return {"KANLayer": layer, "MLP": mlp, "Linear": nn.Linear(inputs, hidden)}


def _step(model: nn.Module, x: Tensor) -> None:
    model(x).square().mean().backward()


def medians(calls: Mapping[str, Callable[[], object]], rounds: int, times: int = 1) -> dict[str, float]:
    """Median seconds of each call, all in turn in every round."""
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(times):
                call()
            found[name].append((time.perf_counter() - began) / times)
    return {name: statistics.median(values) for name, values in found.items()}


def main(arguments: Sequence[str]) -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recurrent", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="of each measurement (25 if left out)")
    rounds = parser.parse_args(arguments).rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for hidden in (32, 64):
        parts = candidates(hidden)
        x = torch.randn(BATCH, STEPS, COLUMNS)
        models = {name: Recurrent(part, hidden) for name, part in parts.items()}
        steps = {name: functools.partial(_step, model, x) for name, model in models.items()}
        found = medians(steps, rounds)
        print(f"hidden {hidden}, parameters {', '.join(f'{name} {size(part)}' for name, part in parts.items())}")
        listed = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in found.items())
        print(f"  forward and backward: {listed}; KANLayer / MLP {found['KANLayer'] / found['MLP']:.2f}")
    for batch, inputs, outputs in ((1, 4, 4), (BATCH, COLUMNS + 32, 32)):
        x = torch.randn(batch, inputs)
        layers = {"KANLayer": KANLayer(inputs, outputs), "Linear": nn.Linear(inputs, outputs)}
        calls = {name: functools.partial(layer, x) for name, layer in layers.items()}
        found = medians(calls, rounds, times=300)
        listed = ", ".join(f"{name} {1e6 * seconds:.1f} µs" for name, seconds in found.items())
        print(f"a call of [{batch}, {inputs}] to [{batch}, {outputs}]: {listed}")
    return 0
