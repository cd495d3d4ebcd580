"""The chart of a table's relations: a line for each relation, with a dot under each of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superpose.messages import counted
from superpose.plot import canvas, style
from superpose.tasks.relations.result import Relation, Relations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distances in inches between columns and between relations. The sizes here are design choices, judged by eye.
_COLUMN_STEP, _LINE_STEP = 0.34, 0.42
# So many make a picture of some 20 by 17 inches.
_MAX_LINES, _MAX_COLUMNS = 40, 60
# In characters and points.
_NAME_LENGTH, _TEXT_LENGTH = 24, 60
_TEXT_SIZE = 9.5
# Margins in inches.
_TOP, _BOTTOM, _LEFT = 0.62, 0.3, 0.3


def draw(relations: Relations) -> Figure:
    """Draw a line for each relation, the strongest first, with a dot for each of its columns; the target's is filled.

    A line is the more opaque the stronger its relation is; exact relations have the colour of symbolic edges. Columns
    in no relation are at the right, without dots.
    """
    lines = relations.found[:_MAX_LINES]
    names = _ordered(relations)[:_MAX_COLUMNS]
    place = {name: x for x, name in enumerate(names)}
    shown = [canvas.shortened(name, _NAME_LENGTH) for name in names]
    label_height = max(canvas.text_size(name, _TEXT_SIZE)[0] for name in shown) + 0.15
    texts = [_text(relation) for relation in lines]
    text_width = max((canvas.text_size(text, _TEXT_SIZE)[0] for pair in texts for text in pair), default=1.0)
    width = max(_LEFT + _COLUMN_STEP * (len(names) + 0.5) + text_width + 0.3, 4.5)
    height = _TOP + label_height + _LINE_STEP * max(1, len(lines)) + _BOTTOM
    with canvas.default_style():
        figure = canvas.figure(width, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        _head(axes, relations)
        top = _TOP + label_height
        for x, name in enumerate(shown):
            color = style.TEXT if any(names[x] in relation.columns for relation in lines) else style.QUIET_TEXT
            canvas.write_text(axes, _across(x), top - 0.1, name, rotation=90, ha="center", va="bottom",
                               size=_TEXT_SIZE, color=color)  # fmt: skip
        for row, (relation, text) in enumerate(zip(lines, texts, strict=True)):
            y = top + _LINE_STEP * (row + 0.5)
            _line(axes, relation, y, place, len(names))
            at = _across(len(names)) + 0.05
            canvas.write_text(axes, at, y - 0.02, text[0], va="bottom", size=_TEXT_SIZE, color=style.TEXT)
            canvas.write_text(axes, at, y + 0.02, text[1], va="top", size=8, color=style.QUIET_TEXT)
        return figure


def _across(column: int) -> float:
    return _LEFT + _COLUMN_STEP * (column + 0.5)


def _ordered(relations: Relations) -> list[str]:
    """Columns of one cluster side by side, columns in no relation last."""
    return [name for cluster in relations.clusters for name in cluster] + list(relations.unrelated)


def _head(axes: Axes, relations: Relations) -> None:
    title = counted(len(relations), "relation") if len(relations) else "No relation"
    more = f"among {counted(len(relations.columns), 'column')} of {counted(relations.rows, 'row')}"
    if len(relations) > _MAX_LINES:
        more += f"; the {_MAX_LINES} strongest are drawn"
    canvas.write_text(axes, 0.14, 0.24, title, size=11, weight="bold", color=style.TEXT)
    canvas.write_text(axes, 0.14, 0.44, more, size=9, color=style.QUIET_TEXT)


def _line(axes: Axes, relation: Relation, y: float, place: dict[str, int], columns: int) -> None:
    color = style.EXACT_RELATION if relation.exact else style.RELATION
    alpha = 1.0 if relation.exact else 0.25 + 0.75 * max(0.0, relation.strength)
    every: dict[str, Any] = {"markersize": 3, "color": style.GRID_LINE, "linestyle": "none", "zorder": 1}
    axes.plot([_across(x) for x in range(columns)], [y] * columns, "o", **every)
    at = {name: _across(place[name]) for name in relation.columns if name in place}
    if not at:
        return
    axes.plot([min(at.values()), max(at.values())], [y, y], "-", color=color, alpha=alpha, linewidth=2, zorder=2)
    for name, x in at.items():
        filled = name == relation.target and not relation.implicit
        axes.plot([x], [y], "o", markersize=9, color="white", markeredgewidth=0, zorder=3)
        axes.plot([x], [y], "o", markersize=9, markeredgecolor=color, markeredgewidth=1.8, alpha=alpha,
                  markerfacecolor=color if filled else "white", zorder=4)  # fmt: skip


def _text(relation: Relation) -> tuple[str, str]:
    first = relation.equation
    if first is None or len(first) > _TEXT_LENGTH:
        first = f"{relation.target} from {', '.join(relation.features)}"
    second = relation.strength_text()
    if relation.error is not None and not relation.exact:
        second += f"; the formula's error is {relation.error:.2g} of the target's standard deviation"
    return canvas.shortened(first, _TEXT_LENGTH), second
