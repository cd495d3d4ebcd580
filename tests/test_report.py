"""The files of a run: all of them or none, and a page that stands alone."""

from __future__ import annotations

import base64
import importlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from helpers import HELD_OUT, is_one_sentence
from superpose import plot, report
from superpose.data import Affine, Dataset
from superpose.deadline import Deadline
from superpose.errors import FileError, OptionError
from superpose.files import load
from superpose.nn import KAN
from superpose.partial import Failures
from superpose.plot import canvas
from superpose.report import pictures
from superpose.train import History, Record

FORMULA_FILES = {"formula.txt", "formula.tex", "formula.py", "front.svg", "network.safetensors"}
FRONT = {"complexity": 3, "formula": "a/2", "rmse": 0.25, "recommended": True}

FOLDER, PAGE = (importlib.import_module(f"superpose.report.{name}") for name in ("folder", "page"))
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _without_charts_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects and residuals have tests of their own, and take most of the time of a page."""
    for part in ("effects_of", "residuals_of"):
        monkeypatch.setattr(PAGE, part, lambda *given: None)


class FormulaStandIn:
    """What the report asks of a formula: y = first column / 2."""

    expressions = ("a/2", "b")

    def __init__(self, latex: str = r"\frac{a}{2}", text: str = "a/2") -> None:
        self._latex, self._text = latex, text

    def __str__(self) -> str:
        return self._text

    def texts(self) -> list[str]:
        return list(self.expressions)

    def latex(self) -> str:
        return self._latex

    def python(self) -> str:
        return "import numpy\n"

    def torch(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] / 2


def result(
    *,
    names: tuple[str, ...] = ("a", "b"),
    targets: tuple[str, ...] = ("y",),
    source: str = "table.csv",
    **changes: Any,
) -> Any:
    """A run's result on 40 rows, with a symbolic edge, a spline edge and a removed one."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, len(names), generator=generator, dtype=torch.float64)
    data = Dataset.from_arrays(
        x,
        x[:, :1].repeat(1, len(targets)) / 2,
        feature_names=names,
        target_names=targets,
        source=source,
        **HELD_OUT,
    )
    without_formula = "formula" in changes and changes["formula"] is None
    model = KAN([len(names), 1, len(targets)], feature_names=names, target_names=targets)
    model = model.with_mask([(0, 1, 0)], False)
    model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    records = [Record(n, "", 3 + n // 3, 0.5**n, 0.6**n, 0.1) for n in range(6)]
    made = {
        "model": model,
        "network": changes.get("model", model) if without_formula else model.refine(9),
        "history": History(
            records, "lm", reason="the schedule ended", train_rmse=0.1, validation_rmse=0.2, seconds=1.0
        ),
        "formula": FormulaStandIn(),
        "data": data,
        "metrics": {
            "formula": "a/2",
            "network_rmse": 0.25,
            "formula_rmse": 1.5e-7,
            "target_std": 0.5,
            "shape": [len(names), 1, len(targets)],
            "seconds": 12.3,
            "front": [] if without_formula else [FRONT],
        },
        "failures": Failures(),
        "smooth": None,
    }
    return SimpleNamespace(**{**made, **changes})


class Page(HTMLParser):
    """The tags, the visible words and the pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def pictures(self) -> list[ElementTree.Element]:
        sources = [str(attrs["src"]) for tag, attrs in self.tags if tag == "img"]
        start = "data:image/svg+xml;base64,"
        assert all(source.startswith(start) for source in sources)
        return [ElementTree.fromstring(base64.b64decode(s[len(start) :])) for s in sources]


def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_a_run_leaves_all_its_files(tmp_path: Path) -> None:
    made = result()
    paths = report.write(made, tmp_path / "deep" / "out")
    assert set(paths) == set(report.FILES) == set(os.listdir(tmp_path / "deep" / "out"))
    assert all(path.is_file() and path.stat().st_size for path in paths.values())
    assert os.listdir(tmp_path / "deep") == ["out"]
    assert paths["formula.txt"].read_text() == "a/2\n"
    assert paths["formula.tex"].read_text() == "\\frac{a}{2}\n"
    assert json.loads(paths["metrics.json"].read_text()) == made.metrics
    assert len(paths["history.csv"].read_text().splitlines()) == 7
    x = made.data.x
    assert torch.equal(load(paths["model.safetensors"])(x), made.model(x))
    assert load(paths["network.safetensors"]).layer(0).grid_size == 9
    ElementTree.parse(paths["network.svg"])
    assert paths["network.png"].read_bytes().startswith(b"\x89PNG")


def test_the_page_shows_formula_errors_edges_and_settings(tmp_path: Path) -> None:
    made = result()
    made.metrics["stability"] = {"sentence": "the form is chosen again in 83 of 100 resamples"}
    made.metrics["knowledge"] = {"sentence": "known beforehand: y is increasing in <a>; nothing was left out"}
    made.metrics["alternatives"] = {"sentences": ["next: y = a**2 & b, odds 12 to 1 against"]}
    report.write(made, tmp_path, settings={"time_limit": 45.0, "grid_size": None})
    shown = page(tmp_path)
    words = " ".join(shown.words.split())
    for expected in (
        "y = a/2",
        "\\frac{a}{2}",
        "network0.25",
        "formula1.5 × 10⁻⁷",
        "on 6 rows held out for the test",
        "The form is chosen again in 83 of 100 resamples.",
        "Known beforehand: y is increasing in <a>; nothing was left out.",
        "Next: y = a**2 & b, odds 12 to 1 against.",
        "It reads a, and does without b.",
        "Training ended: the schedule ended.",
        "time limit45.0",
        "grid sizeautomatic",
        "table.csv",
        "28 training, 6 validation, 6 test",
    ):
        assert expected in words
    alternatives = [attrs["alt"] or "" for tag, attrs in shown.tags if tag == "img"]
    assert any("x²" in text for text in alternatives)
    assert any("spline of degree 3 on 5 intervals" in text for text in alternatives)
    # The formula, the diagram, measured against predicted, the staircase, two edges.
    assert len(shown.pictures) == 6


def test_the_page_stands_alone(tmp_path: Path) -> None:
    report.write(result(), tmp_path)
    shown = page(tmp_path)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in shown.tags}
    for tag, attrs in shown.tags:
        assert not any(name.startswith("on") for name in attrs), tag
        for name in ("src", "href", "srcset", "action"):
            assert (attrs.get(name) or "data:").startswith("data:")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in re.sub(r"http-equiv|base64,[\w+/=]+", "", text)
    assert "url(" not in text and "@import" not in text
    (policy,) = [a["content"] for t, a in shown.tags if a.get("http-equiv")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_names_are_data_on_the_page(tmp_path: Path) -> None:
    evil = result(
        names=(SCRIPT, "\"><img src=x onerror='alert(2)'>"),
        targets=(f"{SCRIPT}{{{{ 7*7 }}}}",),
        source=f"{SCRIPT}.csv",
        formula=FormulaStandIn(latex=SCRIPT, text=SCRIPT),
    )
    evil.history.reason = SCRIPT
    report.write(evil, tmp_path, settings={SCRIPT: SCRIPT})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text and "onerror='alert" not in text.replace("&#39;", "\u2019")
    shown = page(tmp_path)
    assert {tag for tag, _ in shown.tags} & {"script"} == set()
    assert SCRIPT in shown.words and "{{ 7*7 }}" in shown.words
    assert all(str(a["src"]).startswith("data:") for t, a in shown.tags if t == "img")
    for picture in [*shown.pictures, ElementTree.parse(tmp_path / "network.svg").getroot()]:
        assert not [e for e in picture.iter() if e.tag.endswith("script")]


def test_a_run_without_a_formula_has_no_formula_files_not_even_old_ones(tmp_path: Path) -> None:
    report.write(result(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    paths = report.write(result(formula=None), tmp_path)
    assert set(paths) == set(report.FILES) - FORMULA_FILES
    assert set(os.listdir(tmp_path)) == set(paths) | {"notes.txt"}
    assert "formula1.5" not in page(tmp_path).words


def test_several_targets_have_a_line_and_a_picture_each(tmp_path: Path) -> None:
    made = result(targets=("y", "z"))
    made.formula.torch = lambda x: x / 2
    report.write(made, tmp_path)
    shown = page(tmp_path)
    assert "y = a/2" in shown.words and "z = b" in shown.words
    assert len(shown.pictures) == 7


def test_a_wide_offset_leaves_its_digits_in_predictions_of_float32_models(monkeypatch: pytest.MonkeyPatch) -> None:
    made = result(formula=None, model=KAN([2, 1], seed=0, dtype=torch.float32))
    made.data = Dataset.from_arrays(5e6 + 0.5 * made.data.x, made.data.y)
    made.model.set_scaling(*(Affine(torch.full((n,), c), torch.full((n,), 0.5)) for n, c in ((2, 5e6), (1, 0.0))))
    predicted = []
    monkeypatch.setattr(plot, "parity", lambda y, z, **names: predicted.append(z) or canvas.figure(1, 1))
    pictures.parities(made)
    split = "test" if len(made.data.test) else "all"
    assert torch.equal(predicted[0], made.model(made.data.rows(split)[0])[:, 0].detach())


@pytest.mark.parametrize(
    ("latex", "pictures"),
    [
        (r"\begin{cases} a \end{cases}", 5),
        ("a^{", 5),
        ("$", 5),
        ("a$ and $b", 5),
        ("x " * 500, 5),
        ("a\n+ b", 6),
    ],
)
def test_a_formula_that_cannot_be_typeset_is_text(tmp_path: Path, latex: str, pictures: int) -> None:
    report.write(result(formula=FormulaStandIn(latex=latex)), tmp_path)
    assert "y = a/2" in page(tmp_path).words
    assert len(page(tmp_path).pictures) == pictures


def test_numbers_that_are_none_are_null_and_a_dash(tmp_path: Path) -> None:
    metrics = {"network_rmse": float("nan"), "formula_rmse": torch.tensor(float("inf"))}
    paths = report.write(result(metrics=metrics), tmp_path)
    assert json.loads(paths["metrics.json"].read_text()) == dict.fromkeys(metrics) | {"warnings": []}
    assert "network––" in page(tmp_path).words


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    made = result()
    report.write(made, tmp_path)
    assert "interrupted" not in page(tmp_path).words
    made.metrics["interrupted"] = True
    report.write(made, tmp_path)
    assert "interrupted" in page(tmp_path).words


def test_very_many_edges_show_the_strongest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_MAX_CLOSE_UPS", 1)
    report.write(result(formula=None), tmp_path)
    assert "The 1 strongest edges; 1 more are not shown." in page(tmp_path).words
    assert len(page(tmp_path).pictures) == 4


@pytest.mark.parametrize("there", [True, False], ids=["folder is there", "folder is new"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interruption_and_a_lost_model_leave_everything_as_it_was(
    tmp_path: Path, there: bool, error: type[BaseException], monkeypatch: pytest.MonkeyPatch, lenient: None
) -> None:
    folder = tmp_path / "out"
    if there:
        report.write(result(), folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()} if there else None
    made = result(formula=FormulaStandIn(text="another"))

    def fail(*given: Any) -> str:
        raise error(28, "the disk is full")

    if error is OSError:
        monkeypatch.setattr(FOLDER, "save", fail)
    made.formula.python = fail
    with pytest.raises(FileError if error is OSError else error):
        report.write(made, folder)
    assert os.listdir(tmp_path) == (["out"] if there else [])
    if there:
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


FAULT, DISK = ZeroDivisionError("no"), OSError(28, "the disk is full")


@pytest.mark.parametrize(("name", "error"), [("formula.tex", FAULT), ("report.html", FAULT), ("front.svg", DISK)])
def test_a_file_that_fails_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lenient: None, name: str, error: Exception
) -> None:
    (tmp_path / name).write_text("of the run before, which had another model")
    real = FOLDER._write_whole

    def write(path: Path, data: bytes) -> None:
        if path.name == name:
            raise error
        real(path, data)

    monkeypatch.setattr(FOLDER, "_write_whole", write)
    made = result()
    paths = report.write(made, tmp_path)
    assert set(paths) == {*report.FILES, "errors.log"} - {name} - (set() if error is FAULT else {"errors.log"})
    assert set(os.listdir(tmp_path)) == set(paths)
    said = "ZeroDivisionError: no" if error is FAULT else "the disk is full"
    expected = [f"{name} could not be written ({said}); all other files are there"]
    assert made.failures.sentences == expected
    assert json.loads(paths["metrics.json"].read_text())["warnings"] == expected
    if name != "report.html":
        assert expected[0][1:] in page(tmp_path).words


def test_parts_of_the_page_that_fail_cost_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lenient: None
) -> None:
    def fail(*given: Any) -> Any:
        raise ZeroDivisionError("no")

    made = result()
    made.formula.latex = fail
    for part in (
        "_used",
        "_facts",
        "edge_cards",
        "parities",
        "front_table",
        "error_rows",
        "effects_of",
        "residuals_of",
    ):
        monkeypatch.setattr(PAGE, part, fail)
    paths = report.write(made, tmp_path)
    assert set(paths) == {*report.FILES, "errors.log"} - {"formula.tex"}
    shown = page(tmp_path)
    assert "y = a/2" in shown.words and "Training ended" in shown.words
    # The diagram and the staircase are left.
    assert len(shown.pictures) == 2
    assert json.loads(paths["metrics.json"].read_text())["warnings"] == made.failures.sentences
    assert len(made.failures.sentences) == 11
    for sentence in made.failures.sentences:
        assert is_one_sentence(sentence) and "ZeroDivisionError: no" in sentence and sentence[1:] in shown.words


def test_a_symbolic_network_that_cannot_be_saved_leaves_the_spline_network(tmp_path: Path, lenient: None) -> None:
    made = result()
    with torch.no_grad():
        made.model.layer(1).coefficients[:] = float("nan")
    paths = report.write(made, tmp_path)
    assert load(paths["model.safetensors"]).layer(0).grid_size == 9
    assert "network.safetensors" not in paths and "holds the spline network" in made.failures.sentences[0]


def test_a_model_that_cannot_be_saved_leaves_nothing(tmp_path: Path) -> None:
    made = result()
    with torch.no_grad():
        made.model.layer(1).coefficients[:] = float("nan")
    with pytest.raises(OptionError):
        report.write(made, tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("where", "reason"), [("file", "is a file"), ("file/below", "cannot be written")])
def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path, where: str, reason: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileError, match=reason) as caught:
        report.write(result(), tmp_path / where)
    assert is_one_sentence(str(caught.value))
    assert (tmp_path / "file").read_text() == "mine" and os.listdir(tmp_path) == ["file"]


def test_the_folder_can_be_read_by_those_who_may_read_new_folders(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    report.write(result(formula=None), tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_network_that_ends_in_a_product_has_its_report(tmp_path: Path) -> None:
    from superpose.tasks.regression.search import discover

    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    result = discover(Dataset.from_arrays(x, x[:, 0] * x[:, 1], target_names=["area"]))
    assert result.model.shape == [2, [0, [2]]]
    assert "area" in report.write(result, tmp_path / "out")["report.html"].read_text(encoding="utf-8")


@pytest.mark.parametrize("drawing", ["network", "front", "staircase", "parity", "close_up", "render"])
def test_what_cannot_be_drawn_is_a_sentence_and_everything_else_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawing: str
) -> None:
    failures = []

    def fails(*given: Any, **options: Any) -> Any:
        failures.append(given)
        raise OverflowError("Exceeded cell block limit")

    if drawing == "render":
        render = canvas.render
        # Some faults show only when a figure is written.
        monkeypatch.setattr(canvas, "render", lambda *given: render(*given) if failures else fails(*given))
    else:
        monkeypatch.setattr(pictures if drawing == "close_up" else plot, drawing, fails)
    made = result()
    paths = report.write(made, tmp_path)
    assert set(paths) == {*report.FILES, "errors.log"} and failures
    assert json.loads(paths["metrics.json"].read_text()) == made.metrics
    (warning,) = made.metrics["warnings"]
    assert "could not be drawn (OverflowError" in warning and warning[1:] in page(tmp_path).words
    assert "cell block" in paths["errors.log"].read_text() and "Traceback" in paths["errors.log"].read_text()
    assert load(paths["model.safetensors"]).widths == made.model.widths
    drawn = [ElementTree.fromstring(paths["front.svg"].read_text()), *page(tmp_path).pictures]
    texts = [" ".join(" ".join(one.itertext()).split()) for one in drawn]
    assert any("OverflowError: Exceeded cell block limit" in words for words in texts)


def test_a_model_without_a_finite_value_is_written_all_the_same(tmp_path: Path) -> None:
    made = result(formula=None)
    made.model.layer(0).set_symbolic({(0, 0): ("log", (0.0, -1.0, 1.0, 0.0))})
    assert not bool(made.model(made.data.x).isfinite().any())
    paths = report.write(made, tmp_path)
    assert {"model.safetensors", "metrics.json", "network.svg", "report.html"} <= set(paths)
    assert "there is nothing to draw" in " ".join(paths["network.svg"].read_text().split())


def test_a_run_without_steps_has_no_picture_of_its_training(tmp_path: Path) -> None:
    made = result()
    made.history = History([], "lm", reason="the best fit of straight lines")
    report.write(made, tmp_path)
    shown = page(tmp_path)
    assert "Training ended: the best fit of straight lines." in shown.words
    assert not [attrs for tag, attrs in shown.tags if tag == "img" and "training" in str(attrs["alt"])]


def test_a_page_without_time_for_edges_says_so(tmp_path: Path) -> None:
    report.write(result(), tmp_path, deadline=Deadline(0.0))
    assert "The 2 edges are not shown, for lack of time or of finite values." in page(tmp_path).words
