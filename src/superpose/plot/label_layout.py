"""The names of inputs and outputs beside a network diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.nn import KAN
from superpose.plot import canvas
from superpose.plot.layout import Layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_SIZES = (10.0, 13.0)
# Names are slanted where they would fill more than this share of the room for one, or where the
# diagram would have to be wider than that many inches for them.
_LEVEL = 0.88
_MOST_LABEL_ROOM = 9.0
_ROTATION = 40


@dataclass(frozen=True)
class Label:
    """A name at a node: its lower left and upper right corners are what must not be cut off."""

    text: str
    x: float
    y: float
    size: float
    rotation: float
    top: bool
    corners: tuple[tuple[float, float], tuple[float, float]]
    idle: bool


def room(model: KAN, levels: Sequence[Sequence[int]]) -> float:
    """The width at which names stand level, if that is not too wide."""
    needed = [2.4]
    for level, names in ((levels[0], model.feature_names), (levels[-1], model.target_names)):
        wide = max(canvas.text_size(canvas.shortened(names[i]), _LABEL_SIZES[0])[0] for i in level)
        needed.append(len(level) * (wide + 0.02) / _LEVEL)
    return max(room for room in needed if room <= _MOST_LABEL_ROOM)


def arrange(model: KAN, layout: Layout, connected: set[tuple[int, int]]) -> list[Label]:
    """The names of inputs and outputs: level if there is room, else slanted."""
    last = max(n for n, _ in layout.nodes)
    small, large = _LABEL_SIZES
    size = min(max(small, small + (layout.width - 7) * 0.35), large)
    made = []
    for level, names in ((0, model.feature_names), (last, model.target_names)):
        top = level == last
        shown = {node: canvas.shortened(names[node[1]]) for node in layout.nodes if node[0] == level}
        sizes = {node: canvas.text_size(text, size) for node, text in shown.items()}
        level_fits = max(wide for wide, _ in sizes.values()) <= _LEVEL * layout.spacing(level)
        for node, text in shown.items():
            (x, y), (wide, high) = layout.nodes[node], sizes[node]
            y += 0.13 if top else -0.13
            angle = 0.0 if level_fits else math.radians(_ROTATION)
            across = wide * math.cos(angle) + high * math.sin(angle)
            up = wide * math.sin(angle) + high * math.cos(angle)
            before = across / 2 if level_fits else 0.1 if top else across
            corner = (x - before, y if top else y - up)
            opposite = (
                corner[0] + across + (0.0 if level_fits or not top else 0.05),
                corner[1] + up,
            )
            rotation = 0.0 if level_fits else float(_ROTATION)
            made.append(Label(text, x, y, size, rotation, top, (corner, opposite), node not in connected))
    return made


def draw(axes: Axes, label: Label) -> None:
    slanted = label.rotation > 0
    across = "center" if not slanted else "left" if label.top else "right"
    canvas.write_text(
        axes,
        label.x,
        label.y,
        label.text,
        size=label.size,
        color=canvas.GREY if label.idle else canvas.INK,
        alpha=0.65 if label.idle else 1.0,
        ha=across,
        va="bottom" if label.top else "top",
        rotation=label.rotation,
        rotation_mode="anchor",
        zorder=6,
    )
