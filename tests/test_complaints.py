"""What users of other libraries complained about, one section each: these tests fail in the way they described.

The numbers are those of our own list of complaints; each test says in its own words what went wrong for people.
"""

from __future__ import annotations

import os
import random as python_random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import superpose
from helpers import SOURCE, is_one_sentence
from superpose import KAN, DataError, Dataset, Formula, ShapeError, plot
from superpose.optim.penalty import magnitudes

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def table(count: int = 150) -> Dataset:
    x = random(count, 3)
    return Dataset.from_arrays(x, torch.sin(2 * x[:, :1]) + x[:, 1:2] ** 2, feature_names=["a", "b", "c"])


def fitted(widths: list[int], **options: Any) -> tuple[KAN, Dataset]:
    data, model = table(), KAN(widths, seed=0)
    superpose.fit(model, data, **({"grids": (5,), "steps": 20, "progress": False} | options))
    return model, data


def finite(model: KAN, x: Tensor) -> bool:
    tensors = [*model.state_dict().values(), model(x)]
    return all(bool(torch.isfinite(value).all()) for value in tensors)


def rmse(model: KAN, data: Dataset, split: Any = "test") -> float:
    x, y = data.rows(split)
    with torch.no_grad():
        return float((model(x) - y).square().mean().sqrt())


# -- 5: least squares that fail at grid updates, NaN after refinement or with L-BFGS


def awkward() -> dict[str, Tensor]:
    """Samples that leave grid intervals empty, coincide, or lie far from everything else."""
    spread = random(120, 2)
    return {
        "few values, often": spread.sign() * 0.5,
        "an outlier": torch.cat([1e-3 * spread, torch.tensor([[1e4, -1e4]], dtype=DOUBLE)]),
        "fewer rows than intervals": spread[:6],
        "one column constant": torch.stack([spread[:, 0], torch.full((120,), 0.25, dtype=DOUBLE)], -1),
        "tiny": 1e-12 * spread,
        "huge": 1e12 * spread,
    }


@pytest.mark.parametrize("kind", awkward())
def test_5_grids_follow_awkward_samples_without_nan(kind: str) -> None:
    """Updating the grid from samples raised errors from least squares, or left NaN in the model."""
    x, model = awkward()[kind], KAN([2, 3, 1], seed=0)
    for blend in (0.0, 0.5, 1.0):
        adapted = model.adapt(x, blend=blend)
        assert finite(adapted, x)
        for size in (20, 200):
            finer = adapted.refine(size)
            assert finite(finer, x)
            with torch.no_grad():
                # And it is the same function still: a refinement loses nothing.
                scale = float(adapted(x).abs().max())
                assert float((finer(x) - adapted(x)).abs().max()) < 1e-9 * max(scale, 1.0)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_5_refining_while_training_never_gives_nan(optimizer: str) -> None:
    """Training went on to NaN after the grid was refined, most of all with L-BFGS."""
    data, model = table(60), KAN([3, 2, 1], grid_size=3, seed=0)
    # More intervals than rows: many coefficients have no samples at all.
    history = superpose.fit(model, data, optimizer=optimizer, grids=(3, 30, 90), steps=15, progress=False)
    assert history.grids == [3, 30, 90] and "NaN" not in history.reason
    assert all(np.isfinite([r.train_loss, r.validation_loss]).all() for r in history.records)
    assert finite(model, 3 * random(50, 3))
    for before, after in zip(history.records, history.records[1:], strict=False):
        if after.event == "refine":
            assert after.train_loss == pytest.approx(before.train_loss, rel=1e-9)


def test_5_lbfgs_reaches_what_it_should() -> None:
    """L-BFGS stood still or diverged where a fit was easy."""
    data, model = table(), KAN([3, 1], seed=0)
    history = superpose.fit(model, data, optimizer="lbfgs", steps=60, progress=False)
    assert history.validation_rmse < 0.05 * data.target_std
    assert finite(model, data.x)


