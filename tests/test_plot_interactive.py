"""Every picture is drawn by plotly too, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from superpose import KAN, Dataset, plot
from superpose.errors import OptionError

plotly = pytest.importorskip("plotly.graph_objects")
NAMES = ("a <b>bold</b> column", "b")
X = 2 * torch.rand(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
DATA = Dataset.from_arrays(X, X[:, :1] * X[:, 1:], feature_names=NAMES, target_names=["f"])
MODEL = KAN([2, 2, 1], seed=0, feature_names=NAMES, target_names=["f"])
FRONT = [
    {"complexity": 3, "formula": "x < y", "rmse": 0.2, "recommended": False},
    {"complexity": 5, "formula": "x*y", "rmse": 1e-9, "recommended": True},
]

# The picture, and how many points and traces it has.
PICTURES: dict[str, tuple[Callable[[], Any], int]] = {
    "parity": (lambda: plot.parity(DATA.y, MODEL.predict(DATA)), 1),
    "residuals": (lambda: plot.residuals(MODEL, DATA, "b"), 1),
    "partial_dependence": (lambda: plot.partial_dependence(MODEL, DATA, NAMES[0]), 1),
    "importance": (lambda: plot.importance(MODEL, DATA), 1),
    "interaction": (lambda: plot.interaction(MODEL, DATA, *NAMES), 1),
    "edge": (lambda: plot.edge(MODEL, DATA, 0, 0, 0), 1),
    "network": (lambda: plot.network(MODEL, DATA), 6),
    "front": (lambda: plot.front(FRONT), 1),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_in_plotly_has_its_numbers(name: str) -> None:
    make, traces = PICTURES[name]
    picture = make()
    numbers = plot.data(picture)
    drawn = plot.interactive(picture)
    assert isinstance(drawn, plotly.Figure) and len(drawn.data) == traces
    texts = [text for trace in drawn.data for text in trace.text]
    assert len(texts) == len(numbers) and all(f"{column} = " in texts[0] for column in numbers.columns)
    assert sum(len(trace.x) for trace in drawn.data) == len(numbers)
    assert drawn.layout.title.text or name == "network"
    assert "<b>" not in str(drawn.to_dict())


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(OptionError, match="data takes a picture that a function"):
        plot.interactive(3)  # type: ignore[arg-type]
