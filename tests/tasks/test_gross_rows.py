"""Rows with gross errors: recognised, left out of the search for laws, and named; laws that splines do not follow."""

from __future__ import annotations

import pytest
import torch

from superpose.data import Dataset
from superpose.tasks.regression import DiscoverOptions, discover, gross_rows
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import fit_reference
from superpose.tasks.result import warnings_of

pytestmark = pytest.mark.usefixtures("few_compositions")

DOUBLE = torch.float64
# These searches end when they have found what there is.
LIMIT = 300.0


def table(rows: int = 150, gross: tuple[int, ...] = (), noise: float = 0.01) -> Dataset:
    """3 a / b + 1 with noise; some rows are 99."""
    generator = torch.Generator().manual_seed(0)
    x = 1 + torch.rand(rows, 2, generator=generator, dtype=DOUBLE)
    y = 3 * x[:, 0] / x[:, 1] + 1 + noise * torch.randn(rows, generator=generator, dtype=DOUBLE)
    y[list(gross)] = 99.0
    return Dataset.from_arrays(x, y, feature_names=("a", "b"), target_names=("y",))


def context(data: Dataset) -> Context:
    return Context.start(data, DiscoverOptions(time_limit=LIMIT).checked(data), lambda event: None)


def test_gross_errors_are_suspected_where_there_are_some() -> None:
    assert not gross_rows.suspected(context(table()))
    assert gross_rows.suspected(context(table(gross=(7, 40, 99))))
    # A straight line without any error has residuals of rounding only.
    exact = table(noise=0.0)
    assert not gross_rows.suspected(context(Dataset.from_arrays(exact.x, 2 * exact.x[:, 0])))


def test_a_search_without_some_rows_sees_all_others() -> None:
    whole = context(table(gross=(7, 40)))
    cleaned = gross_rows.without(whole, torch.tensor([7, 40]))
    for name in ("data", "few", "sample"):
        before, after = getattr(whole, name), getattr(cleaned, name)
        seen = torch.cat([after.train, after.validation]).sort().values
        wanted = torch.cat([before.train, before.validation]).sort().values
        assert torch.equal(seen, wanted[(wanted != 7) & (wanted != 40)])
    assert cleaned.gross.tolist() == [7, 40]


def test_the_law_is_found_beside_gross_errors_and_their_rows_are_named() -> None:
    result = discover(table(gross=(7, 40, 99)), DiscoverOptions(time_limit=LIMIT))
    assert str(result.formula).replace(" ", "") in ("3*a/b+1", "1+3*a/b")
    assert result.metrics["suspicious_rows"] == [7, 40, 99] and result.metrics["target_step"] is None
    assert result.metrics["formula_rmse_without_suspicious_rows"] < 0.012 < result.metrics["formula_rmse"]
    (sentence,) = [one for one in warnings_of(result) if "counting from 1" in one]
    assert "rows 8, 41, 100 of the table" in sentence and "check them" in sentence


def test_many_rows_far_from_a_model_are_no_gross_errors() -> None:
    data = table(gross=tuple(range(30)))
    assert not len(gross_rows.found(data, lambda x: (3 * x[:, 0] / x[:, 1] + 1)[:, None]))


def test_a_wave_of_many_periods_is_found_and_stands_on_an_edge_of_the_network() -> None:
    x = torch.linspace(0, 100, 300, dtype=DOUBLE)[:, None]
    result = discover(Dataset.from_arrays(x, torch.sin(1.759 * x[:, 0])), DiscoverOptions(time_limit=LIMIT))
    fresh = torch.linspace(0.1, 99.9, 777, dtype=DOUBLE)[:, None]
    wanted = torch.sin(1.759 * fresh[:, 0])
    assert result.formula is not None
    with torch.no_grad():
        # 28 periods in 300 rows are too many for splines.
        for values in (result.formula.torch(fresh), result.network(fresh)):
            assert float((values[:, 0] - wanted).abs().max()) < 1e-6


def test_one_decimal_point_missed_in_twelve_rows_is_found() -> None:
    # Periods of pendulums, of which one was written as 19.0 instead of 1.90.
    length = torch.tensor([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 1.8], dtype=DOUBLE)
    mass = torch.tensor([50.0, 50, 100, 100, 50, 200, 50, 100, 200, 50, 100, 200], dtype=DOUBLE)
    period = (200 * length.sqrt()).round() / 100
    assert not gross_rows.suspected(context(Dataset.from_arrays(torch.stack([length, mass], 1), period)))
    period[7] *= 10
    run = context(Dataset.from_arrays(torch.stack([length, mass], 1), period))
    reference = fit_reference(run)
    assert gross_rows.suspected(run) and reference is not None
    assert reference.choice.suspicious.tolist() == [7]
