"""What holds for every public object: it can be pickled and copied, and what it prints is short."""

from __future__ import annotations

import copy
import inspect
import io
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import sympy
import torch

import benchmarks.problems
import superpose
from benchmarks.problems.known_function import KnownFunction
from helpers import is_one_sentence, run_python
from superpose import KAN, Dataset, Formula, KANLayer, plot
from superpose.edit.combining import combine
from superpose.formulas.recommendation import Finding
from superpose.nn.symbolic_functions import SymbolicFunction, find, power
from superpose.stopping import StopReason
from superpose.tasks.classification import Classification, ClassificationDataset, ScoreFormula
from superpose.tasks.comparison import MethodComparison, MethodResult
from superpose.tasks.pde import Box, Solution, SolveRecord, SolveSettings
from superpose.tasks.regression.search import Result
from superpose.tasks.relations import InnerFunction, Relation, Relations
from superpose.tasks.sweeps import SweepResult, SweptFit

DOUBLE = torch.float64
X = 2 * torch.rand(840, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE) - 1


def network() -> KAN:
    model = KAN([2, 2, 1], grid_size=3, seed=0, feature_names=["a", "b"], target_names=["f"])
    model(X[:1])
    return model


def symbolic() -> KAN:
    model = KAN([2, 1], grid_size=3, feature_names=["a", "b"], target_names=["f"])
    # A function of the library and one made on demand, and frozen constants.
    edges = {(0, 0): ("sin", (1.0, 0.0, 2.0, 0.0)), (1, 0): ("x^(2/3)", (1.0, 2.0, 1.0, 0.0))}
    model.layer(0).set_symbolic(edges, {(0, 0): "ab"})
    return model


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """One or more objects of every public class, by what they are."""
    data = Dataset.from_arrays(X, X[:, 0] + X[:, 1] ** 2, feature_names=["a", "b"], target_names=["f"])
    trained = network()
    history = superpose.fit(trained, data, grids=(3,), steps=2, starts=1, progress=False)
    formula = Formula.of(symbolic())
    with torch.no_grad():
        trace = network().trace(X)
    classes = (X[:, 0] > 0).long()
    labelled = ClassificationDataset.from_arrays(X, [["no", "yes"][k] for k in classes.tolist()])
    classifier = KAN([2, 1], seed=0)
    classifier.head = superpose.nn.Head("sigmoid", ("no", "yes"))
    expression = sympy.Symbol("a", real=True) ** 2
    score = ScoreFormula(expression, 1.0, 0.5, 3, 0.1)
    inner = InnerFunction("a", X[:, 0], X[:, 1], "sin", 0.99)
    relation = Relation(("a", "b"), "b", False, 0.9, 0.1, formula, 0.1, "b = a", 0.0, 3, 3, (inner,))
    finding = Finding(formula, symbolic(), 0.1, 0.1)
    metrics = {f"fact {n}": [float(n)] * 20 for n in range(40)}
    law = superpose.formulas.Law(expression, 0.1, "")
    record = SolveRecord(0, "start", 3, 100, 1.0, 0.0)
    return {
        "network": network(),
        "trained network": trained,
        "symbolic network": symbolic(),
        "network with products": KAN([2, [1, [2]], 1]),
        "classifier": classifier,
        "compiled network": torch.compile(symbolic(), backend="eager"),
        "layer": KANLayer(2, 2, products=(2,), generator=torch.Generator().manual_seed(0)),
        "head": classifier.head,
        "data set": data,
        "scaling": data.x_scale,
        "history": history,
        "record": history.records[0],
        "memory": superpose.train.remember(trained, data),
        "fit settings": superpose.FitSettings(),
        "search result": superpose.SearchResult(trained, history, [], "the time was over"),
        "trace": trace,
        "layer's trace": trace.layers[0],
        "scores": superpose.edit.attribution_scores(trained, data),
        "function": superpose.library()["sin"],
        "power": power(0.123),
        "candidate": superpose.formulas.Candidate("sin", (1.0, 0.0, 1.0, 0.0), 0.99, 3, 1.0),
        "formula": formula,
        "formula with splines": Formula.of(trained),
        "fit of a form": superpose.fit_formula(data, "+".join(f"c{n}*a^{n}*b^2" for n in range(12))),
        "comparison": superpose.edit.compare([trained, symbolic()], data),
        "row of a comparison": superpose.edit.compare([trained], data).rows[0],
        "combined columns": combine(data, ["a*b"]),
        "backends": superpose.backends(),
        "options": superpose.DiscoverOptions(),
        "knowledge": superpose.Knowledge(increasing=("a",), values=(({"a": 0.0}, 0.0),)),
        "options of a classifier": superpose.ClassifyOptions(),
        "finding": finding,
        "result": Result(trained, symbolic(), formula, history, data, metrics, [finding] * 30),
        "labels": labelled,
        "formula of a score": score,
        "classification": Classification(
            classifier, None, formula, history, data, metrics, labelled, [[score] * 9] * 2
        ),
        "law": law,
        "laws": superpose.formulas.LawSearchResult((law,) * 30, law, True, "a law was found", 0.0, False, {}),
        "inner function": inner,
        "relation": relation,
        "relations": Relations((relation,), ("a", "b"), (), 840, 0.5, "all were tried", False, 1.0, "table.csv"),
        "options of a comparison": superpose.CompareOptions(),
        "method of a comparison": (method := MethodResult("gp", "the Gaussian process", 0.5, 0.1, losses=(0.5,) * 50)),
        "methods compared": MethodComparison(
            (method,) * 9, "regression", "y", ("a",), 40, 5, 1, 0, "gp", "gp", (), "use it"
        ),
        "fit of a sweep": (swept := SweptFit("table 1", {"hidden": (5,)}, 0, [{"error": 0.1}], content=b"0" * 900)),
        "sweep": SweepResult("fit", (swept,) * 40, 40),
        "problem": benchmarks.problems.feynman()["I.12.11"],
        "variable": benchmarks.problems.feynman()["I.12.11"].variables[0],
        "problem with a law": next(iter(benchmarks.problems.laws().values())),
        "box": Box((0, 0), (1, 1)),
        "solution": Solution((record,) * 50, "lm", StopReason.CONVERGED, "it converged", 1e-9, {"equation": 1e-9}, 1.0),
        "record of a solution": record,
        "solver settings": SolveSettings(),
        "error": superpose.DataError("'t.csv' has no column 'a'; name another"),
        "file error": superpose.FileError("'t.csv' does not exist; check the path"),
    }


