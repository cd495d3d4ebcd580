"""Model files: what comes back is what went in, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import superpose
from broken_models import good_model, joined, old_file, parts_of, without_later_parts
from helpers import is_one_sentence
from model_cases import assert_same_model
from superpose import FileError
from superpose.files import load, save
from superpose.nn import symbolic_functions
from superpose.spline import grid

FUNCTIONS = ("0", "x", "x^2", "1/x", "sqrt", "exp", "log", "sin", "arctanh", "gaussian")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@st.composite
def models(draw: st.DrawFn) -> superpose.KAN:
    """Any model: widths, grids and degrees of each layer, knots, masks, symbols, names, scaling."""
    products = st.lists(st.integers(2, 4), min_size=1, max_size=2)
    width = st.one_of(st.integers(1, 4), st.tuples(st.integers(0, 2), products))
    widths: list[Any] = [draw(st.integers(1, 4)), *draw(st.lists(width, min_size=1, max_size=3))]
    depth = len(widths) - 1
    names = st.text(min_size=1, max_size=8)
    model = superpose.KAN(
        widths,
        grid_size=draw(st.lists(st.integers(1, 7), min_size=depth, max_size=depth)),
        degree=draw(st.lists(st.integers(0, 5), min_size=depth, max_size=depth)),
        base=draw(st.sampled_from(["silu", "identity", "none"])),
        seed=draw(st.integers(0, 99)),
        dtype=draw(st.sampled_from([torch.float32, torch.float64])),
        feature_names=draw(st.lists(names, min_size=widths[0], max_size=widths[0], unique=True)),
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    with torch.no_grad():
        for layer in model.kan_layers():
            layer.mask.copy_(torch.rand(layer.mask.shape, generator=generator) < 0.8)
            edges = [(i, o) for i in range(layer.in_features) for o in range(layer.sum_count)]
            chosen = draw(st.lists(st.sampled_from(edges), unique=True, max_size=3))
            layer.set_symbolic(
                {
                    edge: (
                        draw(st.sampled_from(FUNCTIONS)),
                        tuple(torch.randn(4, generator=generator).tolist()),
                    )
                    for edge in chosen
                },
                {edge: draw(st.sampled_from(["", "a", "bd", "abcd"])) for edge in chosen},
            )
            if draw(st.booleans()):
                points = grid.breakpoints(layer.knots, layer.degree)
                layer.knots = grid.clamped_knots(points, layer.degree)
            layer.coefficients.view(-1)[0] = -0.0
            layer.coefficients.view(-1)[-1] = 5e-324
        model.input_center.normal_(generator=generator)
        model.input_scale.uniform_(0.5, 9.0, generator=generator)
    model.scaled.fill_(draw(st.booleans()))
    return model


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=models())
def test_what_comes_back_is_what_went_in_bit_for_bit(tmp_path: Path, model: superpose.KAN) -> None:
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert_same_model(model, again)
    x = torch.linspace(-3, 3, 7 * model.widths[0]).reshape(7, -1)
    assert torch.equal(again(x).nan_to_num(), model(x).nan_to_num())


def test_layers_may_have_base_functions_of_their_own(tmp_path: Path) -> None:
    model = superpose.KAN([2, 3, 1])
    model.layers[1] = superpose.KANLayer(3, 1, base="none", dtype=torch.float64, spline_scale=0.7)
    save(model, tmp_path / "model.safetensors")
    assert_same_model(model, load(tmp_path / "model.safetensors"))


@DTYPES
def test_a_loaded_model_can_be_trained_refined_and_saved_again(tmp_path: Path, dtype: torch.dtype) -> None:
    save(good_model(dtype), tmp_path / "first")
    model = load(tmp_path / "first")
    assert all(parameter.requires_grad for parameter in model.parameters())
    model(torch.ones(3, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        model.layer(0).coefficients.add_(1)
    save(model.refine(8), tmp_path / "second")
    assert load(tmp_path / "second").layer(0).grid_size == 8


def test_a_file_of_schema_1_is_the_same_model(tmp_path: Path) -> None:
    old_file(tmp_path / "old")
    model = load(tmp_path / "old")
    assert_same_model(model, good_model())
    assert all(parameter.requires_grad for parameter in model.parameters())
    save(model, tmp_path / "new")
    assert parts_of((tmp_path / "new").read_bytes())[1]["schema"] == 5
    assert_same_model(load(tmp_path / "new"), good_model())


def test_a_file_of_schema_2_is_the_same_model(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    description["schema"] = 2
    without_later_parts(description, 2)
    header["__metadata__"]["superpose"] = json.dumps(description)
    (tmp_path / "model").write_bytes(joined(header, tensors))
    assert_same_model(load(tmp_path / "model"), good_model())


def test_a_file_of_schema_3_is_the_same_model_and_freezes_nothing(tmp_path: Path) -> None:
    save(good_model(frozen={(0, 1): "ac"}), tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    description["schema"] = 3
    without_later_parts(description, 3)
    header["__metadata__"]["superpose"] = json.dumps(description)
    (tmp_path / "model").write_bytes(joined(header, tensors))
    assert_same_model(load(tmp_path / "model"), good_model())


def test_a_file_of_schema_1_without_base_functions(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = superpose.KAN([2, 1], base="none", seed=0)
    save(model, tmp_path / "model")
    description = parts_of((tmp_path / "model").read_bytes())[1] | {"schema": 1}
    without_later_parts(description, 1)
    factor = torch.tensor([[3.0], [-0.25]], dtype=torch.float64)
    tensors = model.state_dict() | {"layers.0.spline_weight": factor}
    save_file(tensors, tmp_path / "model", metadata={"superpose": json.dumps(description)})
    again = load(tmp_path / "model")
    assert torch.equal(again.layer(0).coefficients, model.layer(0).coefficients * factor[:, None])


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        save(good_model(), tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_file_is_a_plain_safetensors_file(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    save(good_model(), tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors.keys() == good_model().state_dict().keys()


def test_loading_changes_no_global_state(tmp_path: Path, untouched_globals: None) -> None:
    save(good_model(), tmp_path / "model.safetensors")
    load(tmp_path / "model.safetensors")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The registered functions of this process, given back as they were."""
    registered: dict[str, Any] = {}
    monkeypatch.setattr(symbolic_functions, "_REGISTERED", registered)
    return registered


def model_with(name: str) -> superpose.KAN:
    model = superpose.KAN([1, 1])
    model.layer(0).set_symbolic({(0, 0): (name, (1.0, 0.0, 1.0, 0.0))})
    return model


def test_a_registered_function_comes_back_by_its_name(tmp_path: Path, registry: dict[str, Any]) -> None:
    z = sympy.Symbol("z")
    superpose.register("bump", sympy.exp(-(z**4)))
    save(model_with("bump"), tmp_path / "model.safetensors")
    assert_same_model(load(tmp_path / "model.safetensors"), model_with("bump"))
    registry.clear()
    with pytest.raises(FileError) as caught:
        load(tmp_path / "model.safetensors")
    assert is_one_sentence(str(caught.value))
    assert "'bump'" in str(caught.value)
    assert "superpose.register(name, expression)" in str(caught.value)


def test_a_registered_function_that_means_something_else_is_refused(tmp_path: Path, registry: dict[str, Any]) -> None:
    z = sympy.Symbol("z")
    superpose.register("bump", sympy.exp(-(z**4)))
    save(model_with("bump"), tmp_path / "model.safetensors")
    registry.clear()
    superpose.register("bump", sympy.exp(-(z**6)))
    with pytest.raises(FileError, match="'bump' that had other values"):
        load(tmp_path / "model.safetensors")
