"""The tiny network [2, 5, 1] on 1,000 samples: how much a call costs when there is little to compute."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.kernels.layers import ratios
from benchmarks.kernels.rounds import Timed, record, run_rounds
from benchmarks.kernels.torch_layers import on_reference, pykan_model

WIDTHS, SAMPLES, GRID, DEGREE = (2, 5, 1), 1000, 5, 3
Inside = Callable[[], AbstractContextManager[object]]


def trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in trained(module))


def superpose_network(dtype: torch.dtype) -> nn.Module:
    superpose = importlib.import_module("superpose")
    model: nn.Module = superpose.KAN(list(WIDTHS), grid_size=GRID, degree=DEGREE, dtype=dtype)
    return model


def mlp(dtype: torch.dtype, parameters: int) -> nn.Module:
    """[2, h, 1] with no fewer parameters than asked for by more than half a hidden node."""
    hidden = round((parameters - 1) / 4)
    return nn.Sequential(nn.Linear(2, hidden), nn.SiLU(), nn.Linear(hidden, 1)).to(dtype)


def training_call(module: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    """Forward, mean squared error, backward to the parameters."""
    parameters = trained(module)

    def call() -> None:
        for parameter in parameters:
            parameter.grad = None
        loss: Tensor = nn.functional.mse_loss(module(x), y)
        torch.autograd.backward(loss)

    return call


def networks(dtype: torch.dtype) -> dict[str, tuple[nn.Module, str, Inside]]:
    """Each network, a word about it, and what is entered around its calls."""
    kan = superpose_network(dtype)
    name = str(dtype).removeprefix("torch.")
    same = mlp(dtype, count(kan))
    return {
        "superpose": (kan, "KAN", nullcontext),
        "superpose reference": (superpose_network(dtype), "KAN", on_reference),
        "mlp same parameters": (same, f"[2, {same[0].out_features}, 1], SiLU", nullcontext),  # type: ignore[index]
        "pykan": (pykan_model(list(WIDTHS), GRID, DEGREE, name), "KAN after speed()", nullcontext),
    }


def measure_tiny(dtype: str, rounds: int, wanted: list[str]) -> dict[str, Any]:
    """One data type; those networks whose names are wanted."""
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(SAMPLES, WIDTHS[0], generator=generator, dtype=kind) - 1
    y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)
    chosen = {name: made for name, made in networks(kind).items() if name in wanted}
    timed = {}
    for name, (module, _, inside) in chosen.items():
        timed[name] = Timed(training_call(module, x, y), inside, lambda: None)
        timed[name].prepare()
    run_rounds(timed, rounds)
    return {
        "widths": list(WIDTHS),
        "samples": SAMPLES,
        "grid": GRID,
        "degree": DEGREE,
        "dtype": dtype,
        "contenders": {name: record(one, count(chosen[name][0]), chosen[name][1]) for name, one in timed.items()},
        "ratios": ratios(timed),
    }
