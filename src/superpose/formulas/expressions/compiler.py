"""compile_formula: a network that is a formula, exactly.

Each part of the expression becomes a node: a sum of edges, or a product of such sums. A term ``c * f(a * u + b)`` is
one edge from the node of ``u``. A node that is needed further up is passed on by straight lines. This is the kanpiler
of Z. Liu et al., *KAN 2.0*, 2024, section 3.3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.data import Affine, Dataset
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.parts import exponent_of, library_function, split_factor, terms_of, to_number
from superpose.formulas.expressions.splines import SplineEdge
from superpose.messages import nearest
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN, Edge
from superpose.nn.rows import samples
from superpose.nn.surgery import scale_sum
from superpose.nn.symbolic_functions import power

if TYPE_CHECKING:
    import sympy

# Margin of the grids around the activations, as a share of their range: the largest that training takes.
_MARGIN = 0.02
# Intervals and degree of layers without a spline: the defaults of KANLayer.
_GRID = (5, 3)


def compile_formula(
    expression: sympy.Expr | Sequence[sympy.Expr],
    features: Sequence[str | sympy.Symbol] | None = None,
    targets: str | Sequence[str] | None = None,
    *,
    data: Dataset | Tensor | None = None,
    splines: Mapping[str, SplineEdge] | None = None,
) -> KAN:
    """A network of symbolic edges, sums and products that has the values of an expression, to rounding.

    Args:
        expression: SymPy expression, or one for each target, of columns, numbers, sums, products, powers with any
            exponent, and functions of the library (see :func:`superpose.library`). A power whose exponent is not a
            number, ``u**v``, becomes ``exp(v*log(u))``, and has values for positive ``u`` only.
        features: the columns, by name or symbol, in the order of the model's inputs; by default those of a data set, or
            else the expression's own in alphabetical order.
        targets: their names; ``y``, or ``f`` if a column is called that, or ``y1, y2, ...`` by default.
        data: samples ``[B, n_in]`` in the user's units, or a data set (its training rows): the grids are laid over the
            activations there, and the model's scaling is made of powers of two, which leaves all constants exact.
        splines: functions in the expression that are no symbols, by their names, all with as many coefficients and no
            base function (see :attr:`superpose.Formula.splines`): each becomes an edge that is that spline.

    Raises:
        OptionError: if something in the expression is no column, no function of the library, or no real number.
        DataError: if the expression is finite on fewer than two of the samples.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> model = compile_formula(sympy.exp(sympy.sin(sympy.pi * x) + y**2))
    >>> model.shape, model.layer(0).symbolic.names
    ([2, 1, 1], {(0, 0): 'sin', (1, 0): 'x^2'})
    >>> compile_formula(x * (y + 2)).shape
    [2, [0, [2]]]
    """
    expressions = [expression] if not isinstance(expression, Sequence) else list(expression)
    if features is None and isinstance(data, Dataset):
        features = data.feature_names
    return build_network(expressions, features, targets, data=data, splines=splines or {})[0]


def build_network(
    expressions: Sequence[sympy.Expr],
    features: Sequence[str | sympy.Symbol] | None,
    targets: str | Sequence[str] | None,
    *,
    data: Dataset | Tensor | None,
    splines: Mapping[str, SplineEdge],
) -> tuple[KAN, dict[str, str]]:
    """As :func:`compile_formula`; also the name of each spline in the network's own formula, by its name here."""
    columns = _columns(expressions, features)
    names = _target_names(targets, len(expressions), columns)
    builder = _Builder(list(columns.values()), splines)
    model = builder.build([_in_columns(one, columns) for one in expressions])
    model.feature_names, model.target_names = tuple(columns), names
    model.preparation = data.preparation if isinstance(data, Dataset) else None
    # Training would scale an unscaled model to its data, and so change the function.
    model.scaled.fill_(True)
    named = {name: "spline_{}_{}_{}".format(*place) for place, name in builder.placed.items()}
    return (model if data is None else _on_data(model, data, list(builder.placed))), named


