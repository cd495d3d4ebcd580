"""Contenders that run on torch: superpose itself, two MLPs, and the libraries among its peers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.kernels.cases import FORWARD, GRADIENTS, LEARNING_RATE, STEP, Call, Contender, LayerCase, only

Inside = Callable[[], AbstractContextManager[object]]


class TorchTrial:
    """A torch module with its batch, and a fixed random gradient at its output, so that the loss costs nothing."""

    def __init__(self, module: nn.Module, case: LayerCase, *, note: str = "", inside: Inside = nullcontext) -> None:
        dtype = getattr(torch, case.dtype)
        generator = torch.Generator().manual_seed(case.grid)
        self.module = module.to(dtype)
        # One copy, made in place: what lies beside a layer counts as its memory.
        points = torch.rand(case.batch, case.inputs, generator=generator, dtype=dtype)
        self.x = points.mul_(2).sub_(1).requires_grad_()
        self.g = torch.randn(case.batch, case.outputs, generator=generator, dtype=dtype)
        self.trained = [p for p in module.parameters() if p.requires_grad]
        self.parameters = sum(p.numel() for p in self.trained)
        self.note, self.inside = note, inside
        self._optimizer: torch.optim.Optimizer | None = None

    def call(self, measure: str) -> Call:
        return {FORWARD: self._forward, GRADIENTS: self._gradients, STEP: self._step}[measure]

    def release(self) -> None:
        for leaf in (*self.trained, self.x):
            leaf.grad = None

    def _forward(self) -> Tensor:
        with torch.no_grad():
            y: Tensor = self.module(self.x)
        return y

    def _gradients(self) -> None:
        self.release()
        self.module(self.x).backward(self.g)

    def _step(self) -> None:
        if self._optimizer is None:
            self._optimizer = torch.optim.AdamW(self.trained, lr=LEARNING_RATE, fused=True)
        self._optimizer.zero_grad(set_to_none=True)
        self.x.grad = None
        self.module(self.x).backward(self.g)
        self._optimizer.step()


# superpose --------------------------------------------------------------------------------------------------------


def backend_module() -> ModuleType | None:
    """``superpose.spline.backend``, or None in a superpose that has only the reference path."""
    found = importlib.util.find_spec("superpose.spline.backend")
    return importlib.import_module("superpose.spline.backend") if found else None


@contextmanager
def on_reference() -> Iterator[None]:
    """superpose's plain torch path."""
    backend = backend_module()
    with nullcontext() if backend is None else backend.use("reference"):
        yield


def superpose_layer(case: LayerCase, inside: Inside = nullcontext) -> TorchTrial:
    superpose = importlib.import_module("superpose")
    layer = superpose.KANLayer(
        case.inputs, case.outputs, grid_size=case.grid, degree=case.degree, dtype=getattr(torch, case.dtype)
    )
    return TorchTrial(layer, case, inside=inside)


def superpose_reference(case: LayerCase) -> TorchTrial:
    return superpose_layer(case, on_reference)


# MLPs -------------------------------------------------------------------------------------------------------------


def mlp_same_width(case: LayerCase) -> TorchTrial:
    return TorchTrial(nn.Linear(case.inputs, case.outputs), case, note="Linear")


def hidden_width(parameters: int, inputs: int, outputs: int) -> int:
    """Hidden nodes of the MLP [inputs, h, outputs], biases included, whose count comes closest to ``parameters``."""
    return max(1, round((parameters - outputs) / (inputs + outputs + 1)))


def mlp_same_parameters(case: LayerCase) -> TorchTrial:
    hidden = hidden_width(case.parameters, case.inputs, case.outputs)
    module = nn.Sequential(nn.Linear(case.inputs, hidden), nn.SiLU(), nn.Linear(hidden, case.outputs))
    return TorchTrial(module, case, note=f"Linear, SiLU, Linear; {hidden} hidden")


def mlp_transient(case: LayerCase) -> float:
    return 4.0 * case.batch * hidden_width(case.parameters, case.inputs, case.outputs)


# Peers ------------------------------------------------------------------------------------------------------------


def inkan_layers(case: LayerCase) -> list[Callable[[], TorchTrial]]:
    """inkan offers two ways to the basis values and two to the sum.

    Its direct contraction gathers [batch, in, 4, out] numbers and is meant for few outputs.
    """
    options: dict[str, dict[str, Any]] = {
        "local basis, compiled": {},
        "dense basis, compiled": {"basis_mode": "dense"},
        "local basis, eager": {"compile_basis": False},
    }
    if case.outputs <= 64:
        options["direct contraction"] = {"contraction": "direct"}

    def build(note: str) -> TorchTrial:
        inkan = importlib.import_module("inkan")
        layer = inkan.KANLayer(case.inputs, case.outputs, grid_size=case.grid, **options[note])
        return TorchTrial(layer, case, note=note)

    return [partial(build, note) for note in options]


