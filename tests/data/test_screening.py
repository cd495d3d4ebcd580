"""Screening keeps what matters, in whatever form, and leaves out most of what does not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from superpose.data import Dataset, Screening, screen, with_features
from superpose.data.dependence import marginal_scores, mid_ranks, normal_scores, pair_scores
from superpose.data.screening import RULES
from superpose.deadline import Deadline
from superpose.tasks.classification import ClassificationDataset, ClassifyOptions, classify
from superpose.tasks.regression import DiscoverOptions, discover


def uniform(rows: int, columns: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1


def normal(rows: int, seed: int = 1) -> Tensor:
    return torch.randn(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def kept(x: Tensor, y: Tensor) -> set[int]:
    found = screen(Dataset.from_arrays(x, y))
    return {int(name[1:]) - 1 for name in found.kept}


X = uniform(1500, 60)


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        (X[:, 3] + 0.5 * X[:, 40], {3, 40}),
        (torch.sin(20 * X[:, 5]), {5}),
        (X[:, 8] * X[:, 50], {8, 50}),
        (X[:, 1] * X[:, 2] * X[:, 3], {1, 2, 3}),
        ((X[:, 7] > 0.3).double(), {7}),
        (1 / (X[:, 0] + 1.01) + X[:, 30], {0, 30}),
        (3 * torch.cos(3 * X[:, 10]) * X[:, 11] + 0.1 * X[:, 12], {10, 11, 12}),
        (X.sum(1), set(range(60))),
    ],
    ids=["sum", "wave", "product", "three factors", "step", "outliers", "weak beside strong", "all a little"],
)
def test_columns_that_matter_are_kept(values: Tensor, needed: set[int]) -> None:
    assert needed <= kept(X, values + 0.02 * normal(len(X)))


def test_of_noise_little_is_kept() -> None:
    assert len(kept(X, normal(len(X)))) <= RULES.kept_at_least + 2


def test_units_and_monotone_transforms_of_columns_change_nothing() -> None:
    y = X[:, 3] + X[:, 8] * X[:, 50]
    assert kept(torch.exp(3 * X), y) == kept(X, y)


def test_more_terms_than_rows_are_no_evidence() -> None:
    x = uniform(120, 100)
    assert len(kept(x, 2 * x[:, 0] + 0.05 * normal(120))) < 20


def test_columns_that_were_asked_for_are_kept() -> None:
    found = screen(Dataset.from_arrays(X, X[:, 3]), always={"x9"})
    assert {"x4", "x9"} <= set(found.kept)
    assert math.isinf(found.evidence["x9"])


def test_few_columns_are_not_screened() -> None:
    data = Dataset.from_arrays(X[:, :12], X[:, 3])
    found = screen(data)
    assert found.kept == data.feature_names
    assert found.left_out == ()
    assert found.reason == ""
    assert found.applied(data) is data


def test_test_rows_have_no_say() -> None:
    data = Dataset.from_arrays(X, X[:, 3])
    other = data.y.clone()
    other[data.test] = 100 * normal(len(data.test))[:, None]
    assert screen(replace(data, y=other)).evidence == screen(data).evidence


def test_without_time_all_that_is_evident_is_kept() -> None:
    found = screen(Dataset.from_arrays(X, X[:, 3] + X[:, 5]), time_limit=0.0)
    assert {"x4", "x6"} <= set(found.kept)
    assert len(found.kept) < 20
    assert screen(Dataset.from_arrays(X, X.sum(1)), time_limit=0.0).left_out == ()


def test_the_choice_divides_the_columns_and_keeps_their_order() -> None:
    data = Dataset.from_arrays(X, X[:, 8] * X[:, 50])
    found = screen(data)
    places = [data.feature_names.index(name) for name in found.kept]
    assert sorted(found.kept + found.left_out) == sorted(data.feature_names)
    assert places == sorted(places)
    narrow = found.applied(data)
    assert torch.equal(narrow.x, data.x[:, places])
    assert torch.equal(narrow.x_scale.center, data.x_scale.center[places])
    assert torch.equal(narrow.train, data.train)


def test_features_of_other_types_become_float64() -> None:
    data = Dataset.from_arrays(X[:, :2], X[:, 3])
    single = replace(data, x=data.x.float())
    assert with_features(single, ["x2"]).x.dtype == torch.float64
    assert with_features(data, data.feature_names) is data


def test_scores_are_standard_normal_where_nothing_depends() -> None:
    ranks = mid_ranks(uniform(800, 200))
    scores = pair_scores(ranks, normal_scores(normal(800)), Deadline())
    # The largest of 20,000 pairs of nine numbers each: 4.9 is exceeded by 0.18 of them on average.
    assert float(scores.max()) < 5.5
    alone = marginal_scores(ranks, normal_scores(normal(800))[:, None])
    assert float(alone.max()) < 5
    assert float(alone.median()) == pytest.approx(1.7, abs=0.4)


def test_pairs_after_the_deadline_have_no_score() -> None:
    assert not pair_scores(mid_ranks(X), normal_scores(X[:, 8] * X[:, 50]), Deadline(0)).any()


def test_equal_entries_share_a_rank() -> None:
    ranks = mid_ranks(torch.tensor([[1.0], [2.0], [2.0], [3.0]]))[:, 0]
    assert ranks[1] == ranks[2]
    assert float(ranks.sum()) == pytest.approx(0)


QUICK = {"shape": (1,), "grid_size": 3, "formula": False, "time_limit": 5.0}


@pytest.mark.usefixtures("counted_work")
@pytest.mark.parametrize("reduce", [True, False])
def test_a_search_uses_the_columns_that_were_kept(reduce: bool) -> None:
    data = Dataset.from_arrays(X[:300, :20], X[:300, 3] + X[:300, 7])
    said: list[str] = []
    result = discover(data, DiscoverOptions(**QUICK, reduce=reduce), listener=said.append)
    facts = result.metrics["screening"]
    assert result.data.feature_names == result.network.feature_names == tuple(facts["kept"])
    assert (len(facts["kept"]) < 20) is reduce
    assert (facts["reason"] in said) is reduce


@pytest.mark.usefixtures("counted_work")
def test_columns_that_enter_together_or_linearly_are_kept() -> None:
    data = Dataset.from_arrays(X[:300, :20], X[:300, 3] + X[:300, 7])
    options = DiscoverOptions(**QUICK, linear=("x11",), combine=("x13-x14",))
    result = discover(data, options)
    assert {"x4", "x8", "x11", "x13", "x14"} <= set(result.data.feature_names)
    assert result.network.feature_names == result.data.feature_names


@pytest.mark.usefixtures("counted_work")
def test_classes_are_screened_by_their_indicators() -> None:
    x = X[:600, :20]
    labels = ["a" if u * v > 0.1 else "b" if u * v < -0.1 else "c" for u, v in x[:, [2, 9]].tolist()]
    table = ClassificationDataset.from_arrays(x, labels)
    result = classify(table, ClassifyOptions(shape=(1, 3), grid_size=3, formula=False, time_limit=5.0))
    assert {"x3", "x10"} <= set(result.metrics["screening"]["kept"])
    assert len(result.metrics["screening"]["kept"]) < 20
    assert result.table is table


def test_facts_are_ready_for_json() -> None:
    import json

    found: Screening = screen(Dataset.from_arrays(X, X[:, 3]), always={"x9"})
    assert json.dumps(found.facts(), allow_nan=False)
