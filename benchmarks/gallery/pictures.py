"""The pictures of the gallery: rows with the formula's curve, or the network."""

from __future__ import annotations

import numpy as np
import torch

import superpose
from benchmarks.gallery.entries import Entry
from superpose.data import Dataset
from superpose.plot import canvas, network, style

# Inches, and points of a curve.
_WIDTH, _HEIGHT, _POINTS = 4.6, 3.0, 200
_COLORS = (style.PREDICTION, style.KNOT)


def picture(entry: Entry, model: superpose.KAN, data: Dataset) -> bytes:
    """The SVG of a table and its model."""
    if not entry.across:
        return canvas.render(network(model, data), "svg")
    names = list(data.feature_names)
    x, y = data.features(torch.arange(data.n_rows)).numpy(), data.y[:, 0].numpy()
    column = names.index(entry.across)
    groups = np.unique(x[:, names.index(entry.groups)]) if entry.groups else np.zeros(1)
    low, high = x[:, column].min(), x[:, column].max()
    places = np.geomspace(low, high, _POINTS) if entry.logarithmic else np.linspace(low, high, _POINTS)
    with canvas.default_style():
        figure = canvas.figure(_WIDTH, _HEIGHT)
        axes = figure.add_axes((0.16, 0.17, 0.8, 0.79))
        canvas.plain_axes(axes)
        for group, color in zip(groups, _COLORS, strict=False):
            own = x[:, names.index(entry.groups)] == group if entry.groups else np.ones(len(x), dtype=bool)
            rows = np.tile(x[own][:1], (_POINTS, 1))
            rows[:, column] = places
            label = f"{entry.groups} = {group:g}" if entry.groups else None
            axes.plot(places, model.predict(rows)[:, 0], color=color, linewidth=1.6, label=label)
            rows_color = color if entry.groups else style.TEXT
            axes.plot(x[own, column], y[own], "o", color=rows_color, markersize=3.5, markeredgewidth=0, alpha=0.7)
        if entry.logarithmic:
            axes.set_xscale("log")
            axes.set_yscale("log")
        axes.set_xlabel(entry.across, color=style.QUIET_TEXT, fontsize=9)
        axes.set_ylabel(entry.target, color=style.QUIET_TEXT, fontsize=9)
        if entry.groups:
            axes.legend(frameon=False, fontsize=8, labelcolor=style.QUIET_TEXT)
        return canvas.render(figure, "svg")