def _columns(expressions: Sequence[Any], features: Sequence[Any] | None) -> dict[str, sympy.Symbol]:
    import sympy

    for one in expressions:
        if not isinstance(one, sympy.Expr):
            raise OptionError(
                f"a formula is compiled from a SymPy expression, not from a {type(one).__name__}; text is never read"
            )
    if features is None:
        features = sorted({symbol.name for one in expressions for symbol in one.free_symbols})
    names = [feature.name if isinstance(feature, sympy.Symbol) else feature for feature in features]
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        raise OptionError(f"features must be one or more different names of columns, not {list(features)!r}")
    return {name: sympy.Symbol(name, real=True) for name in names}


def _target_names(targets: str | Sequence[str] | None, count: int, columns: Collection[str]) -> tuple[str, ...]:
    if targets is None:
        targets = ["f" if "y" in columns else "y"] if count == 1 else [f"y{n + 1}" for n in range(count)]
    names = (targets,) if isinstance(targets, str) else tuple(targets)
    if len(names) != count or len({*names, *columns}) < count + len(columns):
        raise OptionError(
            f"targets must be {count} different names, one for each expression and none of a feature, not {names!r}"
        )
    return names


def _in_columns(expression: sympy.Expr, columns: dict[str, sympy.Symbol]) -> sympy.Expr:
    for symbol in expression.free_symbols:
        if symbol.name not in columns:
            raise OptionError(
                f"the expression holds {symbol.name!r}, which is no feature{nearest(symbol.name, columns)}"
            )
    real: sympy.Expr = expression.xreplace({symbol: columns[symbol.name] for symbol in expression.free_symbols})
    return real


@dataclass(frozen=True)
class _Edge:
    """``c * f(a * source + b) + d``."""

    source: sympy.Expr
    function: str
    a: float
    b: float
    c: float
    d: float = 0.0

    def changed(self, factor: float, shift: float) -> _Edge:
        return _Edge(self.source, self.function, self.a, self.b, factor * self.c, factor * self.d + shift)


@dataclass(frozen=True)
class _Node:
    """A product of sums of edges; no factor for an input."""

    depth: int
    factors: tuple[tuple[_Edge, ...], ...]


