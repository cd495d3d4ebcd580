"""A network in NumPy, C and ONNX has the values of the model, at knots, at the ends of the grid and outside."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from formula_cases import compiled, imported
from network_cases import networks, rows
from torch import Tensor

from superpose import Dataset, fit, load
from superpose.errors import OptionError
from superpose.export import c99, hub, numpy_module, onnx, onnx_curves
from superpose.export.tables import network_table
from superpose.nn import KAN, Head, register

NETWORKS = networks()
# One of each kind, since a compiler takes its time.
IN_C = [
    *(("double", name) for name in ("products", "symbolic and removed edges", "coincident knots", "steps")),
    *(("double", name) for name in ("every function", "three classes", "numbered classes")),
    *(("float", name) for name in ("small", "every function", "two classes", "a curve between classes")),
]


@functools.cache
def expected(name: str) -> tuple[Tensor, np.ndarray]:
    """The rows of a network and its values at them, in float64."""
    model = NETWORKS[name]
    x = rows(model)
    with torch.no_grad():
        return x, model.copy().double()(x).numpy()


def scale_of(wanted: np.ndarray) -> np.ndarray:
    """The larger of each value and its column's root mean square."""
    finite = np.isfinite(wanted)
    square = np.where(finite, wanted, 0.0) ** 2
    found: np.ndarray = np.maximum(np.abs(wanted), np.sqrt(square.sum(0) / np.maximum(finite.sum(0), 1)))
    return found


def close(found: np.ndarray, wanted: np.ndarray, tolerance: np.ndarray | float) -> None:
    """Within ``tolerance`` of the scale; NaN where NaN is."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    wrong = np.isfinite(wanted) & ~(np.abs(found - wanted) <= tolerance * scale_of(wanted))
    assert not wrong.any(), f"{wrong.sum()} values differ, by {np.abs(found - wanted)[wrong].max()}"


def away_from_steps(name: str, x: Tensor) -> np.ndarray:
    """Rows where a rounding in float32 moves no value to the other side of a jump."""
    if name != "steps":
        return np.ones(len(x), dtype=bool)
    model = NETWORKS[name]
    scaled = (x - model.input_center) / model.input_scale
    distance = (scaled[:, :, None] - model.layer(0).knots[None]).abs().amin((1, 2))
    found: np.ndarray = (distance > 1e-5).numpy()
    return found


def test_the_rows_hold_knots_ends_and_what_is_outside() -> None:
    for model in NETWORKS.values():
        x, knots = rows(model), model.layer(0).knots.double()
        scaled = (x - model.input_center.double()) / model.input_scale.double()
        assert len(x) == 10_000
        for i in range(model.widths[0]):
            nearest = (scaled[:, i, None] - knots[i]).abs().amin(0)
            assert float(nearest.max()) < 1e-5 * float(knots.abs().max())
        assert bool((scaled < knots[:, 0]).any()) and bool((scaled > knots[:, -1]).any())


@pytest.mark.parametrize("name", NETWORKS)
def test_numpy(name: str, tmp_path: Path) -> None:
    model, (x, wanted) = NETWORKS[name], expected(name)
    module = imported(numpy_module(model), tmp_path, {"numpy"})
    assert model.feature_names == module.COLUMNS and model.target_names == module.TARGETS
    close(module.predict(x.numpy()), wanted, 1e-12)
    shape = (2, 5, model.widths[0])
    np.testing.assert_array_equal(
        module.predict(x[:10].reshape(shape).numpy()), module.predict(x[:10].numpy()).reshape(2, 5, -1)
    )
    if model.head is not None:
        assert model.head.labels(wanted) == module.label(x.numpy()).tolist()
        shares = model.head.probabilities(torch.from_numpy(wanted)).numpy()
        np.testing.assert_allclose(module.probabilities(x.numpy()), shares, rtol=1e-10, atol=1e-13)
        assert set(module.CLASSES) == set(module.label(x.numpy()))


def test_numpy_needs_neither_torch_nor_superpose(tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(numpy_module(NETWORKS["small"]), encoding="utf-8")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import network, numpy\n"
        "assert 'torch' not in sys.modules and 'superpose' not in sys.modules\n"
        "assert numpy.isnan(network.predict([numpy.nan, 0.0])).all()\n"
        "try:\n    network.predict([1.0])\nexcept ValueError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "x needs 2 columns in its last dimension, and has the shape (1,)\n"


MAIN = """
#include <stdio.h>
#include "network.h"

