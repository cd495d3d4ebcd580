"""The page of a run. It stands alone: pictures are inside it, it loads nothing and runs no script, and its policy says
so to the browser. Column names and file names are data; the template escapes all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from superpose import plot
from superpose.deadline import Deadline
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.plot import canvas
from superpose.report.columns import columns_of
from superpose.report.effects import effects_of
from superpose.report.form import form_of
from superpose.report.front_table import front_table
from superpose.report.models import advantage, error_headings, error_rows
from superpose.report.numbers import number, option_text
from superpose.report.pictures import as_picture, drawn, drawn_network, edge_cards, parities, typeset
from superpose.report.residuals import residuals_of
from superpose.report.terms import terms_of
from superpose.tasks.result import TaskResult, evaluation_rows, warnings_of


def page(
    result: TaskResult,
    diagram: canvas.Drawn | None,
    trade_off: canvas.Drawn | None,
    settings: Mapping[str, Any],
    deadline: Deadline,
) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    names, formula, attempt = result.network.target_names, result.formula, result.failures.attempt
    lost = "the page could not show"
    classes = attempt(f"{lost} the classes", lambda: class_summary(result), None)
    steps = None
    if result.history.records:
        made = drawn(result, lambda: plot.staircase(result.history), "Training")
        steps = as_picture(made, "Errors during training, against steps")
    scatter = [] if classes else attempt(f"{lost} measured against predicted", lambda: parities(result), [])
    effects = attempt(f"{lost} the effects of the columns", lambda: effects_of(result, deadline), None)
    left = attempt(f"{lost} the residuals", lambda: residuals_of(result, deadline), None)
    # Last, since there may be no time for all of them.
    cards, left_out = attempt(f"{lost} the edges", lambda: edge_cards(result, deadline), ([], 0))
    nothing: tuple[list[str], list[str]] = ([], [])
    return environment.get_template("report.html").render(
        title=_title(names if classes is None else [classes.name]),
        classes=classes,
        found=formula is not None,
        formulas=attempt(f"{lost} the formula as text", lambda: _formulas(result), []),
        latex=None if formula is None else attempt(f"{lost} the formula as LaTeX", formula.latex, None),
        typeset=None
        if formula is None or len(names) > 1
        else attempt(f"{lost} the formula as a picture", lambda: typeset(formula), None),
        errors=attempt(f"{lost} the errors side by side", lambda: error_rows(result), []) if classes is None else [],
        error_headings=error_headings(result),
        better=None if classes else advantage(result),
        evaluation_rows=evaluation_rows(result.data, result.metrics),
        weighted=result.data.weights is not None,
        tested=len(result.data.test) > 0,
        front=attempt(f"{lost} the formulas from simple to accurate", lambda: front_table(result, trade_off), None),
        recommendation=canvas.clean(result.metrics.get("recommendation") or ""),
        stability=canvas.clean(result.metrics.get("stability", {}).get("sentence") or ""),
        alternatives=[canvas.clean(line) for line in result.metrics.get("alternatives", {}).get("sentences", [])],
        known=canvas.clean(result.metrics.get("knowledge", {}).get("sentence") or ""),
        law=canvas.clean(result.metrics.get("law", {}).get("sentence") or ""),
        units=[canvas.clean(text) for text in _units(result)],
        source=canvas.clean(result.metrics.get("law", {}).get("source") or ""),
        used=attempt(f"{lost} which columns are read", lambda: _used(drawn_network(result)), nothing),
        interrupted=bool(result.metrics.get("interrupted")),
        diagram=None if diagram is None else as_picture(diagram, f"The network that predicts {', '.join(names)}"),
        staircase=steps,
        reason=result.history.reason,
        parities=scatter,
        columns=attempt(f"{lost} the columns of the table", lambda: columns_of(result), None),
        effects=effects,
        residuals=left,
        form=attempt(f"{lost} the constants of the form", lambda: form_of(result), None),
        terms=attempt(f"{lost} the terms of the formula", lambda: terms_of(result), []),
        edges=cards,
        edges_left_out=left_out,
        facts=attempt(f"{lost} facts on the run", lambda: _facts(result), []),
        settings={str(key): option_text(value) for key, value in settings.items()},
        # Last, when all parts have been made.
        warnings=[canvas.clean(sentence) for sentence in warnings_of(result)],
    )


@dataclass(frozen=True)
class Classes:
    """What the page says of a classifier."""

    name: str
    says: str | None
    boundaries: Sequence[tuple[str, str]]
    shares: Sequence[tuple[str, str]]
    """How often each is right, and of what that is the share."""
    names: Sequence[str]
    confusion: Sequence[Sequence[int]]


def class_summary(result: TaskResult) -> Classes | None:
    head, found = result.network.head, result.metrics
    if head is None or "network_accuracy" not in found:
        return None
    shares = [
        (f"{found['network_accuracy']:.2%}", f"right: the network, cross-entropy {found['network_cross_entropy']:.3g}")
    ]
    if result.formula is not None:
        entropy = f"cross-entropy {found['formula_cross_entropy']:.3g}"
        shares.insert(0, (f"{found['formula_accuracy']:.2%}", f"right: the formula, {entropy}"))
    usual = f"right: always saying {canvas.clean(found['majority_class'])}"
    shares.append((f"{found['majority_accuracy']:.2%}", usual))
    between = [(" | ".join(map(canvas.clean, b["between"])), b["equation"]) for b in found["boundaries"]]
    says = None if result.formula is None else canvas.clean(found["formula"])
    names = [canvas.clean(name) for name in head.classes]
    return Classes(canvas.clean(head.name), says, between, shares, names, found["confusion"])


def _title(names: Sequence[str]) -> str:
    """The targets' names, the first of many.

    >>> _title(["volume"]), _title(["a", "b", "c", "d", "e"])
    ('volume', 'a, b and 3 more')
    """
    if len(names) > 3:
        return f"{', '.join(map(canvas.clean, names[:2]))} and {len(names) - 2} more"
    return ", ".join(map(canvas.clean, names))


def _formulas(result: TaskResult) -> list[tuple[str, str]]:
    if result.formula is None:
        return []
    names = [canvas.clean(name) for name in result.network.target_names]
    if len(names) == 1:
        return [(names[0], str(result.formula))]
    return list(zip(names, result.formula.texts(), strict=True))


def _units(result: TaskResult) -> list[str]:
    """Whether the units of the formula agree, and its constants with their units; nothing without units."""
    facts = result.metrics.get("units", {})
    return [facts["sentence"], *facts.get("constants", [])] if "sentence" in facts else []


def _used(model: KAN) -> tuple[list[str], list[str]]:
    """The columns that the network reads, and those that it does not."""
    read = {i for n, i, _ in model.active_edges() if n == 0}
    names = [canvas.clean(name) for name in model.feature_names]
    return (
        [name for i, name in enumerate(names) if i in read],
        [name for i, name in enumerate(names) if i not in read],
    )


def _facts(result: TaskResult) -> list[tuple[str, str]]:
    """What the run was, as far as the result tells."""
    from importlib import metadata

    model, data, metrics = drawn_network(result), result.data, result.metrics
    splits = (("training", data.train), ("validation", data.validation), ("test", data.test))
    facts = [
        ("table", canvas.clean(data.source or "arrays")),
        ("target", ", ".join(map(canvas.clean, metrics.get("target", data.target_names)))),
        ("features", ", ".join(map(canvas.clean, data.feature_names))),
        ("rows", ", ".join(f"{len(rows)} {name}" for name, rows in splits)),
        ("shape", option_text(model.shape)),
        ("edges", counted(len(model.active_edges()), "edge")),
        ("free constants", str(model.parameter_count())),
        ("grid intervals", option_text([layer.grid_size for layer in model.kan_layers()])),
        ("degree", option_text([layer.degree for layer in model.kan_layers()])),
    ]
    if reason := metrics.get("screening", {}).get("reason"):
        facts.append(("columns", canvas.clean(reason)))
    if "seconds" in metrics:
        facts.append(("time", f"{float(metrics['seconds']):.1f} s"))
    with contextlib.suppress(metadata.PackageNotFoundError):
        facts.append(("superpose", metadata.version("superpose")))
    return [*facts, ("torch", torch.__version__)]