class _Builder:
    """Finds a node for every part of some expressions, and builds the network of all that are needed."""

    def __init__(self, columns: Sequence[sympy.Symbol], splines: Mapping[str, SplineEdge]) -> None:
        self.columns, self.splines = list(columns), splines
        # The name of the spline on an edge.
        self.placed: dict[Edge, str] = {}
        self.nodes: dict[sympy.Expr, _Node] = {column: _Node(0, ()) for column in columns}

    # -- from expressions to nodes

    def node(self, expression: sympy.Expr) -> _Node:
        """The node that has this expression as its value."""
        if expression not in self.nodes:
            factor, core = split_factor(expression)
            # In the order of the columns, so that lines to them do not cross in pictures.
            args = sorted(core.args, key=self._mean_position)
            if core.is_Mul and library_function(core) is None:
                parts = [self.sum_edges(part) for part in args]
                parts[0] = tuple(edge.changed(factor, 0.0) for edge in parts[0])
            else:
                parts = [self.sum_edges(expression)]
            depths = [1 + max(self.node(edge.source).depth for edge in part) for part in parts]
            if len(parts) > 1:
                # A factor of several edges is summed where it can be, and carried up as one.
                for place, (own, part) in enumerate(zip(args, parts, strict=True)):
                    if depths[place] < max(depths) and len(part) > 1:
                        parts[place] = (_Edge(own, "x", 1.0, 0.0, factor if place == 0 else 1.0),)
            self.nodes[expression] = _Node(max(depths), tuple(parts))
        return self.nodes[expression]

    def _mean_position(self, expression: sympy.Expr) -> float:
        """The mean position in the table of the columns in an expression."""
        own = [place for place, column in enumerate(self.columns) if column in expression.free_symbols]
        return sum(own) / max(1, len(own))

    def sum_edges(self, expression: sympy.Expr) -> tuple[_Edge, ...]:
        """The edges whose sum is this expression, each from another node."""
        constant, terms = 0.0, dict[Any, float]()
        for factor, core in terms_of(expression):
            if core is None:
                constant += factor
            else:
                terms[core] = terms.get(core, 0.0) + factor
        edges = {core: self.edge(factor, core) for core, factor in terms.items()}
        while parallel := self._parallel(edges):
            for core in parallel:
                edges[core] = _Edge(core, "x", 1.0, 0.0, terms[core])
        found = list(edges.values()) or [_Edge(self.columns[0], "0", 1.0, 0.0, 1.0)]
        if constant:
            place = next((n for n, edge in enumerate(found) if edge.function == "x"), 0)
            found[place] = found[place].changed(1.0, constant)
        return tuple(found)

    @staticmethod
    def _parallel(edges: dict[Any, _Edge]) -> list[Any]:
        """Terms whose edge would join two nodes that another edge joins: all but a straight line or the first."""
        by_source: dict[Any, list[Any]] = {}
        for core, edge in edges.items():
            by_source.setdefault(edge.source, []).append(core)
        found = []
        for source, cores in by_source.items():
            stays = source if source in cores else cores[0]
            found += [core for core in cores if core != stays]
        return found

    def edge(self, factor: float, core: sympy.Expr) -> _Edge:
        """``factor * core`` as an edge from the deepest node that is needed for it."""
        import sympy

        if core.func.__name__ in self.splines:
            return self._function_edge(factor, core.func.__name__, core.args[0])
        found = library_function(core)
        if found is not None:
            function, inner, share = found
            return self._function_edge(factor * share, function.name, inner)
        if core.is_Symbol or core.is_Mul:
            return _Edge(core, "x", 1.0, 0.0, factor)
        if not core.is_Pow:
            raise OptionError(
                f"{core.func.__name__} is no function of the library, so no edge can have it; superpose.register adds "
                "functions"
            )
        base, exponent = core.args
        if not exponent.free_symbols:
            return self._function_edge(factor, power(exponent_of(exponent)).name, base)
        if not base.free_symbols:
            return self._function_edge(factor, "exp", sympy.log(base) * exponent)
        return self._function_edge(factor, "exp", sympy.Mul(exponent, sympy.log(base), evaluate=False))

    @staticmethod
    def _function_edge(factor: float, name: str, inner: sympy.Expr) -> _Edge:
        import sympy

        constant = sympy.Add(*(part for part in sympy.Add.make_args(inner) if not part.free_symbols))
        rest = sympy.Add(*(part for part in sympy.Add.make_args(inner) if part.free_symbols))
        scale, source = split_factor(rest)
        return _Edge(source, name, scale, to_number(constant), factor)

    # -- from nodes to layers

    def build(self, outputs: Sequence[sympy.Expr]) -> KAN:
        """The network of these outputs."""
        depth = max(1, *(self.node(output).depth for output in outputs))
        levels: list[list[Any]] = [[] for _ in range(depth)] + [list(outputs)]
        edges: list[list[tuple[tuple[_Edge, ...], ...]]] = []
        for level in range(depth, 0, -1):
            if level < depth:
                levels[level].sort(key=lambda one: len(self._at(one, level)))
            made = [self._at(one, level) for one in levels[level]]
            needed = dict.fromkeys(edge.source for node in made for part in node for edge in part)
            levels[level - 1] = self.columns if level == 1 else list(needed)
            edges.insert(0, made)
        shape: list[Any] = [len(self.columns), *([0, [len(node) for node in layer]] for layer in edges)]
        model = KAN(shape, grid_size=self._sizes(edges, 0), degree=self._sizes(edges, 1))
        for n, (layer, before, nodes) in enumerate(zip(model.kan_layers(), levels, edges, strict=False)):
            place = {one: i for i, one in enumerate(before)}
            table = {
                (place[edge.source], o): (edge.function, (edge.a, edge.b, edge.c, edge.d))
                for o, part in enumerate(part for node in nodes for part in node)
                for edge in part
            }
            layer.mask[:] = False
            for wanted in table:
                layer.mask[wanted] = True
            curves = {place: made for place, made in table.items() if made[0] in self.splines}
            layer.set_symbolic({place: table[place] for place in sorted(table) if place not in curves})
            for (i, o), (name, numbers) in curves.items():
                self._place(layer, i, o, self.splines[name], numbers)
                self.placed[n, i, o] = name
        return model

    def _sizes(self, edges: Sequence[Sequence[tuple[tuple[_Edge, ...], ...]]], which: int) -> list[int]:
        """Grid sizes (0) or degrees (1) of the layers: those of their splines, or what a network has by default."""
        found = []
        for nodes in edges:
            names = {edge.function for node in nodes for part in node for edge in part}
            based = [name for name, s in self.splines.items() if name in names and s.base != "none"]
            if based:
                raise OptionError(
                    f"{based[0]} has a base function beside its spline, and only splines without one can be compiled"
                )
            shapes = {(len(s.rows) - s.degree, s.degree) for name, s in self.splines.items() if name in names}
            if len(shapes) > 1:
                raise OptionError(
                    "the splines of one layer must have one degree and as many coefficients as one another; here they "
                    f"have (intervals, degree) {sorted(shapes)}"
                )
            found.append((*shapes, _GRID)[0][which])
        return found

    @staticmethod
    @torch.no_grad()
    def _place(layer: KANLayer, i: int, o: int, spline: SplineEdge, numbers: tuple[float, float, float, float]) -> None:
        """Make an edge the curve ``c * spline(a * x + b) + d``."""
        a, b, c, d = numbers
        knots, values = (spline.knots - b) / a, c * spline.rows + d
        if a < 0:
            knots, values = knots.flip(0), values.flip(0)
        others = layer.spline_mask()[i].clone()
        others[o] = False
        if bool(others.any()) and not torch.equal(layer.knots[i], knots):
            raise OptionError("two splines of one column must have the same knots")
        layer.knots[i] = knots
        layer.spline_coefficients[i, :, o] = values
        if layer.base_weight is not None:
            layer.base_weight[i, o] = 0.0

    def _at(self, expression: sympy.Expr, level: int) -> tuple[tuple[_Edge, ...], ...]:
        """The factors of the node that has this expression at a level: its own, or a straight line from below."""
        node = self.node(expression)
        return node.factors if node.depth == level else ((_Edge(expression, "x", 1.0, 0.0, 1.0),),)