int main(void)
{
    network_real x[NETWORK_INPUTS], y[NETWORK_OUTPUTS];
    double value;
    int n;
    for (;;) {
        for (n = 0; n < NETWORK_INPUTS; n++) {
            if (scanf("%lf", &value) != 1) return 0;
            x[n] = (network_real)value;
        }
        network_predict(x, y);
        for (n = 0; n < NETWORK_OUTPUTS; n++) printf("%.17g ", (double)y[n]);
#ifdef NETWORK_CLASSES
        {
            network_real p[NETWORK_CLASSES];
            const int index = network_class(x);
            network_probabilities(x, p);
            for (n = 0; n < NETWORK_CLASSES; n++) printf("%.17g ", (double)p[n]);
            printf("%d %s", index, index < 0 ? "" : network_classes[index]);
        }
#endif
        printf("\\n");
    }
}
"""


@pytest.mark.parametrize(("precision", "name"), IN_C)
def test_c(precision: str, name: str, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    model, (x, wanted) = NETWORKS[name], expected(name)
    tolerance = 1e-12 if precision == "double" else in_single_precision(name, 1e-5)
    for file, text in c99(model, precision=precision).items():
        assert text.isascii()
        (tmp_path / file).write_text(text, encoding="utf-8")
    (tmp_path / "main.c").write_text(MAIN)
    program = compiled([tmp_path / "network.c", tmp_path / "main.c"], tmp_path)
    given = "\n".join(" ".join(map(repr, row)) for row in [*x.tolist(), [float("nan")] * x.shape[1]])
    done = subprocess.run([str(program)], input=given.encode(), capture_output=True, check=True)
    *lines, undefined = done.stdout.decode().splitlines()
    assert undefined.split()[0].strip("-") == "nan" or name == "every function"
    assert model.head is None or undefined.split()[-1] == "-1"
    if model.head is None:
        close(np.array([line.split() for line in lines], dtype=float), wanted, tolerance)
        return
    count = model.head.n_scores + len(model.head.classes)
    numbers = np.array([line.split()[:count] for line in lines], dtype=float)
    scores, shares = numbers[:, : model.head.n_scores], numbers[:, model.head.n_scores :]
    close(scores, wanted, tolerance)
    probabilities = model.head.probabilities(torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(shares, probabilities, atol=1e-12 if precision == "double" else 1e-5)
    labels = [line.split(maxsplit=count + 1)[count + 1] for line in lines]
    same = np.mean([one == other for one, other in zip(labels, model.head.labels(wanted), strict=True)])
    assert same == 1 if precision == "double" else same > 0.999


def in_single_precision(name: str, least: float) -> np.ndarray:
    """For each output the share that float32 may lose: ``least``, or twice what torch loses in it, as near poles."""
    x, wanted = expected(name)
    kept = away_from_steps(name, x)
    with torch.no_grad():
        values = NETWORKS[name].copy().float()(x.float()).double().numpy()
    lost = (np.abs(values - wanted) / scale_of(wanted))[kept]
    found: np.ndarray = np.maximum(least, 2 * np.nanmax(np.where(np.isfinite(lost), lost, 0.0), 0))
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model, (x, wanted) = NETWORKS[name], expected(name)
    onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"x": x.float().numpy()}), strict=True))
    kept = away_from_steps(name, x)
    close(found["y"][kept].astype(float), wanted[kept], in_single_precision(name, 1e-6))
    assert session.run(["y"], {"x": x[:3].float().numpy()})[0].shape == (3, model.widths[-1])
    if model.head is None:
        assert names == ["y"]
        return
    shares = model.head.probabilities(torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(found["probabilities"], shares, atol=1e-5)
    assert np.mean(found["label"] == np.array(model.head.labels(wanted))) > 0.999
    undefined = session.run(["label"], {"x": np.full((1, 2), np.nan, dtype=np.float32)})
    assert undefined[0].tolist() == [""]


@pytest.mark.parametrize("way", ["clipped", "curve", "input"])
@pytest.mark.parametrize(
    "name", ["small", "uneven grids", "coincident knots", "degree 5", "straight lines", "three classes", "fine grids"]
)
def test_every_way_of_computing_splines_in_onnx(
    name: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    dear = {"clipped": {"curves": 1e9, "row": 1e9}, "curve": {"span": 1e9, "row": 1e6}, "input": {"span": 1e9}}
    monkeypatch.setattr(
        onnx_curves, "RULES", onnx_curves.Rules(**dear[way] | ({"curves": 1e6} if way == "input" else {}))
    )
    model, (x, wanted) = NETWORKS[name], expected(name)
    onnx(model, tmp_path / "model.onnx")
    gathers = {"clipped": set(), "curve": {"GatherElements"}, "input": {"Gather"}}[way]
    used = {node.op_type for node in pytest.importorskip("onnx").load(tmp_path / "model.onnx").graph.node}
    assert gathers <= used and (gathers or "GatherElements" not in used)
    # Neighbours of equal width share a variable where the degree is odd and the spline smooth between them.
    shared = {"small", "degree 5", "three classes", "fine grids"}
    assert ("Abs" in used) == (way == "clipped" and name in shared)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    x = torch.cat([x, torch.tensor([[1e20], [-1e20]], dtype=torch.float64).expand(-1, x.shape[1])]).float()
    found = session.run(["y"], {"x": x.numpy()})[0].astype(float)
    close(found[:-2], wanted, in_single_precision(name, 1e-6))
    with torch.no_grad():
        np.testing.assert_allclose(found[-2:], model.copy().double()(x[-2:].double()), rtol=1e-5)
    x[0, 0] = np.nan
    assert np.isnan(session.run(["y"], {"x": x[:1].numpy()})[0]).all()


def test_the_units_of_the_target_are_those_of_the_last_layer_in_onnx(tmp_path: Path) -> None:
    package = pytest.importorskip("onnx")
    counts = {}
    for center, scale in ((0.0, 1.0), (3.0, 2.0), (1e6, 2.0)):
        model = NETWORKS["small"].copy()
        model.output_center.fill_(center)
        model.output_scale.fill_(scale)
        onnx(model, tmp_path / "model.onnx")
        counts[center] = len(package.load(tmp_path / "model.onnx").graph.node)
    # A value far from zero, against its range, is added last, where it takes no digits from sums.
    assert counts[0.0] == counts[3.0] == counts[1e6] - 1


def test_onnx_goes_on_where_a_row_is_no_number_or_far_away(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    for name in ("small", "straight lines", "steps", "uneven grids", "fine grids", "coincident knots"):
        model = NETWORKS[name]
        x = torch.zeros(5, model.widths[0])
        x[1, 0], x[2], x[3] = np.nan, 1e20, -1e20
        with torch.no_grad():
            wanted = model(x).numpy()
        onnx(model, tmp_path / "model.onnx")
        session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
        found = session.run(["y"], {"x": x.numpy()})[0]
        assert np.isnan(found[1]).all(), name
        np.testing.assert_allclose(found[[0, 2, 3, 4]], wanted[[0, 2, 3, 4]], rtol=1e-5, atol=1e-6, err_msg=name)


def test_onnx_uses_standard_operators_of_version_18_only(tmp_path: Path) -> None:
    package = pytest.importorskip("onnx")
    for model in NETWORKS.values():
        onnx(model, tmp_path / "model.onnx")
        made = package.load(tmp_path / "model.onnx")
        assert [(one.domain, one.version) for one in made.opset_import] == [("", 18)]
        assert {node.domain for node in made.graph.node} == {""} and not made.functions
        facts = {one.key: one.value for one in made.metadata_props}
        assert facts["features"].isascii()


def test_tables_of_a_pruned_network_hold_live_edges_only() -> None:
    model = KAN([2, 3, 1]).with_mask([(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 1)], False)
    first, second = network_table(model).layers[0].curves
    assert first is None and second is not None and second[0] == (0, 2)


def test_what_cannot_be_exported_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = KAN([1, 1])
    broken.layer(0).coefficients.data[0] = float("nan")
    for export in (numpy_module, c99, lambda model: onnx(model, tmp_path / "model.onnx")):
        with pytest.raises(OptionError, match=r"the model holds a NaN or an infinity in 'layers.0.coefficients'"):
            export(broken)
        with pytest.raises(OptionError, match=r"a superpose.KAN can be exported, not a int"):
            export(3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="name must be a letter"):
        c99(KAN([1, 1]), name="a b")
    with pytest.raises(OptionError, match="precision must be double or float, not 'half'"):
        c99(KAN([1, 1]), precision="half")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"which is not installed; pip install 'superpose\[onnx\]' adds it"):
        onnx(KAN([1, 1]), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_registered_functions_without_code_are_named(tmp_path: Path, own_functions: None) -> None:
    import sympy

    z = sympy.Symbol("z", real=True)
    register("bessel-of-export", sympy.besselj(0, z), evaluate=torch.special.bessel_j0, derivative=torch.sin)
    model: Any = KAN([1, 1])
    model.layer(0).set_symbolic({(0, 0): ("bessel-of-export", (1.0, 0.0, 1.0, 0.0))})
    for export in (numpy_module, c99, lambda one: onnx(one, tmp_path / "model.onnx")):
        with pytest.raises(OptionError, match=r"besselj"):
            export(model)


def test_names_of_classes_are_data_in_c() -> None:
    model = KAN([1, 2])
    model.head = Head("softmax", ('"; abort(); "', "??/\n"))
    text = c99(model)["network.c"]
    assert '{"\\042; abort(); \\042", "\\077\\077/\\012"}' in text


def test_a_network_of_categories_and_gaps_is_exported_behind_its_preparation(tmp_path: Path) -> None:
    """Every exporter takes the columns of ``model.feature_names``, which a data set of the raw table has."""
    row = np.arange(60)
    raw = pandas.DataFrame(
        {"kind": np.array(["a", "b", "größe"])[row % 7 % 3], "size": row * 5 % 16 / 16, "y": np.cos(row)}
    )
    raw.loc[::9, "size"] = np.nan
    data = Dataset.from_frame(raw, target="y", missing="indicator")
    model = KAN([data.n_features, [2, [2]], 1], grid_size=2, seed=1)
    fit(model, data, steps=2)
    assert model.feature_names == ("kind = a", "kind = b", "kind = größe", "size", "size is missing")
    x, wanted = data.x.numpy(), model.predict(raw.drop(columns="y"))
    module = imported(numpy_module(model), tmp_path, {"numpy"})
    assert model.feature_names == module.COLUMNS
    close(module.predict(x), wanted, 1e-12)
    if shutil.which("gcc") is not None:
        for file, text in c99(model).items():
            (tmp_path / file).write_text(text, encoding="utf-8")
        (tmp_path / "main.c").write_text(MAIN)
        program = compiled([tmp_path / "network.c", tmp_path / "main.c"], tmp_path)
        given = "\n".join(" ".join(map(repr, values)) for values in x.tolist())
        done = subprocess.run([str(program)], input=given.encode(), capture_output=True, check=True)
        close(np.array(done.stdout.split(), dtype=float)[:, None], wanted, 1e-12)
    runtime = pytest.importorskip("onnxruntime")
    onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    close(session.run(["y"], {"x": x.astype(np.float32)})[0].astype(float), wanted, 5e-6)
    hub(model, tmp_path / "hub")
    np.testing.assert_array_equal(load(tmp_path / "hub" / "model.safetensors").predict(raw), wanted)
