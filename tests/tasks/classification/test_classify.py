"""classify finds boundaries that are known, and what it says holds for its files too."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
import sympy
import torch
from torch import Tensor

import superpose
from helpers import CountingClock
from superpose import Classification, ClassifyOptions, Formula, OptionError, classify, cli
from superpose.formulas.from_scores.label_noise import LabelNoiseHead
from superpose.nn import Head
from superpose.tasks.classification import ClassificationDataset, networks

# Far more than a search needs: it ends by itself, so that nothing here depends on the speed of the machine.
PATIENT = ClassifyOptions(time_limit=600.0)
# Where the formula is what is asked, one network beside the sums of smooth functions is enough.
ONE_SHAPE = replace(PATIENT, shape=(1, 1))


def points(count: int, columns: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(count, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def found(x: Tensor, labels: list[object], options: ClassifyOptions = PATIENT) -> Classification:
    return classify(ClassificationDataset.from_arrays(x, labels, target_name="kind"), options)


@pytest.fixture(scope="module")
def circle() -> Classification:
    x = points(600, 3)
    return found(x, ["drinnen ü" if a * a + b * b < 0.6 else "outer side" for a, b, _ in x.tolist()])


def test_a_circle_is_found_without_the_useless_column(circle: Classification) -> None:
    assert circle.head.kind == "sigmoid"
    assert circle.data.feature_names == ("x1", "x2")
    assert circle.accuracy() > 0.93
    assert circle.accuracy(of="formula") > 0.97
    (boundary,) = circle.metrics["boundaries"]
    assert "x1**2" in boundary["equation"] and "x2**2" in boundary["equation"]
    assert circle.metrics["majority_accuracy"] < 0.7
    assert circle.cross_entropy(of="formula") < 0.1
    assert "kind is outer side where" in circle.describe()


def test_the_phase_boundary_of_a_mobility_edge_is_exact() -> None:
    x = 0.2 + 0.9 * (points(1500, 4) + 1)
    result = found(x, [int(alpha * energy > 2 * (t - shift)) for alpha, energy, t, shift in x.tolist()], ONE_SHAPE)
    assert result.accuracy(of="formula") == 1.0
    assert result.metrics["boundaries"][0]["equation"].replace(" ", "") in (
        "-x1*x2/2+x3-x4=0",
        "x1*x2/2-x3+x4=0",
        "x1*x2-2*x3+2*x4=0",
    )


def test_three_classes_have_a_score_each() -> None:
    x = points(900, 2)
    radius = x.square().sum(1).tolist()
    result = found(x, ["low" if r < 0.3 else "mid" if r < 0.8 else "high" for r in radius])
    assert (result.head.kind, result.model.widths[-1]) == ("softmax", 3)
    assert result.accuracy(of="formula") > 0.95
    assert len(result.metrics["boundaries"]) == 2
    assert np.asarray(result.metrics["confusion"]).sum() == len(result.data.test)


def test_ordered_numbers_have_one_score_in_their_units() -> None:
    x = 0.5 + 1.25 * (points(800, 2) + 1)
    result = found(x, [2 * min(3, round(a * b / 2)) for a, b in x.tolist()], ONE_SHAPE)
    assert (result.head.kind, result.model.widths[-1]) == ("ordinal", 1)
    assert result.accuracy(of="formula") > 0.95
    assert str(result.formula) == "x1*x2"


def test_a_gaussian_head_finds_what_the_second_class_lies_about() -> None:
    x = points(1200, 2)
    g = 3 * (x[:, 1] - x[:, 0].square())
    on = torch.rand(1200, generator=torch.Generator().manual_seed(1), dtype=torch.float64) < torch.exp(-g.square())
    result = found(x, on.long().tolist(), replace(PATIENT, head="gaussian"))
    assert result.metrics["boundaries"][0]["equation"] in ("x1**2 - x2 = 0", "-x1**2 + x2 = 0")
    assert result.accuracy(of="formula") > 0.75


def test_the_front_holds_formulas_of_the_columns_that_are_left() -> None:
    x = points(400, 3)
    whole = found(x, [f"{a > b}" for a, b, _ in x.tolist()], ONE_SHAPE)
    a, b, c = (sympy.Symbol(name, real=True) for name in ("x1", "x2", "x3"))
    first = whole.formulas[0][0]
    others = [
        replace(first, expression=e, factor=1, complexity=n, deviance=-float(n)) for n, e in enumerate((c, b, a**2))
    ]
    data = networks.with_columns(whole.table, whole.table.data.feature_names[:2]).data
    result = replace(whole, data=data, formulas=[[first, *others]])
    assert [formula.expression for formula in result.front if formula is not result.formula] == [b, a**2]


def test_wrong_labels_do_not_move_the_boundary() -> None:
    x = points(1500, 2)
    inside = x.square().sum(1) < 0.6
    wrong = torch.rand(1500, generator=torch.Generator().manual_seed(1)) < 0.15
    result = found(
        x, ["in" if a or b else "out" for a, b in zip(inside.tolist(), wrong.tolist(), strict=True)], ONE_SHAPE
    )
    assert result.formula is not None
    named = result.head.indices(result.formula.torch(x[:, : result.data.n_features]))
    truth = torch.where(inside, result.head.classes.index("in"), result.head.classes.index("out"))
    assert float((named == truth).double().mean()) > 0.96


def test_options_that_make_no_sense_are_refused() -> None:
    data = ClassificationDataset.from_arrays(points(60, 1), ["a", "b", "c"] * 20)
    for options, message in (
        (ClassifyOptions(head="sigmod"), "did you mean 'sigmoid'"),
        (ClassifyOptions(head="sigmoid"), "two classes"),
        (ClassifyOptions(head="ordinal"), "numbers"),
        (ClassifyOptions(shape=(2, 1)), "must end with the number of scores, 3"),
        (ClassifyOptions(parameters=3), "no network fits into 3 parameters"),
        (ClassifyOptions(time_limit=0), "positive"),
    ):
        with pytest.raises(OptionError, match=message):
            classify(data, options)


def test_only_tables_of_many_rows_are_sampled_and_trained_again() -> None:
    few = ClassificationDataset.from_arrays(points(60, 1), ["a", "b", "c"] * 20)
    many = ClassificationDataset.from_arrays(points(6000, 1), ["a", "b", "c"] * 2000)
    assert networks.fewer_rows(few) is few
    assert len(networks.fewer_rows(many).data.train) == networks.RULES.max_rows < len(many.data.train)


def test_time_limits_are_kept(counted_time: CountingClock) -> None:
    x = points(3000, 6)
    result = found(x, [f"{int(2 * a)} {b > c}" for a, b, c, *_ in x.tolist()], ClassifyOptions(time_limit=5.0))
    assert result.metrics["seconds"] < 7.0


def test_label_noise_has_the_gradient_and_the_fisher_information_of_its_losses() -> None:
    head = LabelNoiseHead.from_scores(Head("sigmoid", ("a", "b")), torch.tensor([-2.0] * 50 + [3.0] * 50))
    assert head is not None and head.low == pytest.approx(0.119, abs=1e-3)
    scores = points(20, 1).requires_grad_()
    y = (points(20, 1, seed=1) > 0).double()
    (gradient,) = torch.autograd.grad(head.losses(scores, y).sum(), scores)
    scores = scores.detach()
    assert torch.allclose(head.gradient(scores, y), gradient)
    # The square of the root is the mean square of the gradient over both labels.
    labels = [torch.full_like(scores, label) for label in (0.0, 1.0)]
    chances = [torch.exp(-head.losses(scores, label)) for label in labels]
    means = sum(p * head.gradient(scores, label)[:, 0].square() for p, label in zip(chances, labels, strict=True))
    assert torch.allclose(head.hessian_root(scores, y)[:, 0, 0].square(), torch.as_tensor(means))
    assert LabelNoiseHead.from_scores(Head("sigmoid", ("a", "b")), 20 * points(100, 1)[:, 0]) is None


def test_a_classifier_is_the_same_from_its_file(circle: Classification, tmp_path: Path) -> None:
    superpose.save(circle.model, tmp_path / "m")
    again = superpose.load(tmp_path / "m")
    assert again.head == circle.head
    x = circle.data.x[:50]
    assert again.labels(x) == circle.model.labels(x)
    assert (again.probabilities(x) == circle.model.probabilities(x)).all()


def test_the_formula_of_a_classifier_is_a_network_with_the_same_head(circle: Classification) -> None:
    symbolic, formula = circle.symbolic, circle.formula
    assert symbolic is not None and formula is not None and symbolic.head == circle.head
    x = circle.data.x[:50]
    assert torch.allclose(symbolic(x).detach(), formula.torch(x), rtol=1e-9)
    assert circle.head.describe(Formula.read(symbolic).short()) == circle.describe()


def test_the_front_of_a_classifier_has_its_recommended_formula(circle: Classification) -> None:
    rows, front = circle.metrics["front"], circle.front
    assert (
        [row["complexity"] for row in rows] == [one.complexity for one in front] == sorted(o.complexity for o in front)
    )
    (best,) = [row for row in rows if row["recommended"]]
    assert best["accuracy"] == circle.metrics["formula_accuracy"]
    assert best["cross_entropy"] == pytest.approx(circle.metrics["formula_cross_entropy"])
    assert circle.formula in front and circle.metrics["recommendation"].startswith("recommended")


def test_the_program_writes_labels_and_a_module_that_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = points(300, 2)
    labels = ["in side" if a + 2 * b > 0 else "out" for a, b in x.tolist()]
    frame = pandas.DataFrame({"a": x[:, 0], "b": x[:, 1], "where": labels})
    frame.to_csv(tmp_path / "t.csv", index=False)
    arguments = ["fit", str(tmp_path / "t.csv"), "--target", "where", "--task", "classification", "--time-limit", "15"]
    assert cli.main([*arguments, "--out", str(tmp_path / "o"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == summary | {"head": "sigmoid", "classes": ["in side", "out"]}
    assert summary["formula_accuracy"] > 0.9 and summary["network_accuracy"] > 0.9
    module = runpy.run_path(str(tmp_path / "o" / "formula.py"))
    named = module["label"](a=frame["a"], b=frame["b"])
    assert (named == frame["where"]).mean() > 0.95
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "right: the network" in page and "in side" in page
    model = str(tmp_path / "o" / "model.safetensors")
    assert (
        cli.main(["predict", model, str(tmp_path / "t.csv"), "--out", str(tmp_path / "p.csv"), "--probabilities"]) == 0
    )
    assert cli.main(["formula", model]) == 0
    assert capsys.readouterr().out == summary["formula"] + "\n"
    assert cli.main(["formula", model, "--format", "python"]) == 0
    (tmp_path / "again.py").write_text(capsys.readouterr().out, encoding="utf-8")
    again = runpy.run_path(str(tmp_path / "again.py"))["label"](a=frame["a"], b=frame["b"])
    assert (again == named).all()
    assert superpose.load(tmp_path / "o" / "network.safetensors").head.classes == ("in side", "out")
    written = pandas.read_csv(tmp_path / "p.csv")
    assert (written["where_predicted"] == written["where"]).mean() > 0.9
    assert np.allclose(written["P(where = in side)"] + written["P(where = out)"], 1)
    assert cli.main(["info", model]) == 0
    assert "in side, out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--task", "clasification"], "did you mean 'classification'"),
        (["--head", "sigmoid"], "add --task classification"),
        (["--task", "classification", "--head", "soft"], "--head"),
        (["--task", "classification", "--optimizer", "adamw"], "--optimizer is for numbers"),
        (["--task", "classification", "--log-target", "no"], "--log-target are for numbers"),
        (["--log-target", "maybe"], "--log-target is 'maybe' and must be one of auto, yes, no"),
    ],
)
def test_a_slip_on_the_command_line_is_one_sentence(
    extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fit", "examples/data/knots.csv", "--target", "signature", *extra]) == 2
    assert message in capsys.readouterr().err


def test_columns_may_be_in_any_units_and_far_from_zero() -> None:
    x = points(500, 2)
    labels = ["in" if a * a + b * b < 0.6 else "out" for a, b in x.tolist()]
    moved = x * torch.tensor([3e-30, 2e8]) + torch.tensor([0.0, 1e12])
    assert found(moved, labels, ONE_SHAPE).accuracy(of="formula") > 0.95


def test_classes_that_depend_on_nothing_have_no_formula() -> None:
    coins = torch.rand(500, generator=torch.Generator().manual_seed(5)).tolist()
    result = found(points(500, 2), ["heads" if coin < 0.5 else "tails" for coin in coins])
    assert result.formula is None
    assert result.metrics["formula_accuracy"] is None
    with pytest.raises(OptionError, match="no formula"):
        result.describe()


def test_shares_are_learnt_as_they_stand() -> None:
    x = points(600, 2)
    data = ClassificationDataset.from_arrays(x, torch.sigmoid(5 * (x[:, 0] - x[:, 1].square())), soft=True)
    result = classify(data, replace(ONE_SHAPE, head="sigmoid"))
    assert result.formula is not None
    assert torch.allclose(result.formula.torch(x)[:, 0], 5 * (x[:, 0] - x[:, 1].square()), atol=1e-3)


def test_a_rare_class_behind_a_line_is_found() -> None:
    x = points(1000, 2, seed=4)
    result = found(x, ["rare" if a + b > 1.6 else "usual" for a, b in x.tolist()], ONE_SHAPE)
    assert result.accuracy("all", of="formula") > 0.99
    assert result.metrics["majority_accuracy"] < result.accuracy(of="formula")
