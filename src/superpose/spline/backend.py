"""What computes the contractions: compiled kernels where they fit, else the plain torch definition.

These functions take and return plain tensors and know nothing of gradients; :mod:`superpose.spline.ops` does.

The compiled kernels serve float32 and float64 tensors on the CPU, all of one dtype, at degrees 1 to 5 and derivatives
up to the eleventh. Everything else (other devices and dtypes, degree 0, shapes that do not fit together) goes to
:mod:`superpose.spline.reference`, which computes it or says what is wrong. The kernels read and write memory by
address, so nothing that was not checked here may reach them.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from superpose.errors import BackendWarning, OptionError
from superpose.messages import nearest
from superpose.spline import reference

VARIABLE = "SUPERPOSE_BACKEND"
INSTRUCTION_SETS = ("avx512", "avx2", "neon", "baseline")
NAMES = ("auto", "reference", "native", *INSTRUCTION_SETS)

_MODULE = "superpose.spline._native"
# The numbers of dtypes and base functions in the native module (enum Base in csrc/kernels.hpp).
KINDS = {torch.float32: 0, torch.float64: 1}
BASES = {"none": 0, "silu": 1, "identity": 2}
# The degrees that the kernels support, kMinDegree and kMaxDegree in csrc/kernels.hpp.
MIN_DEGREE, MAX_DEGREE = 1, 5
# One below kMaxOrder in csrc/kernels.hpp, because gradients by x need the next order.
_MAX_ORDER = 11
get_threads = torch.get_num_threads

# ``degree, base, order`` of a contraction, and whether ``grad_v, grad_x, grad_coefficients`` are needed. Plain tuples:
# they are made at every call of a layer, and a NamedTuple takes several times as long to make.
Form = tuple[int, str, int]
Needs = tuple[bool, bool, bool]


@dataclass(frozen=True)
class Backends:
    """What computes the layers.

    Attributes:
        in_use: ``"reference"`` for plain torch, or the instruction set of the compiled kernels.
        available: all that could be chosen here, the fastest first.
        reason: why it is this one.
    """

    in_use: str
    available: tuple[str, ...]
    reason: str


class _Choice(NamedTuple):
    kernels: Any  # superpose.spline._native.Kernels, or None for the reference
    name: str
    reason: str
    slow: bool = False  # plain torch although nobody asked for it


def backends() -> Backends:
    """Say what computes the layers, and why.

    Compiled kernels are used where they were built, with the best instructions of this processor. The environment
    variable ``SUPERPOSE_BACKEND``, read when the first layer computes, chooses something else: ``reference`` (plain
    torch), ``native`` (the kernels, or an error), or an instruction set (``avx512``, ``avx2``, ``neon``, ``baseline``).

    Raises:
        OptionError: if ``SUPERPOSE_BACKEND`` asks for what is not there.

    >>> backends().available[-1]
    'reference'
    """
    choice = _forced.get() or _chosen_by_environment()
    return Backends(choice.name, (*_instruction_sets()[0], "reference"), choice.reason)


@contextmanager
def use(name: str) -> Iterator[None]:
    """Compute with one backend inside a ``with`` block; for tests and benchmarks.

    Args:
        name: as in ``SUPERPOSE_BACKEND``. It holds for this thread (or this asynchronous task) only.

    Raises:
        OptionError: for a backend that does not exist or is not there.
    """
    token = _forced.set(_choose(name, f"use({name!r})"))
    try:
        yield
    finally:
        _forced.reset(token)


def compiled() -> Any:
    """The ``Kernels`` of the native module that are in use, or None on the reference path."""
    return (_forced.get() or _first_use()).kernels


def enumeration() -> Any:
    """The class ``Enumeration`` of the native module (``csrc/enumeration.hpp``), or None on the reference path."""
    return None if compiled() is None else getattr(importlib.import_module(_MODULE), "Enumeration", None)


def edge_sum(
    v: Tensor | None,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str,
    order: int,
) -> Tensor:
    """See :func:`superpose.spline.reference.edge_sum`."""
    kernels = (_forced.get() or _first_use()).kernels
    if (
        kernels is not None
        and order <= _MAX_ORDER
        and (sizes := _sizes(coefficients, x, knots, degree, base)) is not None
    ):
        dtype, kind, base_code, batch, inputs, outputs, intervals = sizes
        if v is None or (v.dtype is dtype and v.is_cpu and v.shape == x.shape):
            coefficients, x, knots = coefficients.contiguous(), x.contiguous(), knots.contiguous()
            out = x.new_empty(batch, outputs)
            if v is not None:
                v = v.contiguous()
            kernels.edge_sum(
                kind,
                0 if v is None else v.data_ptr(),
                coefficients.data_ptr(),
                x.data_ptr(),
                knots.data_ptr(),
                out.data_ptr(),
                batch,
                inputs,
                outputs,
                intervals,
                degree,
                base_code,
                order,
                get_threads(),
            )
            return out
    with full_precision(x):
        return reference.edge_sum(v, coefficients, x, knots, degree, base, order)


def vjp(
    v: Tensor | None,
    g: Tensor,
    coefficients: Tensor | None,
    x: Tensor,
    knots: Tensor,
    form: Form,
    needs: Needs,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Vector-Jacobian products of :func:`edge_sum` in one call: the gradients of ``sum(g * edge_sum(v, ...))``.

    Args:
        v: ``[B, I]`` or None for ones.
        g: ``[B, O]``.
        coefficients: ``[I, rows, O]``; may be None if only the gradient by them is needed.
        x: ``[B, I]``.
        knots: ``[I, G + 2k + 1]``.
        form: ``degree, base, order`` as in :func:`superpose.spline.edge_sum`.
        needs: whether ``grad_v``, ``grad_x`` and ``grad_coefficients`` are needed.

    Returns:
        ``grad_v [B, I]``, ``grad_x [B, I]`` and ``grad_coefficients [I, rows, O]``, None for those not needed.
    """
    kernels = (_forced.get() or _first_use()).kernels
    degree, base, order = form
    need_v, need_x, need_coefficients = needs
    if (
        kernels is not None
        and order <= _MAX_ORDER
        and (sizes := _sizes(coefficients, x, knots, degree, base, g)) is not None
    ):
        dtype, kind, base_code, batch, inputs, outputs, intervals = sizes
        if (
            g.dtype is dtype
            and g.is_cpu
            and (v is None or (v.dtype is dtype and v.is_cpu and v.shape == x.shape))
            and (coefficients is not None or not (need_v or need_x))
        ):
            g, x, knots = g.contiguous(), x.contiguous(), knots.contiguous()
            grad_v = x.new_empty(batch, inputs) if need_v else None
            grad_x = x.new_empty(batch, inputs) if need_x else None
            grad_coefficients = None
            if need_coefficients:
                grad_coefficients = x.new_empty(inputs, intervals + degree + (base_code != 0), outputs)
            if v is not None:
                v = v.contiguous()
            if coefficients is not None:
                coefficients = coefficients.contiguous()
            kernels.vjp(
                kind,
                0 if v is None else v.data_ptr(),
                g.data_ptr(),
                0 if coefficients is None else coefficients.data_ptr(),
                x.data_ptr(),
                knots.data_ptr(),
                0 if grad_v is None else grad_v.data_ptr(),
                0 if grad_x is None else grad_x.data_ptr(),
                0 if grad_coefficients is None else grad_coefficients.data_ptr(),
                batch,
                inputs,
                outputs,
                intervals,
                degree,
                base_code,
                order,
                get_threads(),
            )
            return grad_v, grad_x, grad_coefficients
    with full_precision(x):
        return _reference_vjp(v, g, coefficients, x, knots, form, needs)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Keep ``torch.autocast`` from multiplying matrices in bfloat16 or float16 inside a ``with`` block.

    The compiled kernels keep the precision of their arguments, so plain torch does too. Splines need it: a basis
    function is made of differences of knots.
    """
    return torch.autocast(x.device.type, enabled=False) if under_autocast(x) else nullcontext()


def under_autocast(x: Tensor) -> bool:
    """Whether ``torch.autocast`` is on for tensors of this device."""
    kind = x.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _sizes(
    coefficients: Tensor | None,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str,
    g: Tensor | None = None,
) -> tuple[torch.dtype, int, int, int, int, int, int] | None:
    """What the kernels must know of their arguments, or None if these are not for them.

    In order: dtype, its number, the base's number, samples, inputs, outputs, grid intervals. Every attribute of a
    tensor costs some 60 ns and a network may be tiny, so each is asked for once.
    """
    dtype = x.dtype
    kind, base_code = KINDS.get(dtype), BASES.get(base)
    points, ends = x.shape, knots.shape
    if (
        kind is None
        or base_code is None
        or not MIN_DEGREE <= degree <= MAX_DEGREE
        or len(points) != 2
        or len(ends) != 2
        or knots.dtype is not dtype
        or not x.is_cpu
        or not knots.is_cpu
    ):
        return None
    batch, inputs = points
    count, length = ends
    intervals = length - 2 * degree - 1
    if count != inputs or intervals < 1:
        return None
    outputs = -1
    if g is not None:
        pulling = g.shape
        if len(pulling) != 2 or pulling[0] != batch:
            return None
        outputs = pulling[1]
    if coefficients is not None:
        curves = coefficients.shape
        if len(curves) != 3 or coefficients.dtype is not dtype or not coefficients.is_cpu:
            return None
        if curves[0] != inputs or curves[1] != intervals + degree + (base_code != 0):
            return None
        if outputs != curves[2]:
            if outputs != -1:
                return None
            outputs = curves[2]
    return dtype, kind, base_code, batch, inputs, outputs, intervals


def _reference_vjp(
    v: Tensor | None,
    g: Tensor,
    coefficients: Tensor | None,
    x: Tensor,
    knots: Tensor,
    form: Form,
    needs: Needs,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """As :func:`vjp`, in plain torch."""
    degree, base, order = form
    need_v, need_x, need_coefficients = needs
    grad_v = grad_x = grad_coefficients = None
    if need_v or need_x:
        if coefficients is None:
            raise ValueError("gradients by v and x need the coefficients; only grad_coefficients does not")
        if need_v:
            grad_v = reference.grad_input(g, coefficients, x, knots, degree, base, order)
        if need_x:
            grad_x = reference.grad_input(g, coefficients, x, knots, degree, base, order + 1)
            if v is not None:
                grad_x = v * grad_x
    if need_coefficients:
        grad_coefficients = reference.grad_coefficients(v, g, x, knots, degree, base, order)
    return grad_v, grad_x, grad_coefficients


# -- the choice

# What a block under ``use`` asked for; a context variable, so that threads do not choose for one another.
_forced: ContextVar[_Choice | None] = ContextVar("superpose_backend", default=None)


def _instruction_sets() -> tuple[tuple[str, ...], Any, str]:
    """Names of the instruction sets that were built and run here, the native module, and why there are none."""
    try:
        native = importlib.import_module(_MODULE)
    except ModuleNotFoundError:
        return (), None, "the compiled kernels were not built"
    except ImportError as error:
        return (), None, f"the compiled kernels cannot be loaded ({' '.join(str(error).split())})"
    names = tuple(native.instruction_sets())
    return names, native, "" if names else "the compiled kernels were built for other processors"


def _choose(name: str, asked: str) -> _Choice:
    """Find the backend of that name; ``asked`` says in messages who wants it."""
    if name not in NAMES:
        raise OptionError(f"{asked} is no backend{nearest(name, NAMES)}; choose one of {', '.join(NAMES)}")
    if name == "reference":
        return _Choice(None, "reference", f"{asked} asks for plain torch")
    names, native, why = _instruction_sets()
    if not names:
        if name == "auto":
            return _Choice(None, "reference", why, slow=True)
        raise OptionError(
            f"{asked} cannot be had, because {why}; install superpose where a C++ compiler is found, or choose "
            f"'reference'"
        )
    if name in ("auto", "native"):
        return _Choice(native.Kernels(names[0]), names[0], "the best instructions of this processor")
    if name not in names:
        raise OptionError(
            f"{asked} cannot be had, because this processor or this installation lacks it; choose one of auto, "
            f"reference, {', '.join(names)}"
        )
    return _Choice(native.Kernels(name), name, f"{asked} asks for it")


@functools.cache
def _chosen_by_environment() -> _Choice:
    name = os.environ.get(VARIABLE, "").strip() or "auto"
    return _choose(name, f"{VARIABLE}={name}")


@functools.cache
def _first_use() -> _Choice:
    """The environment's choice, with a warning if it is slow and nobody chose that; once, because it is kept."""
    choice = _chosen_by_environment()
    if choice.slow:
        warnings.warn(
            f"superpose computes with plain torch, several times slower than it could, because "
            f"{choice.reason}; install it where a C++ compiler is found, or set "
            f"{VARIABLE}=reference to hear no more of this",
            BackendWarning,
            stacklevel=3,
        )
    return choice