def test_every_public_class_has_an_example(examples: dict[str, Any]) -> None:
    seen = {type(one) for one in examples.values()}
    for module in (
        superpose,
        superpose.tasks.classification,
        superpose.tasks.comparison,
        superpose.tasks.relations,
        superpose.tasks.sweeps,
    ):
        for name in module.__all__:
            one = getattr(module, name)
            if inspect.isclass(one) and not issubclass(one, Exception | dict):
                assert one in seen, f"give {name} an example, so that its printing and pickling are tested"


def numbers(value: Any) -> list[torch.Tensor]:
    """What a model says, as the sign that two are the same."""
    model = getattr(value, "_orig_mod", value)
    if not isinstance(model, KAN):
        return []
    with torch.no_grad():
        return [model(X), *model.state_dict().values()]


def by_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301  (its own)


def by_torch(value: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("way", [by_pickle, by_torch, copy.deepcopy], ids=["pickle", "torch.save", "deepcopy"])
def test_it_is_pickled_and_copied(examples: dict[str, Any], way: Any) -> None:
    """A model with a symbolic edge could not be saved with torch.save, nor sent to another process."""
    for kind, value in examples.items():
        if isinstance(value, KnownFunction):
            continue  # Its function has no name of its own; the problem is found by its name.
        back = way(value)
        assert type(back) is type(value), kind
        assert repr(back) == repr(value), kind
        for mine, other in zip(numbers(value), numbers(back), strict=True):
            assert torch.equal(mine, other), kind


def test_what_it_prints_is_short(examples: dict[str, Any]) -> None:
    """A data set printed all of its rows in a notebook, 840 lines, and a result did too."""
    for kind, value in examples.items():
        text = repr(value)
        assert len(text) < 1500, kind
        assert text.count("\n") <= 12, kind
        assert "tensor([[" not in text and "\n        [" not in text, kind
        assert " object at 0x" not in text, kind


def test_a_data_set_says_what_is_in_it() -> None:
    rows = {"time": range(840), "<b>": numpy.arange(840) ** 2, "word": ["w"] * 840, "y": range(840)}
    data = Dataset.from_frame(pandas.DataFrame(rows), target="y", source="t.csv")
    assert repr(data) == (
        "Dataset(840 rows: 588 train, 126 validation, 126 test; features: 'time', '<b>', targets: 'y', "
        "left out: 'word', source: 't.csv')"
    )
    shown = data._repr_html_()
    assert "840 rows" in shown and "&lt;b&gt;" in shown and "<b>" not in shown
    assert shown.count("<tr") == 6
    wide = Dataset.from_arrays(torch.rand(50, 400, generator=torch.Generator().manual_seed(0)), range(50))
    assert len(repr(wide)) < 400 and len(wide._repr_html_()) < 10_000


def test_a_function_is_found_by_its_name(own_functions: None) -> None:
    z = sympy.Symbol("z")
    mine = superpose.register("my-function", z / (1 + z**2))
    assert by_pickle(mine) is find("my-function")
    text = pickle.dumps(mine)
    superpose.nn.symbolic_functions._REGISTERED.clear()
    with pytest.raises(superpose.OptionError) as caught:
        pickle.loads(text)  # noqa: S301  (its own)
    assert is_one_sentence(str(caught.value)) and "register" in str(caught.value)
    # One of the same name that is another function is not what was pickled.
    superpose.register("my-function", z**7)
    stranger = SymbolicFunction("my-function", mine.expression, 3, torch.sin, torch.cos)
    assert by_pickle(stranger).evaluate is torch.sin
    assert copy.deepcopy(mine) == mine


def test_a_pickled_model_is_read_in_a_fresh_process(tmp_path: Path) -> None:
    torch.save(symbolic(), tmp_path / "model.pt")
    numpy.save(tmp_path / "x.npy", X.numpy())
    script = (
        "import numpy, torch, sys; folder = sys.argv[1]; x = torch.from_numpy(numpy.load(folder + '/x.npy'));"
        "model = torch.load(folder + '/model.pt', weights_only=False);"
        "print(float(model(x).sum()).hex())"
    )
    finished = run_python("-c", script, str(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == float(symbolic()(X).sum().detach()).hex()


def test_a_symbolic_model_goes_to_worker_processes() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(symbolic().predict, [X.numpy()])[0]
    assert numpy.array_equal(found, symbolic().predict(X))


def test_pictures_are_pickled() -> None:
    picture = plot.network(symbolic(), X)
    back = by_pickle(picture)
    assert type(back) is type(picture)
    assert plot.render(back, "svg") == plot.render(picture, "svg")
    assert back._repr_png_().startswith(b"\x89PNG")
