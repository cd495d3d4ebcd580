"""The names of inputs and outputs beside a network diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.nn import KAN
from superpose.plot import canvas, style
from superpose.plot.network_layout import Layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LabelStyle:
    """Sizes of labels. All are design choices; nothing was measured.

    Attributes:
        sizes: smallest and largest size in points; labels grow with the diagram.
        fill: labels are horizontal if none fills more than this share of the space between two nodes.
        max_width: inches; a diagram is not made wider than this for horizontal labels.
        rotation: degrees of slanted labels.
    """

    sizes: tuple[float, float] = (10.0, 13.0)
    fill: float = 0.88
    max_width: float = 9.0
    rotation: float = 40.0


_STYLE = LabelStyle()


@dataclass(frozen=True)
class Label:
    """A name at a node.

    Attributes:
        text: the name, shortened.
        x, y: the anchor of the text.
        size: in points.
        rotation: in degrees.
        top: whether it belongs to an output.
        corners: lower left and upper right corner, which the figure has to contain.
        idle: whether the node has no edge.
    """

    text: str
    x: float
    y: float
    size: float
    rotation: float
    top: bool
    corners: tuple[tuple[float, float], tuple[float, float]]
    idle: bool


def preferred_width(model: KAN, levels: Sequence[Sequence[int]]) -> float:
    """The width of a diagram at which the names fit horizontally, or its smallest width if that is too wide."""
    needed = [2.4]
    for level, names in ((levels[0], model.feature_names), (levels[-1], model.target_names)):
        wide = max(canvas.text_size(canvas.shortened(names[i]), _STYLE.sizes[0])[0] for i in level)
        needed.append(len(level) * (wide + 0.02) / _STYLE.fill)
    return max(width for width in needed if width <= _STYLE.max_width)


def arrange(model: KAN, layout: Layout, connected: set[tuple[int, int]]) -> list[Label]:
    """Labels of inputs and outputs: horizontal where they fit, slanted otherwise."""
    last = max(n for n, _ in layout.nodes)
    small, large = _STYLE.sizes
    size = min(max(small, small + (layout.width - 7) * 0.35), large)
    made = []
    for level, names in ((0, model.feature_names), (last, model.target_names)):
        top = level == last
        shown = {node: canvas.shortened(names[node[1]]) for node in layout.nodes if node[0] == level}
        sizes = {node: canvas.text_size(text, size) for node, text in shown.items()}
        horizontal = max(wide for wide, _ in sizes.values()) <= _STYLE.fill * layout.spacing(level)
        for node, text in shown.items():
            (x, y), (wide, high) = layout.nodes[node], sizes[node]
            y += 0.13 if top else -0.13
            angle = 0.0 if horizontal else math.radians(_STYLE.rotation)
            across = wide * math.cos(angle) + high * math.sin(angle)
            up = wide * math.sin(angle) + high * math.cos(angle)
            before = across / 2 if horizontal else 0.1 if top else across
            corner = (x - before, y if top else y - up)
            opposite = (corner[0] + across + (0.0 if horizontal or not top else 0.05), corner[1] + up)
            rotation = 0.0 if horizontal else _STYLE.rotation
            made.append(Label(text, x, y, size, rotation, top, (corner, opposite), node not in connected))
    return made


def draw(axes: Axes, label: Label) -> None:
    """Draw one label."""
    slanted = label.rotation > 0
    across = "center" if not slanted else "left" if label.top else "right"
    canvas.write_text(
        axes,
        label.x,
        label.y,
        label.text,
        size=label.size,
        color=style.QUIET_TEXT if label.idle else style.TEXT,
        alpha=0.65 if label.idle else 1.0,
        ha=across,
        va="bottom" if label.top else "top",
        rotation=label.rotation,
        rotation_mode="anchor",
        zorder=6,
    )
