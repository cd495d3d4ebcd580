"""Models as files: what comes back is what went in, and nothing else is let in."""

from __future__ import annotations

import errno
import functools
import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import superpose
from broken_models import BROKEN_MODELS, a_pickle, good_model, joined, old_file, parts_of, without_later_parts
from helpers import is_one_sentence
from superpose import FileError, OptionError
from superpose.files import load, save, write_atomically
from superpose.nn import symbolic_functions
from superpose.spline import grid

FUNCTIONS = ("0", "x", "x^2", "1/x", "sqrt", "exp", "log", "sin", "arctanh", "gaussian")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Return whether two tensors are equal bit for bit, so that 0 and -0 differ."""
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and first.numpy().tobytes() == second.numpy().tobytes()
    )


def assert_same_model(first: superpose.KAN, second: superpose.KAN) -> None:
    before, after = first.state_dict(), second.state_dict()
    assert list(before) == list(after)
    for name, tensor in before.items():
        assert same_bits(tensor, after[name]), name
    assert first.shape == second.shape
    assert first.feature_names == second.feature_names
    assert first.target_names == second.target_names
    for one, other in zip(first.kan_layers(), second.kan_layers(), strict=True):
        assert (one.degree, one.grid_size, one.base) == (other.degree, other.grid_size, other.base)
        assert one.spline_scale == other.spline_scale
        assert list(one.symbolic_table().items()) == list(other.symbolic_table().items())
        assert one.frozen_table() == other.frozen_table()
        assert (one.base_weight is None) == (other.base_weight is None)


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


@functools.cache
def uncertain_model(*, scale: bool = True) -> superpose.KAN:
    """A calibrated model whose errors grow with x, or are alike."""
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.randn(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = x.sum(1) + noise * (0.02 + scale * x[:, 0])
    data = superpose.Dataset.from_arrays(x, y, validation=0.6, test=0.0, feature_names=["x", "y"], target_names=["f"])
    model = superpose.KAN([2, 1], base="none", feature_names=["x", "y"], target_names=["f"])
    model.layer(0).set_symbolic({(i, 0): ("x", (1.0, 0.0, 1.0, 0.0)) for i in range(2)})
    return superpose.calibrate(model, data)


@pytest.mark.parametrize("scale", [True, False])
def test_intervals_come_back_bit_for_bit(tmp_path: Path, scale: bool) -> None:
    model = uncertain_model(scale=scale)
    assert model.uncertainty is not None and (model.uncertainty.scale is not None) == scale
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert_same_model(model, again)
    x = torch.linspace(-1, 3, 40, dtype=torch.float64).reshape(20, 2)
    one, other = model.predict_interval(x), again.predict_interval(x)
    for name in ("prediction", "low", "high", "outside", "beyond"):
        assert (getattr(one, name) == getattr(other, name)).all(), name
    assert again.uncertainty is not None and again.uncertainty.source == model.uncertainty.source
    assert one.outside.any() and not one.outside.all()


def test_a_file_of_schema_4_is_the_same_model_without_intervals(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    header["__metadata__"]["superpose"] = json.dumps(description | {"schema": 4})
    (tmp_path / "model").write_bytes(joined(header, tensors))
    model = load(tmp_path / "model")
    assert_same_model(model, good_model())
    assert model.uncertainty is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"rows": 7}, "uncertainty.residuals"),
        ({"rows": 0}, "number of rows"),
        ({"points": -1}, "number of points"),
        ({"log": 1}, "logarithms"),
        ({"freedom": None}, "freedom"),
        ({"freedom": -1.0}, "negative"),
        ({"limit": None}, "uncertainty.support.precision"),
        ({"grid_size": None}, "uncertainty.scale"),
        ({"grid_size": 10**9}, "grid size"),
        ({"source": "hearsay"}, "'hearsay'"),
        ({"note": "x"}, "'note'"),
    ],
)
def test_intervals_that_do_not_fit_their_description_are_refused(tmp_path: Path, entry: Any, words: str) -> None:
    save(uncertain_model(), tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    description["uncertainty"] |= entry
    header["__metadata__"]["superpose"] = json.dumps(description)
    (tmp_path / "model").write_bytes(joined(header, tensors))
    with pytest.raises(FileError, match="is damaged") as caught:
        load(tmp_path / "model")
    assert is_one_sentence(str(caught.value)) and words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("residuals", 1e9), ("support.low", 50.0), ("scale.knots", 50.0), ("scale.high", -50.0), ("scale.growth", -1.0)],
)
def test_numbers_of_intervals_that_cannot_be_are_refused(tmp_path: Path, name: str, value: float) -> None:
    save(uncertain_model(), tmp_path / "model")
    header, _, tensors = parts_of((tmp_path / "model").read_bytes())
    start = header[f"uncertainty.{name}"]["data_offsets"][0]
    (tmp_path / "model").write_bytes(joined(header, tensors[:start] + struct.pack("<d", value) + tensors[start + 8 :]))
    with pytest.raises(FileError) as caught:
        load(tmp_path / "model")
    assert is_one_sentence(str(caught.value))


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


# -- what is refused


@pytest.mark.parametrize("name", BROKEN_MODELS)
def test_a_broken_file_gives_one_sentence_and_nothing_is_built(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("a model was built")

    make, words = BROKEN_MODELS[name]
    path = tmp_path / "model.safetensors"
    make(path)
    monkeypatch.setattr("superpose.files.KANLayer", never)
    monkeypatch.setattr("superpose.files._build", never)
    with pytest.raises(FileError) as caught:
        load(path)
    message = str(caught.value)
    assert is_one_sentence(message)
    assert message.startswith(repr(str(path)))
    assert words in message


def test_the_file_that_the_broken_ones_are_made_of_is_good(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    header, _, body = parts_of(path.read_bytes())
    path.write_bytes(joined(header, body))
    assert_same_model(load(path), good_model())


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    a_pickle(tmp_path / "model.safetensors")
    with pytest.raises(FileError):
        load(tmp_path / "model.safetensors")
    assert not (tmp_path / "canary").exists()


def test_a_file_that_is_missing_is_looked_for(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model.safetensors")
    with pytest.raises(FileError, match=r"did you mean 'model\.safetensors'\?"):
        load(tmp_path / "modle.safetensors")
    with pytest.raises(FileError, match="its folder does not exist either"):
        load(tmp_path / "no" / "model.safetensors")


def test_a_directory_names_the_model_inside_it(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model.safetensors")
    with pytest.raises(FileError, match=r"such as 'model\.safetensors'"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a file"):
        load(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, 7, None])
def test_a_path_that_cannot_be_is_one_sentence(path: Any) -> None:
    with pytest.raises(FileError) as caught:
        load(path)
    assert is_one_sentence(str(caught.value))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_damaged_anywhere_is_refused_or_is_a_sound_model(tmp_path: Path, data: st.DataObject) -> None:
    """A flipped bit in a coefficient cannot be noticed; anything else must be."""
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        model = load(path)
    except FileError as error:
        assert is_one_sentence(str(error))
    else:
        assert all(bool(torch.isfinite(t).all()) for t in model.state_dict().values())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError):
        load(path)


def test_a_header_of_more_than_16_mib_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", (16 << 20) + 1) + b"{")
        file.truncate(64 << 20)
    with pytest.raises(FileError, match="not a safetensors file"):
        load(path)


# -- functions of one's own


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


# -- what cannot be saved


def _with_nan(model: superpose.KAN) -> None:
    with torch.no_grad():
        model.layer(0).coefficients[0, 0, 0] = float("nan")


def _with_zero_scale(model: superpose.KAN) -> None:
    model.input_scale[1] = 0


def _with_two_dtypes(model: superpose.KAN) -> None:
    model.layer(1).to(torch.float32)


def _with_a_stranger(model: superpose.KAN) -> None:
    model.head = torch.nn.Linear(1, 1, dtype=torch.float64)


def _in_half(model: superpose.KAN) -> None:
    model.half()


def _unnamed(model: superpose.KAN) -> None:
    model.feature_names = ("x", "")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_with_nan, "layers.0.coefficients"),
        (_with_zero_scale, "input_scale"),
        (_with_two_dtypes, "float32 instead of float64"),
        (_with_a_stranger, "head.bias"),
        (_in_half, "float16"),
        (_unnamed, "no name of a feature"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, spoil: Any, words: str) -> None:
    model = good_model()
    spoil(model)
    with pytest.raises(OptionError) as caught:
        save(model, tmp_path / "model.safetensors")
    assert is_one_sentence(str(caught.value))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_only_models_are_saved(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"not a Linear"):
        save(torch.nn.Linear(1, 1), tmp_path / "model.safetensors")  # type: ignore[arg-type]


# -- writing


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, step: str
) -> None:
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    before = path.read_bytes()

    def fail(*args: Any) -> None:
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((FileError, KeyboardInterrupt)) as caught:
        save(superpose.KAN([1, 1]), path)
    if isinstance(failure, OSError):
        assert is_one_sentence(str(caught.value))
        assert "No space left" in str(caught.value)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    seen: list[bool] = []
    real = os.replace

    def watched(source: Any, target: Any) -> None:
        seen.append(path.exists())
        assert Path(source).parent == path.parent
        assert Path(source).read_bytes() == b"all of it"
        real(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_atomically(path, b"all of it")
    assert seen == [False]
    assert path.read_bytes() == b"all of it"


def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "ours", b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "is a directory"),
        ("no/model", "create it first"),
        ("x" * 300, "too long"),
        ("a\0b", "null"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str, words: str) -> None:
    with pytest.raises(FileError) as caught:
        save(good_model(), tmp_path / place)
    assert is_one_sentence(str(caught.value).replace(str(tmp_path), ""))
    assert words in str(caught.value)
