"""KAN layers in the place of linear layers of another torch model."""

from __future__ import annotations

import copy
import fnmatch
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from superpose.checks import check_seed, check_whole
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.layer import KANLayer
from superpose.nn.wide_buffers import wide

COSTS = ("parameters", "flops", "none")


@dataclass(frozen=True)
class ConversionRules:
    """Constants of conversions.

    Attributes:
        most: times the cost of the linear layers that KAN layers may have; a narrow layer has no cheaper one. A round
            number.
        rows: of random inputs on which a block is compared with its parts, one after another.
        close: relative difference there that is rounding, in float32 and wider.
    """

    most: float = 1.5
    rows: int = 5
    close: float = 1e-4


RULES = ConversionRules()


@dataclass(frozen=True)
class _Form:
    """What every layer of a conversion has in common."""

    grid_size: int
    degree: int
    grid_range: tuple[float, float]
    cost: str
    generator: torch.Generator

    def edge_cost(self) -> int:
        """Parameters of an edge, or its multiplications and additions for a sample, in units of those of a weight."""
        # The degree's + 1 basis functions that are not zero, and the base function.
        return self.degree + 2 if self.cost == "flops" else self.grid_size + self.degree + 1

    def layer(self, inputs: int, outputs: int, like: nn.Linear) -> KANLayer:
        weight = like.weight
        # Drawn on the CPU, so that a seed means the same start on every device.
        made = KANLayer(
            inputs,
            outputs,
            grid_size=self.grid_size,
            degree=self.degree,
            grid_range=self.grid_range,
            generator=self.generator,
            device="cpu",
            dtype=weight.dtype,
        ).to(weight.device)
        made.requires_grad_(weight.requires_grad)
        return made.train(like.training)


def convert(
    model: nn.Module,
    names: str | Sequence[str] | None = None,
    *,
    cost: str = "parameters",
    grid_size: int = 5,
    degree: int = 3,
    grid_range: tuple[float, float] = (-2.0, 2.0),
    seed: int = 0,
) -> nn.Module:
    """A copy of a torch model with KAN layers in the place of linear layers.

    A name selects a :class:`torch.nn.Linear`, or a block: a module that is nothing but linear layers one after another
    with activations or dropout between, as the MLP of a transformer. A block gets as many KAN layers and no
    activations, since edges are functions; its dropout stays. The inputs of the layers should lie in ``grid_range``, as
    they do behind a LayerNorm; outside it curves are straight lines, and :func:`~superpose.nn.adapt_grids` moves it.

    An edge has ``grid_size + degree + 1`` parameters where a weight is one, and takes about ``degree + 2`` times its
    multiplications. So that the cost is that of the linear layers, within rounding to whole nodes,

    - the hidden widths of a block are divided;
    - a single layer becomes two, with few nodes between;
    - with ``cost="none"`` each linear layer becomes one KAN layer of the same function, its weights and biases as
      straight lines on the edges, and activations stay. The model computes what it did, and can learn from there.

    A bias needs no parameters, because curves have constants: those of a new start are zero, or the old biases where
    the function is kept. Dtype, device, ``requires_grad`` and training mode are kept.

    Args:
        model: any module; it stays as it is.
        names: dotted names or patterns such as ``"blocks.*.mlp"``; all linear layers if None.
        cost: ``"parameters"``, ``"flops"`` or ``"none"``.
        grid_size, degree, grid_range: of the new layers, see :class:`~superpose.KANLayer`.
        seed: of the random start; no global generator is read or changed.

    Raises:
        OptionError: if a name selects nothing, or a layer has hooks, shares its parameters, is parametrised or too
            small for KAN layers of its cost.

    >>> mlp = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
    >>> converted = convert(mlp, "")
    >>> converted
    Sequential(
      (0): KANLayer(64, 28, grid_size=5, degree=3, base='silu')
      (1): KANLayer(28, 64, grid_size=5, degree=3, base='silu')
    )
    >>> [sum(parameter.numel() for parameter in one.parameters()) for one in (mlp, converted)]
    [33088, 32256]
    """
    if cost not in COSTS:
        raise OptionError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}{nearest(str(cost), COSTS)}")
    check_whole("grid_size", grid_size)
    check_whole("degree", degree, least=1, most=5)
    generator = torch.Generator().manual_seed(check_seed(seed))
    form = _Form(grid_size, degree, grid_range, cost, generator)
    made = copy.deepcopy(model)
    chosen = _selected(made, names, whole=cost != "none")
    _check_plain(made, chosen)
    replaced = dict[int, nn.Module]()
    for name, module in chosen.items():
        replaced[id(module)] = _replacement(name, module, form)
    # Every place of a module that stands at several.
    for name, module in list(made.named_modules(remove_duplicate=False)):
        if id(module) in replaced:
            if not name:
                return replaced[id(module)]
            parent, _, last = name.rpartition(".")
            setattr(made.get_submodule(parent), last, replaced[id(module)])
    _leave_fast_paths(made)
    return made


