"""Columns of classes: text and numbers, and each mistake as one sentence."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
import torch

from superpose import DataError, OptionError
from superpose.nn import Head
from superpose.tasks.classification import ClassificationDataset, read_classification


def table(labels: list[object]) -> pandas.DataFrame:
    return pandas.DataFrame({"x": [0.1 * n for n in range(len(labels))], "label": labels})


@pytest.mark.parametrize(
    ("labels", "classes", "numeric"),
    [
        (["größer als 1", "kleiner"] * 10, ("größer als 1", "kleiner"), False),
        ([2, -2, 0, 2] * 5, ("-2", "0", "2"), True),
        ([0.5, 1.0] * 10, ("0.5", "1"), True),
        ([True, False] * 10, ("0", "1"), True),
        (["1", "10", "2"] * 7, ("1", "2", "10"), True),
        (["1", "x"] * 10, ("1", "x"), False),
    ],
)
def test_classes_are_numbers_in_order_or_text(labels: list[object], classes: tuple[str, ...], numeric: bool) -> None:
    data = ClassificationDataset.from_frame(table(labels), target="label")
    assert (data.classes, data.numeric) == (classes, numeric)
    assert [data.classes[k] for k in data.indices.tolist()][:1] == [classes[data.indices[0]]]
    assert int(data.counts().sum()) == len(labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 20, "holds one label only, 'a'"),
        (["a", "b"] * 10 + [""], "row 21 .* has no label"),
        (["a", "b"] * 10 + [None], "row 21 .* has no label"),
        ([1.0, 2.0] * 10 + [float("nan")], "has no label"),
        (["a", "b"] * 10 + ["once"], "label 'once' once only, row 21"),
        ([0.1 * n for n in range(30)], "30 different labels"),
    ],
)
def test_a_mistake_is_one_sentence(labels: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassificationDataset.from_frame(table(labels), target="label")


def test_every_class_is_in_the_training_rows() -> None:
    labels = ["a", "b"] * 50 + ["rare"] * 2
    for seed in range(20):
        data = ClassificationDataset.from_frame(table(labels), target="label", seed=seed)
        assert bool((data.counts(data.data.train) > 0).all())
        rows = torch.cat([data.data.train, data.data.validation, data.data.test])
        assert rows.sort().values.tolist() == list(range(102))


def test_shares_from_0_to_1_are_kept_and_others_refused() -> None:
    data = ClassificationDataset.from_frame(table([0.0, 0.25, 1.0, 0.5] * 5), target="label", soft=True)
    assert data.soft
    assert data.scored(Head("sigmoid", data.classes)).y[:4, 0].tolist() == [0.0, 0.25, 1.0, 0.5]
    with pytest.raises(DataError, match="from 0 to 1"):
        ClassificationDataset.from_frame(table([0.0, 2.0] * 10), target="label", soft=True)


def test_only_shares_between_0_and_1_make_labels_soft() -> None:
    whole = ClassificationDataset.from_frame(table([0.0, 1.0, 1.0, 0.0] * 5), target="label", soft=True)
    # Shares that are all 0 or 1 are classes, and every head has its own targets of those.
    assert not whole.soft and whole.classes == ("0", "1")
    assert whole.scored(Head("softmax", whole.classes)).y[:2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert not ClassificationDataset.from_frame(table([0, 1, 1, 0] * 5), target="label").soft
    assert not ClassificationDataset.from_frame(table(["a", "b"] * 10), target="label").soft


def test_the_target_is_one_column_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table(["a", "b"] * 10).to_csv(path, index=False)
    with pytest.raises(DataError, match="did you mean 'label'"):
        read_classification(path, target="lable")
    with pytest.raises(OptionError, match="one column"):
        read_classification(path, target=["label"])  # type: ignore[arg-type]
