"""A picture in plotly, whose points say their numbers under the mouse."""

from __future__ import annotations

import html
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import OptionError
from superpose.plot.canvas import clean, shortened
from superpose.plot.numbers import View, data, view_of

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

# Lines that are drawn; a page of more takes seconds. A round number.
_MOST_LINES = 200
_LONGEST = 120


def interactive(picture: Figure) -> Any:
    """A picture as a ``plotly.graph_objects.Figure``, drawn again from its numbers.

    A notebook shows it, and ``write_html`` makes a page of it. The numbers of a point appear under the mouse: of a
    front the whole formula, of residuals measured and predicted values.

    Args:
        picture: what a function of ``superpose.plot`` returned.

    Raises:
        OptionError: if it is no such picture, or plotly is not installed.

    >>> from superpose import plot
    >>> drawn = plot.interactive(plot.parity([1.0, 2.0], [1.0, 2.5]))
    >>> drawn.data[0].text[1]
    'measured = 2<br>predicted = 2.5'
    """
    if importlib.util.find_spec("plotly") is None:
        raise OptionError(
            "interactive pictures are drawn by plotly, which is not installed; pip install 'superpose[plotly]' adds it"
        )
    import plotly.graph_objects

    numbers = data(picture)
    view = view_of(picture)
    made = plotly.graph_objects.Figure(layout={"template": "plotly_white", "title": {"text": _title(picture)}})
    for name, column, rows in _traces(numbers, view):
        made.add_trace(_trace(plotly.graph_objects, view, column, rows, name))
    made.update_xaxes(title=view.x)
    made.update_yaxes(title=", ".join(view.y))
    if view.log:
        made.update_yaxes(type="log")
    if view.kind == "bars":
        made.update_yaxes(autorange="reversed")
    return made


def _title(picture: Figure) -> str:
    """The heading of a picture, whose text is the only bold one."""
    texts = [text for axes in picture.axes for text in axes.texts if text.get_fontweight() == "bold"]
    return _literal(texts[0].get_text()) if texts else ""


def _literal(text: Any) -> str:
    """A text without markup, which plotly would read."""
    return html.escape(shortened(clean(str(text)), _LONGEST), quote=False)


def _traces(numbers: pandas.DataFrame, view: View) -> list[tuple[str, str, pandas.DataFrame]]:
    """The name, the column upwards and the rows of each line."""
    if len(view.y) > 1:
        return [(name, name, numbers) for name in view.y if numbers[name].notna().any()]
    if not view.by:
        return [("", view.y[0], numbers)]
    groups = list(numbers.groupby(list(view.by), sort=False))[:_MOST_LINES]
    return [(" ".join(map(str, key)) if isinstance(key, tuple) else str(key), view.y[0], rows) for key, rows in groups]


def _trace(objects: Any, view: View, column: str, rows: pandas.DataFrame, name: str) -> Any:
    texts = [
        "<br>".join(f"{_literal(key)} = {_number(value)}" for key, value in zip(rows.columns, row, strict=True))
        for row in rows.itertuples(index=False, name=None)
    ]
    shared = {"x": rows[view.x].tolist(), "y": rows[column].tolist(), "text": texts, "hoverinfo": "text"}
    if view.kind == "cells":
        most = float(np.nanmax(np.abs(rows[view.z]))) or 1.0
        return objects.Heatmap(z=rows[view.z].tolist(), zmin=-most, zmax=most, colorscale="RdBu", **shared)
    if view.kind == "bars":
        names = [_literal(value) for value in rows[column]]
        return objects.Bar(orientation="h", **(shared | {"y": names, "textposition": "none"}))
    mode = "markers" if view.kind == "points" else "lines+markers" if len(rows) < 50 else "lines"
    return objects.Scatter(mode=mode, name=_literal(name), showlegend=bool(name), **shared)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _literal(value)
