"""What the functions of superpose.plot take, and how they refuse everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch

import superpose
from helpers import is_one_sentence
from superpose import KAN, Dataset, plot


def samples() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.rand(60, 2, generator=generator, dtype=torch.float64) - 1


def natural_samples() -> dict[str, Callable[[], Any]]:
    """The rows of one table in every form that people hold them in."""
    x = samples()
    frame = pandas.DataFrame({"word": "w", "b": x[:, 1].numpy(), "a": x[:, 0].numpy()})

    def path() -> Path:
        frame.to_csv("samples.csv", index=False)
        return Path("samples.csv")

    return {
        "tensor": lambda: x,
        "tensor with gradients": lambda: x.clone().requires_grad_(),
        "array": x.numpy,
        "list": x.tolist,
        "data frame": lambda: frame,
        "data set": lambda: Dataset.from_arrays(x, x[:, 0], feature_names=["a", "b"]),
        "path": path,
        "path as text": lambda: str(path()),
    }


@pytest.mark.parametrize("kind", natural_samples())
def test_samples_of_any_natural_kind_are_drawn(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`plot.network(model, frame)` failed inside torch, and said nothing of samples."""
    monkeypatch.chdir(tmp_path)
    model = KAN([2, 2, 1], seed=0, feature_names=["a", "b"])
    given = natural_samples()[kind]()
    assert plot.render(plot.network(model, given), "svg") == plot.render(plot.network(model, samples()), "svg")
    if kind != "data set":  # its target gives the curve a band of errors
        edges = [plot.edge(model, x, 0, 1, 0) for x in (given, samples())]
        assert plot.render(edges[0], "svg") == plot.render(edges[1], "svg")


def awkward_calls() -> dict[str, Callable[[KAN, Any, Any], Any]]:
    """Calls of every function with something else than it takes."""
    picture = plot.front([])
    calls: dict[str, Callable[[KAN, Any, Any], Any]] = {
        "scores": lambda model, x, wrong: plot.network(model, x, scores=[1, 2]),  # type: ignore[list-item]
        "beta": lambda model, x, wrong: plot.network(model, x, beta="3"),  # type: ignore[arg-type]
        "a frame that lacks a column": lambda model, x, wrong: plot.network(model, pandas.DataFrame({"a": [1.0]})),
        "a format": lambda model, x, wrong: plot.render(picture, "jpg"),
        "no path": lambda model, x, wrong: plot.save_figure(picture, None),  # type: ignore[arg-type]
        "an error that is text": lambda model, x, wrong: plot.front([{"complexity": 1, "rmse": "x"}]),
        "a target_std that is text": lambda model, x, wrong: plot.front([], target_std="x"),  # type: ignore[arg-type]
        "complex numbers": lambda model, x, wrong: plot.parity(x[:, 0] + 1j, x[:, 0]),
        "samples as model": lambda model, x, wrong: plot.network(x, model),
    }
    wrong = {
        "a number": 3.0,
        "nothing": None,
        "text": "abc",
        "a list of lists of different lengths": [[1.0, 2.0], [3.0]],
        "words": numpy.array([["a", "b"]]),
        "too many dimensions": torch.zeros(3, 4, 2),
        "a model": KAN([2, 1]),
        "an empty tensor": torch.zeros(0, 2),
    }
    functions: dict[str, Callable[[KAN, Any, Any], Any]] = {
        "network": lambda model, x, wrong: plot.network(model, wrong),
        "edge": lambda model, x, wrong: plot.edge(model, wrong, 0, 0, 0),
        "staircase": lambda model, x, wrong: plot.staircase(wrong),
        "parity of a column": lambda model, x, wrong: plot.parity(x[:, 0], wrong),
        "parity of a model": lambda model, x, wrong: plot.parity(model, wrong),
        "front": lambda model, x, wrong: plot.front([wrong]),
        "render": lambda model, x, wrong: plot.render(wrong, "svg"),
        "save_figure": lambda model, x, wrong: plot.save_figure(wrong, "never.svg"),
    }

    def bound(function: Callable[[KAN, Any, Any], Any], value: Any) -> Callable[[KAN, Any, Any], Any]:
        return lambda model, x, _: function(model, x, value)

    for name, function in functions.items():
        calls |= {f"{name}: {kind}": bound(function, value) for kind, value in wrong.items()}
    return calls


@pytest.mark.parametrize("call", awkward_calls())
def test_what_cannot_be_drawn_is_refused_with_a_sentence(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = samples()
    with pytest.raises(superpose.SuperposeError) as caught:
        awkward_calls()[call](KAN([2, 1], seed=0, feature_names=["a", "b"]), x, None)
    assert is_one_sentence(str(caught.value))
    assert list(tmp_path.iterdir()) == []


def test_parity_leaves_out_what_a_column_lacks() -> None:
    measured = pandas.Series([1.0, None, 3.0], name="y")
    assert "1 not finite left out" in plot.render(plot.parity(measured, [1.0, 2.0, 3.0]), "svg").decode()
    whole = pandas.Series([1, None, 3], dtype="Int64")
    assert "1 not finite left out" in plot.render(plot.parity(whole, [1.0, 2.0, 3.0]), "svg").decode()


def test_scores_are_taken_whole_or_by_layer() -> None:
    model, x = KAN([2, 2, 1], seed=0), samples()
    found = superpose.edit.attribution_scores(model, x)
    whole, parts = plot.network(model, x, scores=found), plot.network(model, x, scores=found.edges)
    assert plot.render(whole, "svg") == plot.render(parts, "svg")
