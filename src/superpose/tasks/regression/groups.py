"""Laws of dimensionless groups of the columns, translated back into the columns."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.deadline import OutOfTime, until
from superpose.errors import SuperposeError
from superpose.formulas import selection
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.constants import ConstantFit
from superpose.formulas.from_table.laws import LawSearchResult, find_laws
from superpose.formulas.from_table.small_forms import SmallForm, small_forms
from superpose.formulas.units.groups import Groups, dimensionless_groups
from superpose.tasks.regression.column_units import sensible
from superpose.tasks.regression.context import Context

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Rules:
    """How long groups are searched. Round numbers.

    Attributes:
        small: share of the time of the search by structure in which small expressions of the groups are tried,
        first: and of this the share that the simplest set of groups has.
        laws: share in which laws of the simplest groups are searched for as of any table.
        ways: sets of groups that are tried.
        kept: small expressions that become formulas.
        alike: forms that are tried for each of them, since some have the same values.
        nodes: formulas of more are left as they are found, and
        calls: of functions that SymPy may make for one formula.
    """

    small: float = 0.35
    first: float = 0.5
    laws: float = 0.25
    ways: int = 4
    kept: int = 6
    alike: int = 4
    nodes: int = 60
    calls: int = 500_000


_RULES = _Rules()


@dataclass(frozen=True)
class GroupLaw:
    """A law of groups, in the columns.

    Attributes:
        expression: its constants fitted to the table.
        size: symbols of a small expression of the groups and one for their prefactor: all that was chosen by the rows.
            None of other laws.
    """

    expression: sympy.Expr
    size: float | None = None


@dataclass(frozen=True)
class GroupLaws:
    """What the search among groups found.

    Attributes:
        laws: without order, but for the first.
        complete: whether the first leaves nothing to explain.
    """

    laws: tuple[GroupLaw, ...] = ()
    complete: bool = False


@dataclass(frozen=True)
class _Table:
    """A table of groups.

    Attributes:
        groups: what its columns are.
        x: ``[N, m]`` their values.
        factor: ``[N]`` the prefactor, by which the target is divided.
        ratio: ``[N]`` the target over the prefactor.
    """

    groups: Groups
    x: Tensor
    factor: Tensor
    ratio: Tensor

    @property
    def is_news(self) -> bool:
        """Whether it differs from the table of the columns."""
        return bool(self.groups.prefactor.powers) or any(len(one.powers) > 1 for one in self.groups.groups)

    @property
    def spread(self) -> float:
        """How much the ratio varies."""
        return float(self.ratio.abs().clamp(min=1e-300).log().std())

    def symbols(self) -> list[sympy.Symbol]:
        """Of the columns."""
        import sympy

        return [sympy.Symbol(f"group_{k + 1}", real=True) for k in range(self.x.shape[1])]


def group_laws(context: Context, limit: float) -> GroupLaws:
    """Search for the target, divided by a product of columns, as a function of dimensionless groups.

    Nothing is found where a unit is not known, or where the target's is no product of powers of the columns'.

    Args:
        context: of the run.
        limit: seconds of the search by structure, of which a share is taken.
    """
    data, units, options = context.sample, context.units, context.options
    known = all(name in units for name in (*data.feature_names, *data.target_names))
    if not units or not known or data.n_targets != 1 or options.linear or options.functions is not None:
        return GroupLaws()
    found = dimensionless_groups({name: units[name] for name in data.feature_names}, units[data.target_names[0]])
    rows = torch.cat([data.train, data.validation])
    x, y = data.features(rows), data.y[rows, 0]
    columns = dict(zip(data.feature_names, x.unbind(-1), strict=True))
    # The simplest first, and of these the one that leaves least to explain.
    tables = [one for groups in found if (one := _table(groups, columns, y)) is not None]
    tables = sorted(tables, key=lambda one: (one.groups.cost, one.spread))[: _RULES.ways]
    if not tables:
        return GroupLaws()
    context.tell(f"dimensionless groups: {tables[0].groups}")
    symbols = _symbols(data)
    fit = ConstantFit(symbols, x, y, {}, context.deadline.sub(limit), sensible=sensible(units, data.target_names[0]))
    laws = _small(context, tables, y, _RULES.small * limit, fit)
    complete = False
    if tables[0].is_news and tables[0].groups.groups:
        result = _searched(context, tables[0], _RULES.laws * limit)
        for law in result.laws:
            made = None if law.splines else _translated(tables[0], law.expression, fit)
            if made is None:
                continue
            best = result.complete and law is result.best
            laws = [GroupLaw(made), *laws] if best else [*laws, GroupLaw(made)]
            complete = complete or best
    return GroupLaws(tuple(laws), complete)


def _table(groups: Groups, columns: dict[str, Tensor], y: Tensor) -> _Table | None:
    """The table of some groups; None where they have no values."""
    inner = [one.values(columns, y) for one in groups.groups]
    factor = groups.prefactor.values(columns, y)
    x, ratio = torch.stack(inner, -1) if inner else y.new_zeros((len(y), 0)), y / factor
    values = torch.cat([x, factor[:, None], ratio[:, None]], -1)
    varied = bool((x.amax(0) > x.amin(0)).all()) and float(ratio.max()) > float(ratio.min())
    return _Table(groups, x, factor, ratio) if bool(values.isfinite().all()) and varied else None


def _symbols(data: Dataset) -> tuple[sympy.Symbol, ...]:
    import sympy

    return tuple(sympy.Symbol(name, real=True) for name in data.feature_names)


def _small(context: Context, tables: Sequence[_Table], y: Tensor, seconds: float, fit: ConstantFit) -> list[GroupLaw]:
    """Small expressions of the groups with the least description lengths."""
    found: list[tuple[SmallForm, _Table]] = []
    for number, table in enumerate(tables):
        share = 1.0 if len(tables) == 1 else _RULES.first if not number else (1 - _RULES.first) / (len(tables) - 1)
        deadline = context.deadline.sub(share * seconds)
        found += [(one, table) for one in small_forms(table.x, y, table.factor, table.symbols(), deadline)]
    laws: dict[str, GroupLaw] = {}
    for form, table in sorted(found, key=lambda pair: pair[0].length)[: _RULES.alike * _RULES.kept]:
        # From 0 on a form says no more of the rows than their mean.
        if len(laws) == _RULES.kept or form.length >= 0 or context.deadline.passed():
            break
        made = _translated(table, form.expression, fit)
        if made is None:
            continue
        # Forms with the same values, written otherwise or of other groups: the shortest in the columns stands for them.
        key = f"{fit.error(made):.6e}"
        before = laws.get(key)
        if before is None or rewrite.complexity(made) < rewrite.complexity(before.expression):
            size = 1.0 + form.symbols + _size_of_numbers(made)
            laws[key] = GroupLaw(made, size if before is None or before.size is None else min(size, before.size))
    return list(laws.values())


def _size_of_numbers(expression: sympy.Expr) -> float:
    """Nodes that the fractions in an expression count: fitted constants were brought to them, and no row counts them.

    A fraction p/q is one of some p*q that are as simple. Exponents, and 1 and -1, belong to the form.
    """
    import sympy

    total = 0.0
    for part in expression.atoms(sympy.Mul, sympy.Add):
        for number in part.args:
            if not number.is_number or number.atoms(sympy.Float):
                continue
            fraction, rest = number.as_coeff_Mul()
            total += 2 * math.log(max(1, abs(int(fraction.p)) * int(fraction.q))) / selection.WEIGHTS.noise_node
            total += rest != 1
    return total


def _searched(context: Context, table: _Table, seconds: float) -> LawSearchResult:
    """Laws of a table of groups."""
    names = [symbol.name for symbol in table.symbols()]
    data = Dataset.from_arrays(table.x, table.ratio, feature_names=names, target_names=["ratio"], test=0.0)
    search = functools.partial(find_laws, data, time_limit=seconds, seed=context.options.seed, listener=context.tell)
    found = context.stages.run("laws of dimensionless groups", search, lambda one: not one.interrupted)
    context.failures.extend(found.failures)
    if found.interrupted:
        raise KeyboardInterrupt
    return found


def _translated(table: _Table, expression: sympy.Expr, fit: ConstantFit) -> sympy.Expr | None:
    """A law of groups as one of the columns, its constants fitted to the table; None where that fails."""
    groups = table.groups
    columns = {symbol: one.expression() for symbol, one in zip(table.symbols(), groups.groups, strict=True)}
    whole = groups.prefactor.expression() * expression.xreplace(columns)
    forms = [whole]
    if rewrite.complexity(whole) <= _RULES.nodes:
        # Powers of sums of powers take for ever to be multiplied out: they are left as they are.
        with contextlib.suppress(OutOfTime), until(fit.deadline, _RULES.calls):
            forms += [rewrite.canonical(whole, multiply_out=flat) for flat in (False, True)]
    try:
        fitted = fit.snapped(min(forms, key=rewrite.complexity))
    except SuperposeError:
        return None
    if not math.isfinite(fitted.error) or not fitted.expression.free_symbols:
        return None
    plain = _plainer(fitted.expression)
    # Zero in a denominator, where the other form has none, would lose a row.
    return plain if math.isfinite(fit.error(plain)) else fitted.expression


def _plainer(expression: sympy.Expr) -> sympy.Expr:
    """``x (1 + y / x)`` as ``x + y``, where that is shorter: groups divide what their prefactor multiplies again."""
    import sympy

    best = expression
    for product in expression.atoms(sympy.Mul):
        for inner in product.args:
            total, power = inner.as_base_exp()
            if not total.is_Add or not power.is_Integer:
                continue
            for factor in product.args:
                base, times = factor.as_base_exp()
                if not base.is_Symbol or not (times / power).is_Integer:
                    continue
                moved = sympy.Add(*(term * base ** (times / power) for term in total.args)) ** power
                made = expression.xreplace({product: product / inner / factor * moved})
                best = min(best, made, key=rewrite.complexity)
    return best if best == expression else _plainer(best)
