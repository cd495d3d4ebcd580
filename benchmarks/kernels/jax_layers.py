"""jaxkan, which runs on JAX: the same measures, each one jitted function."""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy

from benchmarks.kernels.cases import FORWARD, LEARNING_RATE, STEP, Call, Contender, LayerCase, only
from benchmarks.kernels.torch_layers import basis_tensors


def limit_threads(threads: int) -> None:
    """Give XLA as many threads as torch has. Only before JAX is imported: XLA reads this once, as its pool's size."""
    os.environ["NPROC"] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


class JaxTrial:
    """jaxkan's SplineLayer, its efficient one, without the separate scale of each spline and without a bias."""

    note = "SplineLayer, jitted"

    def __init__(self, case: LayerCase) -> None:
        self.jax = importlib.import_module("jax")
        self.jax.config.update("jax_enable_x64", case.dtype == "float64")
        nnx = importlib.import_module("flax.nnx")
        layers = importlib.import_module("jaxkan.layers.Spline")
        layer = layers.SplineLayer(
            case.inputs, case.outputs, k=case.degree, G=case.grid, external_weights=False, add_bias=False
        )
        graph, weights, rest = nnx.split(layer, nnx.Param, ...)
        self._apply = lambda w, x: nnx.merge(graph, w, rest)(x)
        self._weights = self.jax.tree.map(lambda leaf: leaf.astype(case.dtype), weights)
        self.parameters = sum(leaf.size for leaf in self.jax.tree.leaves(self._weights))
        generator = numpy.random.default_rng(case.grid)
        self._x = self.jax.numpy.asarray(generator.uniform(-1, 1, (case.batch, case.inputs)), dtype=case.dtype)
        self._g = self.jax.numpy.asarray(generator.standard_normal((case.batch, case.outputs)), dtype=case.dtype)

    def inside(self) -> AbstractContextManager[object]:
        return nullcontext()

    def release(self) -> None:
        """Nothing is kept: each call's results are dropped by its caller."""

    def call(self, measure: str) -> Call:
        if measure == FORWARD:
            forward = self.jax.jit(self._apply)
            return lambda: self.jax.block_until_ready(forward(self._weights, self._x))
        if measure == STEP:
            return self._stepper()
        gradients = self.jax.jit(self._gradients)
        return lambda: self.jax.block_until_ready(gradients(self._weights, self._x, self._g))

    def _gradients(self, weights: Any, x: Any, g: Any) -> Any:
        y, pull = self.jax.vjp(self._apply, weights, x)
        return y, pull(g)

    def _stepper(self) -> Call:
        optax = importlib.import_module("optax")
        optimizer = optax.adamw(LEARNING_RATE)

        def step(weights: Any, state: Any, x: Any, g: Any) -> Any:
            y, (to_weights, to_x) = self._gradients(weights, x, g)
            updates, state = optimizer.update(to_weights, state, weights)
            return optax.apply_updates(weights, updates), state, y, to_x

        # Donated, so that weights and moments are changed in place as torch does it.
        fast = self.jax.jit(step, donate_argnums=(0, 1))
        state = optimizer.init(self._weights)

        def call() -> object:
            nonlocal state
            self._weights, state, *rest = self.jax.block_until_ready(fast(self._weights, state, self._x, self._g))
            return rest

        return call


def contender() -> Contender:
    return Contender("jaxkan", "peer", only(JaxTrial), basis_tensors(8))
