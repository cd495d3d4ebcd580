"""Combining: two columns become one (their sum, difference, product or quotient), and models are translated back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from superpose.data import Affine, Dataset
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.messages import nearest, quoted
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.nn.symbolic_edges import CONSTANTS
from superpose.short_repr import brief

if TYPE_CHECKING:
    import sympy

_VALUES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "/": torch.div,
}
_Constants = tuple[float, float, float, float]


@dataclass(frozen=True)
class Pair:
    """Two columns that are combined to one.

    Attributes:
        left, right: names of the columns.
        operator: ``+``, ``-``, ``*`` or ``/``.
    """

    left: str
    operator: str
    right: str

    @property
    def name(self) -> str:
        """The name of the combined column, such as ``x/y``."""
        return f"{self.left}{self.operator}{self.right}"

    @classmethod
    def read(cls, text: str, names: Sequence[str]) -> Pair:
        """The pair that a text such as ``x/y`` names, of these columns.

        >>> Pair.read("a-b / c", ["a-b", "c"])
        Pair(left='a-b', operator='/', right='c')

        Raises:
            OptionError: if the text names no pair of columns, or could name two.
        """
        places = [place for place, letter in enumerate(text) if letter in _VALUES]
        parts = [(text[:place].strip(), text[place], text[place + 1 :].strip()) for place in places]
        found = [cls(*part) for part in parts if part[0] in names and part[2] in names and part[0] != part[2]]
        if len(found) == 1:
            return found[0]
        if found:
            raise OptionError(f"{text!r} can be read in {len(found)} ways; rename the columns")
        unknown = next((n for n in (parts[0][0], parts[0][2]) if n not in names), None) if len(parts) == 1 else None
        why = "" if unknown is None else f", since there is no column {unknown!r}{nearest(unknown, names)}"
        raise OptionError(
            f"{text!r} does not say how two columns enter together{why}; write x+y, x-y, x*y or x/y with the names of "
            "two columns"
        )


@dataclass(frozen=True, eq=False)
class Combined:
    """What :func:`combine` returns.

    Attributes:
        data: the table with combined columns in the place of their parts; products and quotients come last.
        source: the original table.
        pairs: the combined pairs, in the order of the last columns of ``data``.
    """

    __repr__ = brief

    data: Dataset
    source: Dataset
    pairs: tuple[Pair, ...]

    def formula(self, formula: Formula) -> Formula:
        """A formula of the combined columns, rewritten in the original columns."""
        import sympy

        names = self.source.feature_names
        symbols = {name: sympy.Symbol(name, real=True) for name in names}
        back = {sympy.Symbol(pair.name, real=True): _expression(pair, symbols) for pair in self.pairs}
        expressions = tuple(one.xreplace(back) for one in formula.expressions)
        return replace(formula, expressions=expressions, symbols=tuple(symbols.values()), feature_names=names)

    def model(self, model: KAN) -> KAN:
        """A model of the combined columns, rewritten as a model of the original columns with the same values.

        It has one more layer in front, whose nodes are the combined columns and whose constants are frozen.

        Raises:
            OptionError: if the model has other columns.
        """
        if tuple(model.feature_names) != self.data.feature_names:
            raise OptionError(
                f"the model takes {', '.join(model.feature_names)}, and not the combined columns "
                f"{', '.join(self.data.feature_names)}; train it on combined.data"
            )
        made = model.copy()
        names, scaling = self.source.feature_names, self.source.x_scale
        products = [pair for pair in self.pairs if pair.operator in "*/"]
        like = model.input_center
        first = KANLayer(
            len(names),
            self.data.n_features,
            products=[2] * len(products),
            grid_size=1,
            degree=model.layer(0).degree,
            base="none",
            generator=torch.Generator().manual_seed(0),
            device=like.device,
            dtype=like.dtype,
        )
        made.input_center, made.input_scale = scaling.center.to(like), scaling.scale.to(like)
        table = self._edges(model)
        first.mask[:] = False
        for i, o in table:
            first.mask[i, o] = True
        with torch.no_grad():
            first.coefficients.zero_()
        first.set_symbolic(table, dict.fromkeys(table, CONSTANTS))
        made.layers = nn.ModuleList([first, *made.layers])
        made.feature_names, made.preparation = names, self.source.preparation
        made.scaled.fill_(True)
        return made

    def _edges(self, model: KAN) -> dict[tuple[int, int], tuple[str, _Constants]]:
        """The edges from the scaled original columns to the combined columns, in the units of the model's layers."""
        place = {name: i for i, name in enumerate(self.source.feature_names)}
        centers, scales = (part.tolist() for part in (self.source.x_scale.center, self.source.x_scale.scale))
        table: dict[tuple[int, int], tuple[str, _Constants]] = {}
        pairs, sums = {pair.name: pair for pair in self.pairs}, 0
        for name, center, unit in zip(
            self.data.feature_names, model.input_center.tolist(), model.input_scale.tolist(), strict=True
        ):
            pair = pairs.get(name)
            i = place[name if pair is None else pair.left]
            if pair is None or pair.operator in "+-":
                table[i, sums] = "x", (1.0, 0.0, scales[i] / unit, (centers[i] - center) / unit)
                if pair is not None:
                    j, sign = place[pair.right], 1.0 if pair.operator == "+" else -1.0
                    table[j, sums] = "x", (1.0, 0.0, sign * scales[j] / unit, sign * centers[j] / unit)
                sums += 1
                continue
            if center != 0:
                raise OptionError(f"the model's scaling moves the zero of {name!r}; train it on combined.data")
            j = place[pair.right]
            table[i, sums] = "x", (1.0, 0.0, scales[i] / unit, centers[i] / unit)
            if pair.operator == "*":
                table[j, sums + 1] = "x", (1.0, 0.0, scales[j], centers[j])
            else:
                table[j, sums + 1] = "1/x", (scales[j], centers[j], 1.0, 0.0)
            sums += 2
        return dict(sorted(table.items()))


