"""The pictures of the page: as SVG inside it, so that it loads nothing."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from superpose import plot
from superpose.deadline import Deadline
from superpose.errors import DataError
from superpose.formulas.expressions.formula import Formula
from superpose.nn.model import KAN, Edge
from superpose.plot import canvas, style
from superpose.plot.curve_errors import curve_errors
from superpose.plot.edge_closeup import close_up, described, node_names
from superpose.plot.samples import magnitudes, traced
from superpose.report.models import predictor, shows_network
from superpose.report.orientation import oriented
from superpose.tasks.result import TaskResult

# A close-up takes a tenth of a second and 30 kB; of more edges than this the strongest have one.
_MAX_CLOSE_UPS = 60
# Targets that have a picture of measured against predicted values. A round number.
_MAX_PARITIES = 6
# Inches at 16 points: a wider formula is shown as text, which wraps.
MAX_FORMULA_WIDTH = 11.0


def drawn_network(result: TaskResult) -> KAN:
    """The network that the pictures show: that of the formula, unless the spline network predicts better.

    For classes it is the spline network, whose scores the accuracies are of.
    """
    return result.network if shows_network(result) else result.model


def pictured(result: TaskResult) -> KAN:
    """:func:`drawn_network` as its pictures have it: with hidden nodes that rise with the output."""
    model = drawn_network(result)
    lost = "the hidden nodes could not be turned for the pictures"
    return result.failures.attempt(lost, lambda: oriented(model, result.data), model)


@dataclass(frozen=True)
class Picture:
    """A picture as the page holds it."""

    source: str
    text: str
    width: float
    """In inches, as it was drawn."""


@dataclass(frozen=True)
class EdgeCard:
    title: str
    description: Sequence[str]
    picture: Picture


def drawn(
    result: TaskResult, make: Callable[[], Any], title: str, kinds: Sequence[str] = ("svg",), *, what: str = ""
) -> canvas.Drawn:
    """As :func:`.canvas.drawn`; a failure of it is one of the run. ``what`` stands for the title in its sentence."""

    def record(error: Exception) -> None:
        result.failures.record(
            f"the picture {what or repr(title)} could not be drawn", error, "a sentence stands there"
        )

    return canvas.drawn(make, title, kinds, record)


def as_picture(made: canvas.Drawn, text: str) -> Picture:
    # An image, not part of the page: what two pictures call by the same name stays apart.
    data = base64.b64encode(made.files["svg"]).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", canvas.clean(text), made.width)


def typeset(formula: Formula, most: float = MAX_FORMULA_WIDTH, *, named: bool = True) -> Picture | None:
    """The formula as a picture, if matplotlib knows all of its LaTeX and it is not wider than that in inches.

    Without the name of its target unless ``named``.
    """
    latex = " ".join(formula.latex().split())
    if not named:
        # Spaces in names are written with a backslash before them.
        latex = latex.partition(" = ")[2] or latex
    if "$" in latex.replace("\\$", ""):
        return None
    figure = canvas.figure(1, 1)
    try:
        with canvas.default_style():
            text = figure.text(0, 0, f"${latex}$", size=16, color=style.INK)
            extent = text.get_window_extent()
            width, height = extent.width / figure.dpi + 0.1, extent.height / figure.dpi + 0.1
            if not 0 < width <= most:
                return None
            figure.set_size_inches(width, height)
            text.set_position((0.05 / width, (0.05 - extent.y0 / figure.dpi) / height))
        return as_picture(canvas.rendered(figure, ("svg",)), str(formula))
    except (ValueError, ArithmeticError):
        return None


def parities(result: TaskResult) -> list[Picture]:
    split = result.data.evaluation_split
    weights = result.data.weights_of(split)
    x, y = result.data.rows(split)
    source, predict = predictor(result)
    with torch.no_grad():
        predicted = predict(x)
    made = []
    for k, name in enumerate(result.network.target_names[:_MAX_PARITIES]):
        draw = functools.partial(
            plot.parity, y[:, k], predicted[:, k], name=name, model=f"{source} on {split} rows", weights=weights
        )
        text = f"{name}, measured against predicted"
        made.append(as_picture(drawn(result, draw, text), text))
    return made


def edge_cards(result: TaskResult, deadline: Deadline) -> tuple[list[EdgeCard], int]:
    """A close-up of each edge, the strongest of very many or if time is short, and how many have none."""
    model = pictured(result)
    active = model.active_edges()
    try:
        trace = traced(model, result.data)
    except DataError:
        # There are no samples to draw; the picture of the network says so.
        return [], len(active)
    errors = result.failures.attempt(
        "standard errors of curves could not be computed", lambda: curve_errors(model, result.data), None
    )
    scores = magnitudes(trace)

    def strength(edge: Edge) -> float:
        n, i, o = edge
        return -float(scores[n][i, o])

    cards: dict[Edge, EdgeCard] = {}
    for edge in sorted(active, key=strength)[:_MAX_CLOSE_UPS]:
        if deadline.passed():
            break
        title = " → ".join(map(canvas.clean, node_names(model, edge)))
        draw = functools.partial(close_up, model, trace, edge, errors)
        picture = as_picture(drawn(result, draw, title, what="of an edge"), f"The function from {title}")
        cards[edge] = EdgeCard(title, described(model, edge), picture)
    return [cards[edge] for edge in sorted(cards)], len(active) - len(cards)