def flashkan_layer(case: LayerCase) -> TorchTrial:
    """flashkan has one way, compiled."""
    flashkan = importlib.import_module("flashkan")
    return TorchTrial(flashkan.KANLayer(case.inputs, case.outputs, grid_size=case.grid), case, note="compiled")


def random_coefficients(x: Tensor, y: Tensor, *form: Any) -> Tensor:
    """Stands in for pykan's fit of its random start, a least-squares problem for every edge that is not timed."""
    grid, degree = form
    return 0.1 * torch.randn(x.shape[1], y.shape[2], grid.shape[1] - degree - 1)


def pykan_model(widths: list[int], grid: int, degree: int, dtype: str) -> nn.Module:
    """pykan's KAN in its fastest mode: ``speed()`` leaves out symbolic edges, stored activations, checkpoints."""
    kan, layer = importlib.import_module("kan"), importlib.import_module("kan.KANLayer")
    fit, layer.curve2coef = layer.curve2coef, random_coefficients  # type: ignore[attr-defined]
    try:
        model = kan.KAN(width=list(widths), grid=grid, k=degree, auto_save=False, save_act=False, seed=0)
    finally:
        layer.curve2coef = fit  # type: ignore[attr-defined]
    fast: nn.Module = model.speed()
    return fast.to(getattr(torch, dtype)) if dtype == "float32" else fast.double()


def pykan_layer(case: LayerCase) -> TorchTrial:
    model = pykan_model([case.inputs, case.outputs], case.grid, case.degree, case.dtype)
    return TorchTrial(model, case, note="KAN([in, out]) after speed()")


def from_folder(name: str, file: Path) -> ModuleType:
    """A module of a repository that is not on PyPI, by its file."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python module")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


# Where the layers stand in the folders that options name.
EFFICIENT_KAN, FAST_KAN = Path("src/efficient_kan/kan.py"), Path("fastkan/fastkan.py")


def efficient_kan_layer(folder: Path) -> Callable[[LayerCase], TorchTrial]:
    """efficient-kan without its separate scale of each spline, which costs one more product."""

    def build(case: LayerCase) -> TorchTrial:
        module = from_folder("efficient_kan_layer", folder / EFFICIENT_KAN)

        class Layer(module.KANLinear):  # type: ignore[name-defined, misc]
            def curve2coeff(self, x: Tensor, y: Tensor) -> Tensor:
                return 0.1 * torch.randn(y.shape[2], y.shape[1], self.grid_size + self.spline_order)

        options = {"grid_size": case.grid, "spline_order": case.degree, "enable_standalone_scale_spline": False}
        return TorchTrial(Layer(case.inputs, case.outputs, **options), case, note="no standalone spline scale")

    return build


def fast_kan_layer(folder: Path) -> Callable[[LayerCase], TorchTrial]:
    """FastKAN without its layer norm, with as many Gaussians as there are B-splines. Its basis is dense by nature."""

    def build(case: LayerCase) -> TorchTrial:
        module = from_folder("fast_kan_layer", folder / FAST_KAN)
        count = case.grid + case.degree
        layer = module.FastKANLayer(case.inputs, case.outputs, -1.0, 1.0, num_grids=count, use_layernorm=False)
        return TorchTrial(layer, case, note="Gaussians, no layer norm")

    return build


def cubic_only(case: LayerCase) -> str | None:
    return None if case.degree == 3 else "has cubic splines only"


def basis_tensors(count: float, edges: float = 0) -> Callable[[LayerCase], float]:
    """Numbers held at the peak: ``count`` tensors [batch, in, rows] and ``edges`` tensors [batch, in, out]."""
    return lambda case: case.batch * case.inputs * (count * case.rows + edges * case.outputs)


def nothing(case: LayerCase) -> float:
    return 0.0


def contenders(efficient_kan: Path | None, fast_kan: Path | None) -> list[Contender]:
    """All of them, in the order in which memory is given out."""
    found = [
        Contender("superpose", "superpose", only(superpose_layer), nothing, grows=False),
        Contender("superpose reference", "superpose", only(superpose_reference), nothing),
        Contender("mlp same width", "mlp", only(mlp_same_width), nothing, grows=False),
        Contender("mlp same parameters", "mlp", only(mlp_same_parameters), mlp_transient),
        Contender("inkan", "peer", inkan_layers, basis_tensors(6), cubic_only),
        Contender("flashkan", "peer", only(flashkan_layer), basis_tensors(6), cubic_only),
    ]
    if fast_kan is not None:
        found.append(Contender("FastKAN", "peer", only(fast_kan_layer(fast_kan)), basis_tensors(6)))
    if efficient_kan is not None:
        found.append(Contender("efficient-kan", "peer", only(efficient_kan_layer(efficient_kan)), basis_tensors(25)))
    found.append(Contender("pykan", "slow peer", only(pykan_layer), basis_tensors(30, 12)))
    return found