def _selected(model: nn.Module, names: str | Sequence[str] | None, *, whole: bool) -> dict[str, nn.Module]:
    """The linear layers and, if ``whole``, blocks that the names stand for, outermost first, by their names."""
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if names is None:
        return {name: module for name, module in linear.items() if type(module) is nn.Linear}
    patterns = [names] if isinstance(names, str) else list(names)
    chosen = dict[str, nn.Module]()
    for pattern in patterns:
        matched = [(name, one) for name, one in model.named_modules() if fnmatch.fnmatchcase(name, pattern)]
        kept = dict[str, nn.Module]()
        for name, module in matched:
            inside = any(name.startswith(f"{outer}.") or not outer for outer in kept)
            if not inside and (isinstance(module, nn.Linear) or (whole and _chain(module) is not None)):
                kept[name] = module
        if not whole and not kept:
            # With the function kept, a block is its linear layers.
            prefixes = tuple(f"{name}." if name else "" for name, _ in matched)
            kept = {name: module for name, module in linear.items() if prefixes and name.startswith(prefixes)}
        if not kept:
            others = ", ".join(map(repr, list(linear)[:4])) or "no linear layers"
            raise OptionError(
                f"{pattern!r} names no torch.nn.Linear, and no block of them one after another; the model has {others}"
                f"{', ...' if len(linear) > 4 else ''}{nearest(pattern, linear)}"
            )
        chosen |= kept
    return chosen


def _chain(module: nn.Module) -> list[nn.Module] | None:
    """The parts of a block in their order; None if the module is more than its parts one after another."""
    parts = [part for _, part in module.named_children()]
    linear = [part for part in parts if isinstance(part, nn.Linear)]
    others = [part for part in parts if not isinstance(part, nn.Linear)]
    if not linear or any(list(part.children()) or list(part.parameters()) for part in others):
        return None
    if any(before.out_features != after.in_features for before, after in itertools.pairwise(linear)):
        return None
    if len(list(module.parameters())) != sum(len(list(part.parameters())) for part in linear):
        return None
    return parts if type(module) is nn.Sequential or _is_sequence(module, parts, linear[0]) else None


@torch.no_grad()
def _is_sequence(module: nn.Module, parts: list[nn.Module], first: nn.Linear) -> bool:
    """Whether a module of a class of its own computes its parts one after another, tried on random inputs."""
    if first.weight.is_meta:
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(RULES.rows, first.in_features, generator=generator).to(first.weight)
    alone = copy.deepcopy(nn.ModuleList([module, *parts])).eval()
    try:
        found, expected = alone[0](x), x
        for part in alone[1:]:
            expected = part(expected)
    except Exception:  # any error of a foreign forward pass means that it is no such block
        return False
    if not isinstance(found, Tensor) or found.shape != expected.shape:
        return False
    close = max(RULES.close, 4 * torch.finfo(found.dtype).eps)
    return bool(((found - expected).abs().max() <= close * expected.abs().max()).item())


def _check_plain(model: nn.Module, chosen: dict[str, nn.Module]) -> None:
    """Raise :class:`OptionError` for layers that are more than weights and biases of their own."""
    owners = dict[int, dict[int, str]]()
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                owners.setdefault(id(parameter), {})[id(module)] = name
    for name, module in chosen.items():
        for part in module.modules():
            if reason := _why_not(part, owners):
                raise OptionError(f"the layer {name!r} cannot be converted, since {reason}; leave it out of names")


def _why_not(part: nn.Module, owners: dict[int, dict[int, str]]) -> str:
    """Why a part of a block cannot be replaced, or an empty string."""
    if isinstance(part, nn.Linear) and type(part) is not nn.Linear:
        return "it is parametrised" if hasattr(part, "parametrizations") else f"it is a {type(part).__name__}"
    hooks = part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks
    if any(hooks):
        return "it has hooks, which weight_norm and prune of torch.nn.utils are too"
    for parameter in part._parameters.values():
        others = [place for key, place in owners.get(id(parameter), {}).items() if key != id(part)]
        if others:
            return f"it shares a parameter with the layer {others[0]!r}"
    return ""


