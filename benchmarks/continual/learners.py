"""What learns the phases: networks with and without a memory, and a perceptron."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from superpose.data import Affine, Dataset
from superpose.nn import KAN
from superpose.train import Memory, fit, remember

# Steps and learning rate of Adam in the perceptron.
_MLP_STEPS, _MLP_RATE = 1000, 1e-2


class Learner:
    """A function that learns one phase after another."""

    parameters: int

    def learn(self, x: Tensor, y: Tensor, time_limit: float) -> None:
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class _Network(Learner):
    """A KAN whose grids stand still; ``strength`` is that of its memory, without one if None."""

    def __init__(
        self,
        widths: Sequence[int],
        grid_size: int,
        seed: int,
        *,
        base: str = "none",
        strength: float | None = None,
        rehearse: bool = False,
        **options: Any,
    ) -> None:
        self.model = KAN(widths, grid_size=grid_size, base=base, seed=seed)
        # The data are in [-1, 1] already. Without this the first phase would fix the scaling to its own box.
        zeros, ones = (torch.full((widths[0],), value, dtype=torch.float64) for value in (0.0, 1.0))
        self.model.set_scaling(Affine(zeros, ones), Affine(zeros[:1], ones[:1]))
        self.parameters = self.model.parameter_count()
        self.strength, self.rehearse, self.options = strength, rehearse, options
        self.memory: Memory | None = None
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.phases = 0

    def learn(self, x: Tensor, y: Tensor, time_limit: float) -> None:
        options: dict[str, Any] = {"time_limit": time_limit, "progress": False} | self.options
        if self.rehearse:
            self.seen.append((x, y))
            x, y = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        data = Dataset.from_arrays(x, y, validation=0.0, test=0.0)
        self.phases += 1
        if self.memory is None:
            # Hidden grids follow the first activations; later they stand still, unless all points are still there.
            adapt = self.phases == 1 or self.rehearse
            options |= {"grids": (self.model.layer(0).grid_size,), "starts": 1, "adapt": adapt}
        else:
            options |= {"memory": self.memory, "adapt": False}
        history = fit(self.model, data, **options)
        # After Ctrl-C fit returns its best state; a benchmark keeps only whole runs.
        if history.interrupted:
            raise KeyboardInterrupt
        if self.strength is not None:
            self.memory = remember(self.model, data, self.memory, strength=self.strength)

    def __call__(self, x: Tensor) -> Tensor:
        predicted: Tensor = self.model(x)
        return predicted


class _Perceptron(Learner):
    """The MLP beside it: three hidden layers of tanh, trained by Adam on all points of a phase at once."""

    def __init__(self, dims: int, parameters: int, seed: int) -> None:
        width = min(range(2, 64), key=lambda w: abs(_perceptron_size(dims, w) - parameters))
        generator = torch.Generator().manual_seed(seed)
        widths = (dims, width, width, width, 1)
        self.tensors: list[Tensor] = []
        for before, after in itertools.pairwise(widths):
            for shape in ((after, before), (after,)):
                # As torch.nn.Linear starts, from a generator of its own.
                drawn = (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1) / math.sqrt(before)
                self.tensors.append(drawn.requires_grad_())
        self.parameters = sum(tensor.numel() for tensor in self.tensors)

    def learn(self, x: Tensor, y: Tensor, time_limit: float) -> None:
        optimizer = torch.optim.Adam(self.tensors, lr=_MLP_RATE)
        until = time.monotonic() + time_limit
        with torch.enable_grad():
            for _ in range(_MLP_STEPS):
                if time.monotonic() > until:
                    break
                optimizer.zero_grad()
                (self(x) - y).square().mean().backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    def __call__(self, x: Tensor) -> Tensor:
        for weight, bias in zip(self.tensors[:-2:2], self.tensors[1:-2:2], strict=True):
            x = torch.tanh(torch.nn.functional.linear(x, weight, bias))
        return torch.nn.functional.linear(x, self.tensors[-2], self.tensors[-1])


def _perceptron_size(dims: int, width: int) -> int:
    return (dims + 1) * width + 2 * (width + 1) * width + width + 1


def _on_a_line(**options: Any) -> Callable[[int], Learner]:
    return lambda seed: _Network([1, 1], 200, seed, **options)


def _on_a_plane(nodes: int, **options: Any) -> Callable[[int], Learner]:
    return lambda seed: _Network([2, nodes, 1], 10, seed, base="silu", **options)


STRONG = "KAN [2,{},1] with memory of strength 10,000"
# By dimension and name.
LEARNERS: dict[int, dict[str, Callable[[int], Learner]]] = {
    1: {
        "KAN": _on_a_line(),
        "KAN with memory": _on_a_line(strength=1.0),
        "KAN, base SiLU": _on_a_line(base="silu"),
        "KAN, base SiLU, with memory": _on_a_line(base="silu", strength=1.0),
        "MLP": lambda seed: _Perceptron(1, 203, seed),
    },
    2: {
        name: make
        for nodes, size in ((5, 210), (10, 420))
        for name, make in (
            (f"KAN [2,{nodes},1]", _on_a_plane(nodes)),
            (f"KAN [2,{nodes},1] with memory", _on_a_plane(nodes, strength=1.0)),
            (STRONG.format(nodes), _on_a_plane(nodes, strength=1e4)),
            (f"KAN [2,{nodes},1], earlier points kept", _on_a_plane(nodes, rehearse=True)),
            (f"MLP beside [2,{nodes},1]", lambda seed, size=size: _Perceptron(2, size, seed)),
        )
    },
}