def combine(data: Dataset, pairs: Sequence[str]) -> Combined:
    """A table in which columns that enter together are one column: their sum, difference, product or quotient.

    Fit networks to ``combined.data``, or look for formulas there; ``combined.model`` and ``combined.formula`` bring
    both back to the original columns. :func:`superpose.discover` does all of that with its option ``combine``.

    Args:
        data: the table.
        pairs: such as ``["x/y", "u-v"]``; a column may stand in several of them.

    Raises:
        OptionError: for what is no pair of columns.
        DataError: if a combined column is not finite, or the same in every row.

    >>> x = torch.rand(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    >>> data = Dataset.from_arrays(x, torch.sin(x[:, 0] / x[:, 2]) + x[:, 1], feature_names=["u", "m", "v"])
    >>> combined = combine(data, ["u/v"])
    >>> combined.data.feature_names
    ('m', 'u/v')
    """
    if isinstance(pairs, str):
        raise OptionError(f"pairs is a list; write [{pairs!r}]")
    read = [Pair.read(text, data.feature_names) for text in pairs]
    if not read or len(set(read)) < len(read):
        raise OptionError(f"combine needs pairs of columns, each once, such as ['x/y'], not {list(pairs)!r}")
    # Product nodes stand last in a layer, and so do the columns that become such nodes.
    read.sort(key=lambda pair: pair.operator in "*/")
    used = {name for pair in read for name in (pair.left, pair.right)}
    place = {name: i for i, name in enumerate(data.feature_names)}
    plain = [name for name in data.feature_names if name not in used]
    names = (*plain, *(pair.name for pair in read))
    if len(set(names)) < len(names):
        raise OptionError(f"a combined column would have the name of another one, {', '.join(names)}; rename that")

    def column(name: str) -> Tensor:
        return data.x[:, place[name]].to(torch.float64)

    columns = [column(name) for name in plain]
    columns += [_VALUES[pair.operator](column(pair.left), column(pair.right)) for pair in read]
    for pair, values in zip(read, columns[len(plain) :], strict=True):
        _check(pair, values, data)
    x = torch.stack(columns, -1)
    low, high = x.amin(0) / 2, x.amax(0) / 2
    center, scale = low + high, high - low
    for n, pair in enumerate(read, start=len(plain)):
        if pair.operator in "*/":
            # A node that is a product has no shift.
            center[n], scale[n] = 0.0, x[:, n].abs().max()
    reduced = replace(data, x=x, feature_names=names, x_scale=Affine(center, scale))
    return Combined(reduced, data, tuple(read))


def _check(pair: Pair, values: Tensor, data: Dataset) -> None:
    label = data.source or "the data"
    wrong = torch.nonzero(~torch.isfinite(values))[:, 0]
    if len(wrong):
        raise DataError(
            f"{label}: {quoted(pair.name)} is not finite in row {int(wrong[0]) + 1}; leave such rows out, or combine "
            "the columns in another way"
        )
    if not float(values.max() - values.min()) > 1e-14 * float(values.abs().max()):
        raise DataError(f"{label}: {quoted(pair.name)} is the same in every row; combine other columns")


def _expression(pair: Pair, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    left, right = symbols[pair.left], symbols[pair.right]
    made = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}
    return made[pair.operator]