# -- 7: pruning that cuts a layer off, gives NaN, or returns nothing


def test_7_pruning_leaves_a_way_from_inputs_to_outputs() -> None:
    """Pruning at a high threshold removed a whole layer, and what was left gave NaN or a constant."""
    model, data = fitted([3, 4, 2, 1])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for threshold in (0.0, 0.01, 0.3, 0.999, 1.0):
        smaller = superpose.prune(model, data, threshold=threshold)
        # A model of its own, and the old one as it was.
        assert isinstance(smaller, KAN) and smaller is not model
        assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
        assert finite(smaller, data.x)
        assert smaller.widths[0] == 3 and smaller.widths[-1] == 1
        assert all(bool(layer.mask.any(0).all()) for layer in smaller.kan_layers())
        # The output still moves with the inputs.
        assert float(smaller(data.x).std(correction=0).detach()) > 0


def test_7_a_pruned_model_is_one_to_go_on_with() -> None:
    """What pruning returned could not be trained, saved, drawn or read."""
    model, data = fitted([3, 2, 1])
    smaller = superpose.prune(model, data, threshold=0.05)
    history = superpose.fit(smaller, data, grids=(5,), steps=10, sparsity=1e-3, progress=False)
    assert np.isfinite(history.validation_rmse)
    history = superpose.fit(smaller, data, optimizer="lbfgs", steps=5, sparsity=1e-3, progress=False)
    assert "NaN" not in history.reason and finite(smaller, data.x)
    assert plot.render(plot.network(smaller, data.x), "svg")
    assert all(bool(torch.isfinite(size).all()) for size in magnitudes(smaller.trace(data.x)))
    formula = Formula.of(smaller)
    assert formula.difference(smaller, data.x) < 1e-9


# -- 9: constructors that reseed everybody, runs that do not repeat


def test_9_nobody_elses_random_numbers_change(untouched_globals: None) -> None:
    """Making a model reset the seeds of the whole process, so that two experiments drew the same numbers."""
    python_before = python_random.getstate()
    model, data = fitted([3, 2, 1], starts=2)
    superpose.fit(model, data, optimizer="adamw", steps=5, progress=False)
    model.adapt(data.x).refine(9)
    superpose.prune(model, data)
    superpose.edit.suggest(model, data, (0, 0, 0), functions=["x", "sin"])
    superpose.edit.straighten(model, data, time_limit=1e-9)
    plot.render(plot.network(model, data.x), "svg")
    assert python_random.getstate() == python_before


