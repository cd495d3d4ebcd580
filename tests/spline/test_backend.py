"""The choice between compiled kernels and plain torch, and what may reach the kernels."""

from __future__ import annotations

import json
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest
import torch
from spline_cases import make_knots, uniform_random
from torch import Tensor

import superpose
from helpers import is_one_sentence, run_python
from superpose.errors import BackendWarning, OptionError
from superpose.spline import backend, reference

INPUTS, OUTPUTS, GRID, BATCH = 3, 2, 4, 6
OFFERED = ["avx2", "baseline"]


class FakeKernels:
    """The compiled kernels' interface on the reference: it gets numbers, and finds the tensors behind the addresses."""

    tensors: dict[int, Tensor]  # by address
    calls: list[tuple[str, tuple[int, ...]]]

    def __init__(self, name: str) -> None:
        self.name = name

    def at(self, address: int, *shape: int) -> Tensor | None:
        if address == 0:
            # Empty tensors have no address either.
            return torch.empty(shape, dtype=torch.float64) if 0 in shape else None
        tensor = self.tensors[address]
        assert tensor.is_contiguous() and tensor.shape == shape
        return tensor

    def edge_sum(self, kind, v, c, x, knots, out, batch, inputs, outputs, intervals, degree, base, order, threads):
        self.calls.append(("edge_sum", (kind, degree, base, order, threads)))
        base_name = ("none", "silu", "identity")[base]
        result = reference.edge_sum(
            self.at(v, batch, inputs),
            self.at(c, inputs, intervals + degree + (base > 0), outputs),
            self.at(x, batch, inputs),
            self.at(knots, inputs, intervals + 2 * degree + 1),
            degree,
            base_name,
            order,
        )
        self.at(out, batch, outputs).copy_(result)

    def vjp(self, kind, v, g, c, x, knots, grad_v, grad_x, grad_coefficients, batch, inputs, outputs, intervals,
            degree, base, order, threads):  # fmt: skip
        self.calls.append(("vjp", (kind, degree, base, order, threads)))
        rows = intervals + degree + (base > 0)
        made = backend._reference_vjp(
            self.at(v, batch, inputs),
            self.at(g, batch, outputs),
            self.at(c, inputs, rows, outputs),
            self.at(x, batch, inputs),
            self.at(knots, inputs, intervals + 2 * degree + 1),
            (degree, ("none", "silu", "identity")[base], order),
            (grad_v != 0, grad_x != 0, grad_coefficients != 0),
        )
        shapes = ((batch, inputs), (batch, inputs), (inputs, rows, outputs))
        for address, shape, result in zip((grad_v, grad_x, grad_coefficients), shapes, made, strict=True):
            if result is not None:
                self.at(address, *shape).copy_(result)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeKernels]]:
    """A native module that offers two instruction sets, in use; it knows every tensor whose address was asked for."""

    class Kernels(FakeKernels):
        tensors: dict[int, Tensor] = {}  # noqa: RUF012
        calls: list[tuple[str, tuple[int, ...]]] = []  # noqa: RUF012

    def address(tensor: Tensor) -> int:
        found = torch._C.TensorBase.data_ptr(tensor)
        Kernels.tensors[found] = tensor
        return found

    module = types.ModuleType(backend._MODULE)
    module.instruction_sets = lambda: list(OFFERED)
    module.Kernels = Kernels
    monkeypatch.setitem(sys.modules, backend._MODULE, module)
    monkeypatch.setattr(Tensor, "data_ptr", address)
    with backend.use("native"):
        yield Kernels