def _replacement(name: str, module: nn.Module, form: _Form) -> nn.Module:
    """The module that takes the place of a linear layer or of a block."""
    if isinstance(module, nn.Linear):
        if form.cost == "none":
            return _same_function(module, form)
        parts: list[nn.Module] = [module]
        widths = [module.in_features, module.out_features]
    else:
        parts = _chain(module) or []
        linear = [part for part in parts if isinstance(part, nn.Linear)]
        widths = [linear[0].in_features, *(part.out_features for part in linear)]
    known = [part for part in parts if isinstance(part, nn.Linear)]
    budget = _cost_of(known, form)
    if len(widths) == 2:
        # Nodes between; as many as the larger side has would be no saving.
        widths = [widths[0], max(widths), widths[1]]
    hidden, spent = _shrunk(widths, budget / form.edge_cost())
    if spent > RULES.most * budget / form.edge_cost():
        raise OptionError(
            f"the layer {name!r} is too small for KAN layers of its cost: they would have at least "
            f"{spent * form.edge_cost() / budget:.1f} times as many {form.cost}; leave it out of names, or pass a "
            'smaller grid_size or cost="none"'
        )
    likes = known if len(known) == len(hidden) - 1 else known * 2
    layers = [form.layer(hidden[n], hidden[n + 1], likes[n]) for n in range(len(hidden) - 1)]
    if len(known) == 1 and len(parts) == 1:
        return nn.Sequential(*layers).train(module.training)
    made = list[nn.Module]()
    remaining = iter(layers if len(known) > 1 else [nn.Sequential(*layers)])
    for part in parts:
        if isinstance(part, nn.Linear):
            made.append(next(remaining))
        elif isinstance(part, nn.modules.dropout._DropoutNd):
            made.append(part)
    return nn.Sequential(*made).train(module.training)


def _cost_of(linear: list[nn.Linear], form: _Form) -> int:
    """Parameters of linear layers, or their multiplications for a sample."""
    weights = sum(one.in_features * one.out_features for one in linear)
    biases = sum(one.out_features for one in linear if one.bias is not None)
    return weights + (biases if form.cost == "parameters" else 0)


def _shrunk(widths: list[int], edges: float) -> tuple[list[int], int]:
    """Widths with all hidden ones shrunk by one factor, so that there are about so many edges; and the number of them.

    >>> _shrunk([64, 256, 64], 33088 / 9)
    ([64, 28, 64], 3584)
    """

    def at(share: float) -> list[int]:
        return [widths[0], *(max(1, math.floor(share * width)) for width in widths[1:-1]), widths[-1]]

    def count(made: list[int]) -> int:
        return sum(before * after for before, after in itertools.pairwise(made))

    low, high = 0.0, 1.0
    # Halvings until the share of the widest layer is known to less than a node.
    for _ in range(math.ceil(math.log2(max(widths))) + 2):
        middle = (low + high) / 2
        low, high = (middle, high) if count(at(middle)) <= edges else (low, middle)
    return at(low), count(at(low))


@torch.no_grad()
def _same_function(linear: nn.Linear, form: _Form) -> KANLayer:
    """A KAN layer of the function of a linear layer: straight lines on the edges, no base function at first."""
    layer = form.layer(linear.in_features, linear.out_features, linear)
    # A coefficient of the straight line x is the mean of its degree's inner knots (Greville's abscissae).
    lines = layer.knots[:, 1:-1].unfold(-1, form.degree, 1).mean(-1)
    coefficients = lines[:, :, None] * wide(linear.weight).T[:, None, :]
    if linear.bias is not None:
        # B-splines sum to one.
        coefficients = coefficients + wide(linear.bias) / linear.in_features
    layer.coefficients.zero_()
    layer.spline_coefficients.copy_(coefficients)
    return layer


def _leave_fast_paths(model: nn.Module) -> None:
    """torch's TransformerEncoderLayer reads the weights of its linear layers in evaluation; keep it from that."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and not (
            isinstance(module.linear1, nn.Linear) and isinstance(module.linear2, nn.Linear)
        ):
            # The flag by which torch itself leaves out activations that its fast path lacks.
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder):
            module.enable_nested_tensor = False