@torch.no_grad()
def _on_data(model: KAN, data: Dataset | Tensor, splines: Sequence[Edge]) -> KAN:
    """The same function with a scaling and with grids that suit the samples; those of splines stay."""
    x = samples(model, data)
    y = model(x)
    finite = torch.isfinite(y).all(-1)
    x, y = x[finite].to(y.dtype), y[finite]
    if len(x) < 2:
        raise DataError("the expression is finite on fewer than two of the samples; pass rows from within its domain")
    inputs, outputs = _power_of_two(x), _power_of_two(y)
    first, last = model.layer(0), model.layer(-1)
    if first.symbolic is not None:
        for place, (i, _) in enumerate(first.symbolic.edges):
            first.symbolic.constants[place, 0] *= inputs[i]
    for i in {i for n, i, _ in splines if n == 0}:
        first.knots[i] /= inputs[i]
    for node, scale in enumerate(outputs.tolist()):
        scale_sum(last, last.sums_of(node)[0], 1 / scale)
    model.set_scaling(Affine(torch.zeros_like(inputs), inputs), Affine(torch.zeros_like(outputs), outputs))
    adapted = model.adapt(x, blend=0.0, margin=_MARGIN)
    for n, i, _ in splines:
        adapted.layer(n).knots[i] = model.layer(n).knots[i]
        adapted.layer(n).coefficients[i] = model.layer(n).coefficients[i]
    return adapted


def _power_of_two(values: Tensor) -> Tensor:
    """For each column ``[n]`` the least power of two that no value exceeds; 1 for zeros."""
    size = values.abs().amax(0)
    # Between these limits the reciprocal of the power is finite as well.
    return torch.where(size > 0, torch.exp2(torch.log2(size.clamp(min=1e-300)).ceil()), 1.0).clamp(1e-300, 1e300)