@pytest.fixture
def unbuilt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No native module, no wish in the environment, and nothing chosen yet."""
    monkeypatch.setitem(sys.modules, backend._MODULE, None)
    monkeypatch.delenv(backend.VARIABLE, raising=False)
    backend._chosen_by_environment.cache_clear()
    backend._first_use.cache_clear()
    yield
    backend._chosen_by_environment.cache_clear()
    backend._first_use.cache_clear()


def arguments(dtype: torch.dtype = torch.float64, degree: int = 3, base: str = "silu") -> dict[str, Tensor]:
    knots = make_knots("uneven", degree, GRID, INPUTS)
    rows = reference.row_count(knots, degree, base)
    made = {
        "v": uniform_random(BATCH, INPUTS, seed=1, low=-1),
        "g": uniform_random(BATCH, OUTPUTS, seed=2, low=-1),
        "c": uniform_random(INPUTS, rows, OUTPUTS, seed=3, low=-1),
        "x": uniform_random(BATCH, INPUTS, seed=4, low=-2, high=2),
        "knots": knots,
    }
    return {name: value.to(dtype) for name, value in made.items()}


def both(a: dict[str, Tensor], degree: int, base: str, order: int, weighted: bool) -> list[Tensor]:
    v = a["v"] if weighted else None
    y = backend.edge_sum(v, a["c"], a["x"], a["knots"], degree, base, order)
    gradients = backend.vjp(v, a["g"], a["c"], a["x"], a["knots"], (degree, base, order), (True, True, True))
    assert all(part is not None for part in gradients)
    return [y, *gradients]


# -- what the kernels are given


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("base", reference.BASES)
@pytest.mark.parametrize(("degree", "order", "weighted"), [(1, 0, True), (3, 1, False), (5, 2, True)])
def test_kernels_get_what_they_need_and_give_what_the_reference_gives(fake, dtype, base, degree, order, weighted):
    a = arguments(dtype, degree, base)
    ours = both(a, degree, base, order, weighted)
    numbers = (int(dtype == torch.float64), degree, ("none", "silu", "identity").index(base), order)
    assert fake.calls == [(name, (*numbers, torch.get_num_threads())) for name in ("edge_sum", "vjp")]
    with backend.use("reference"):
        expected = both(a, degree, base, order, weighted)
    assert len(fake.calls) == 2
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_what_is_wanted_is_computed(fake, wanted) -> None:
    a = arguments()
    for name in ("native", "reference"):
        with backend.use(name):
            made = backend.vjp(a["v"], a["g"], a["c"], a["x"], a["knots"], (3, "silu", 0), wanted)
        assert tuple(part is not None for part in made) == wanted
    assert len(fake.calls) == 1


def test_coefficients_may_be_missing_only_where_they_do_not_enter(fake) -> None:
    a = arguments()
    fixed = (a["v"], a["g"], None, a["x"], a["knots"], (3, "silu", 0))
    for name in ("native", "reference"):
        with backend.use(name):
            assert backend.vjp(*fixed, (False, False, True))[2].shape == a["c"].shape
            with pytest.raises(ValueError, match="need the coefficients"):
                backend.vjp(*fixed, (True, False, False))
    assert len(fake.calls) == 1


@pytest.mark.parametrize("batch", [0, 1, BATCH])
def test_strided_and_expanded_and_empty_arguments(fake, batch: int) -> None:
    a = arguments()
    strided = {
        "v": a["v"][:batch].T.contiguous().T,
        "x": a["x"][:batch].repeat_interleave(2, 1)[:, ::2],
        "g": torch.ones((), dtype=torch.float64).expand(batch, OUTPUTS),
        "c": a["c"].transpose(0, 2).contiguous().transpose(0, 2),
        "knots": a["knots"].T.contiguous().T,
    }
    ours = both(strided, 3, "silu", 0, True)
    assert len(fake.calls) == 2
    with backend.use("reference"):
        expected = both({name: value.contiguous() for name, value in strided.items()}, 3, "silu", 0, True)
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_what_is_not_for_the_kernels_goes_to_the_reference(fake) -> None:
    a = arguments()
    flat = arguments(degree=0)
    both(flat, 0, "silu", 0, True)
    single = {name: value.float() for name, value in a.items()}
    half = {name: value.bfloat16() for name, value in a.items()}
    backend.vjp(half["v"], half["g"], half["c"], half["x"], half["knots"], (3, "silu", 0), (True, True, True))
    with pytest.raises(RuntimeError):
        backend.edge_sum(None, single["c"], a["x"], a["knots"], 3, "silu", 0)
    backend.edge_sum(single["v"], a["c"], a["x"], a["knots"], 3, "silu", 0)
    meta = backend.edge_sum(None, *(a[name].to("meta") for name in ("c", "x", "knots")), 3, "silu", 0)
    assert meta.is_meta
    assert fake.calls == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("v", lambda t: t[:-1]),
        ("v", lambda t: t[:, :-1]),
        ("c", lambda t: t[:-1]),
        ("c", lambda t: t[:, :-1]),
        ("c", lambda t: t[0]),
        ("x", lambda t: t[:, :-1]),
        ("x", lambda t: t[0]),
        ("knots", lambda t: t[:-1]),
        ("knots", lambda t: t[:, :-1]),
        ("knots", lambda t: t[0]),
    ],
)
def test_shapes_that_do_not_fit_never_reach_the_kernels(fake, name, change) -> None:
    """The kernels read memory by address; a wrong size would read beyond its end."""
    a = arguments()
    a[name] = change(a[name])
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        backend.edge_sum(a["v"], a["c"], a["x"], a["knots"], 3, "silu", 0)
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        backend.vjp(a["v"], a["g"], a["c"], a["x"], a["knots"], (3, "silu", 0), (True, True, True))
    assert fake.calls == []


@pytest.mark.parametrize("change", [lambda g: g[:-1], lambda g: g[:, :-1], lambda g: g[0], lambda g: g.float()])
def test_sensitivities_that_do_not_fit_never_reach_the_kernels(fake, change) -> None:
    a = arguments()
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        backend.vjp(a["v"], change(a["g"]), a["c"], a["x"], a["knots"], (3, "silu", 0), (True, True, True))
    assert fake.calls == []


# -- the choice


def test_the_fastest_of_what_is_offered_is_taken(fake) -> None:
    for name, chosen in (("auto", "avx2"), ("native", "avx2"), ("baseline", "baseline"), ("reference", "reference")):
        with backend.use(name):
            told = superpose.backends()
            assert (told.in_use, told.available) == (chosen, ("avx2", "baseline", "reference"))
            assert "\n" not in repr(told) and chosen in repr(told)
    assert superpose.backends().in_use == "avx2"
    with pytest.raises(FrozenInstanceError):
        superpose.backends().in_use = "other"


@pytest.mark.parametrize("name", ["avx512", "neon", "fortran", "refrence", ""])
def test_a_backend_that_is_not_there_is_an_error(fake, name: str) -> None:
    with pytest.raises(OptionError) as failure, backend.use(name):
        pass
    assert is_one_sentence(str(failure.value)) and repr(name) in str(failure.value)
    assert superpose.backends().in_use == "avx2"


def test_a_block_chooses_for_its_own_thread_only(fake) -> None:
    seen = []
    with backend.use("reference"):
        thread = threading.Thread(target=lambda: seen.append(backend._forced.get()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_unbuilt_kernels_are_told_of_once(unbuilt) -> None:
    a = arguments()
    told = superpose.backends()
    assert (told.in_use, told.available, told.reason) == (
        "reference", ("reference",), "the compiled kernels were not built",
    )  # fmt: skip
    with pytest.warns(BackendWarning) as caught:
        both(a, 3, "silu", 0, True)
        both(a, 3, "silu", 0, True)
    assert len(caught) == 1 and is_one_sentence(str(caught[0].message))


def test_no_warning_where_plain_torch_was_asked_for(unbuilt, monkeypatch) -> None:
    monkeypatch.setenv(backend.VARIABLE, "reference")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        both(arguments(), 3, "silu", 0, True)
    assert caught == []


@pytest.mark.parametrize("name", ["native", "baseline"])
def test_unbuilt_kernels_that_were_asked_for_are_an_error(unbuilt, monkeypatch, name: str) -> None:
    monkeypatch.setenv(backend.VARIABLE, name)
    for call in (superpose.backends, lambda: both(arguments(), 3, "silu", 0, True)):
        with pytest.raises(OptionError, match="were not built") as failure:
            call()
        assert is_one_sentence(str(failure.value))


def test_kernels_that_cannot_be_loaded_say_why(unbuilt, monkeypatch) -> None:
    def fail(name: str) -> None:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(backend.importlib, "import_module", fail)
    assert "libgomp.so.1" in superpose.backends().reason


@pytest.mark.parametrize("name", ["reference", "avx1024"])
def test_the_environment_variable_is_heard(monkeypatch, name: str) -> None:
    script = (
        "import json, superpose, torch\n"
        "try:\n"
        "    told = superpose.backends()\n"
        "    superpose.KAN([2, 1])(torch.zeros(1, 2))\n"
        "    print(json.dumps([told.in_use, told.reason]))\n"
        "except superpose.OptionError as error:\n"
        "    print(json.dumps(['error', str(error)]))\n"
    )
    monkeypatch.setenv("SUPERPOSE_BACKEND", name)
    finished = run_python("-W", "error", "-c", script)
    assert finished.returncode == 0, finished.stderr
    kind, words = json.loads(finished.stdout)
    assert kind == ("reference" if name == "reference" else "error")
    assert f"SUPERPOSE_BACKEND={name}" in words