def test_9_one_seed_is_one_result_in_any_process() -> None:
    """The same script with the same seed gave other numbers at every start."""
    script = (
        "import torch, superpose\n"
        "g = torch.Generator().manual_seed(0)\n"
        "x = torch.rand(80, 2, generator=g, dtype=torch.float64)\n"
        "model = superpose.KAN([2, 2, 1], seed=5)\n"
        "superpose.fit(model, (x, x[:, :1] * x[:, 1:]), optimizer='adamw', steps=20, batch_size=16, progress=False)\n"
        "superpose.fit(model, (x, x[:, :1] * x[:, 1:]), steps=3, starts=2, grids=(5,), progress=False)\n"
        "print(*(float(value.double().sum()).hex() for value in model.state_dict().values()))\n"
    )
    outputs = []
    for hashes in ("1", "2"):
        environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": hashes}
        done = subprocess.run(
            [sys.executable, "-c", f"import torch\ntorch.manual_seed({hashes})\n{script}"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] and outputs[0].strip()


def test_9_other_seeds_are_other_starts() -> None:
    """Every layer, and every seed, began from the same numbers."""
    weights = [layer.base_weight.detach() for seed in (0, 1) for layer in KAN([3, 3, 3], seed=seed).kan_layers()]
    for n, one in enumerate(weights):
        for other in weights[n + 1 :]:
            assert not torch.equal(one, other)


# -- 10: pictures not saved, files nobody asked for, models that do not come back


def test_10_pictures_are_saved_where_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots were neither shown nor saved, or were saved blank."""
    monkeypatch.delenv("DISPLAY", raising=False)
    model, data = fitted([3, 2, 1])
    for suffix, start in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        path = tmp_path / f"network{suffix}"
        plot.save_figure(plot.network(model, data.x), path)
        assert path.read_bytes().startswith(start)
    drawn = (tmp_path / "network.svg").read_text()
    assert all(f">{name}<" in drawn for name in ("a", "b", "c"))
    assert drawn.count("<path") > 20


def test_10_nothing_is_written_that_nobody_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constructors and training left folders of checkpoints and pictures in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    model, data = fitted([3, 2, 1])
    superpose.fit(model, data, optimizer="lbfgs", steps=3, progress=False)
    smaller = superpose.prune(model.refine(8), data)
    superpose.edit.attribution_scores(smaller, data)
    symbolic = superpose.edit.fix(smaller, data, smaller.active_edges()[0], "x")
    superpose.edit.refit(symbolic, data, steps=2)
    Formula.of(symbolic).python()
    plot.network(symbolic, data.x)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_10_a_saved_model_comes_back_whole(tmp_path: Path) -> None:
    """Loading lost the grid, the symbols, the scaling or the names, or needed the class's arguments again."""
    model, data = fitted([3, 2, 1])
    model = superpose.prune(superpose.edit.fix(model, data, (0, 0, 0), "sin"), data, inputs=["c"]).refine([7, 11])
    superpose.save(model, tmp_path / "model.safetensors")
    loaded = superpose.load(tmp_path / "model.safetensors")
    with torch.no_grad():
        assert torch.equal(loaded(data.x), model(data.x))
    assert [layer.symbolic_table() for layer in loaded.kan_layers()] == [
        layer.symbolic_table() for layer in model.kan_layers()
    ]
    assert loaded.feature_names == model.feature_names == ("a", "b", "c")
    assert [layer.grid_size for layer in loaded.kan_layers()] == [7, 11]
    # And it can be trained on.
    history = superpose.fit(loaded, data, steps=3, grids=(11,), progress=False)
    assert history.train_rmse <= rmse(model, data, "train") * (1 + 1e-6)


# -- 11: values outside the grid


def test_11_values_outside_the_grid_go_on_smoothly() -> None:
    """Outside its grid a network fell to zero or to NaN, and its gradient vanished."""
    model = KAN([2, 1], seed=0, base="none")
    layer = model.layer(0)
    layer.coefficients.data += random(*layer.coefficients.shape)
    line = torch.linspace(-1, 1, 2001, dtype=DOUBLE) * 10
    x = torch.stack([line, torch.zeros_like(line)], -1).requires_grad_()
    values = model(x)[:, 0]
    (slopes,) = torch.autograd.grad(values.sum(), x)
    assert bool(torch.isfinite(values).all())
    # No jump anywhere, and beyond either end the slope that it had there.
    assert float(values.diff().abs().max().detach()) < 0.01 * 1.5 * float(slopes.abs().max())
    for outside in (line < -1.001, line > 1.001):
        assert float(slopes[outside, 0].abs().min()) > 1e-3
        assert float(slopes[outside, 0].std()) < 1e-12


def test_11_predictions_beyond_the_training_data_are_sane() -> None:
    """A prediction just beyond the training range was off by orders of magnitude."""
    x = random(200, 1)
    data = Dataset.from_arrays(x, 2 * x + 0.3 * torch.sin(3 * x))
    model = KAN([1, 1], seed=0)
    superpose.fit(model, data, grids=(5, 10), progress=False)
    beyond = torch.tensor([[-1.2], [1.2], [5.0], [-1e6]], dtype=DOUBLE)
    with torch.no_grad():
        values, ends = model(beyond)[:, 0], model(torch.tensor([[-1.0], [1.0]], dtype=DOUBLE))[:, 0]
    assert abs(float(values[0] - ends[0])) < 1.0 and abs(float(values[1] - ends[1])) < 1.0
    assert bool(torch.isfinite(values).all()) and abs(float(values[3])) < 1e7


def test_11_activations_that_leave_their_grid_still_learn() -> None:
    """Hidden activations wandered off their grid and the edges behind them stopped learning."""
    data, model = table(), KAN([3, 2, 1], seed=0)
    for layer in model.kan_layers()[:1]:
        layer.coefficients.data += 20.0 * random(*layer.coefficients.shape)
    start = rmse(model, data, "train")
    superpose.fit(model, data, optimizer="adamw", adapt=False, steps=1, progress=False)
    model.zero_grad()
    model(data.x).square().mean().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0
    superpose.fit(model, data, grids=(5,), steps=30, progress=False)
    assert rmse(model, data, "train") < 0.1 * start


# -- 13: shapes that do not belong together and say nothing


@pytest.mark.parametrize("optimizer", ["lm", "adamw"])
@pytest.mark.parametrize("form", ["flat", "column", "row", "list", "numpy", "series"])
def test_13_labels_of_any_form_are_the_same_labels(form: str, optimizer: str) -> None:
    """A flat vector of labels was broadcast against a column of predictions to a square, and the fit was nonsense."""
    x = random(90, 2)
    y = x[:, 0] - 0.5 * x[:, 1] ** 2
    forms: dict[str, Any] = {
        "flat": y,
        "column": y[:, None],
        "row": y[None, :],
        "list": y.tolist(),
        "numpy": y.numpy(),
        "series": pd.Series(y.numpy()),
    }
    model = KAN([2, 1], seed=0)
    steps = {"lm": 20, "adamw": 400}[optimizer]
    superpose.fit(model, (x, forms[form]), optimizer=optimizer, steps=steps, learning_rate=0.05, progress=False)
    with torch.no_grad():
        prediction = model(x)
    assert prediction.shape == (90, 1)
    # A fit against a square of labels ends at their mean, with the whole spread left.
    assert float((prediction[:, 0] - y).square().mean().sqrt()) < 0.2 * float(y.std())


def test_13_more_columns_than_features_are_refused() -> None:
    """Columns beyond the first few were ignored without a word."""
    model, _ = fitted([3, 1])
    for columns in (1, 2, 4):
        wide = random(10, columns)
        for call in (lambda x: model(x), lambda x: model.trace(x), lambda x: model.layer(0)(x)):
            with pytest.raises(ShapeError) as caught:
                call(wide)
            assert "3 features" in str(caught.value) and is_one_sentence(str(caught.value))
        with pytest.raises(DataError) as refused:
            model.predict(wide.numpy())
        assert is_one_sentence(str(refused.value))
        with pytest.raises(ShapeError):
            superpose.fit(model, (random(50, columns), random(50)), progress=False)
    with pytest.raises(ShapeError):
        model(random(3, 3)[0, 0])


def test_13_rows_that_do_not_match_are_refused() -> None:
    """Tables of different lengths were cut or broadcast to fit."""
    for x, y in ((random(50, 2), random(49)), (random(50, 2), random(1)), (random(50, 2), random(50, 50))):
        with pytest.raises((DataError, ShapeError)) as caught:
            superpose.fit(KAN([2, 1], seed=0), (x, y), progress=False)
        assert is_one_sentence(str(caught.value))


def test_13_columns_are_taken_by_name_not_by_place() -> None:
    """A table with its columns in another order gave other predictions."""
    model, data = fitted([3, 1])
    frame = pd.DataFrame(data.x.numpy(), columns=["a", "b", "c"])
    frame.insert(0, "more", 1.0)
    with torch.no_grad():
        assert np.array_equal(model.predict(frame[["c", "more", "a", "b"]]), model(data.x).numpy())
    with pytest.raises(DataError, match="'c'"):
        model.predict(frame[["a", "b", "more"]])
