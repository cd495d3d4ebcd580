"""Pictures: the network diagram, one edge close up, the loss staircase, measured against predicted,
formulas from simple to accurate; what columns do to predictions; and the numbers of each picture.

>>> import torch, superpose
>>> from superpose import plot
>>> model = superpose.KAN([2, 5, 1], seed=0, feature_names=["time", "height"])
>>> x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 1
>>> picture = plot.network(model, x)
>>> "time" in plot.render(picture, "svg").decode()
True

Each function returns a :class:`matplotlib.figure.Figure` and writes nothing; :func:`save_figure`
writes one. A notebook shows a picture that is the value of a cell. matplotlib is imported when the
first picture is drawn; its settings are neither read nor changed, and pyplot is not used.
"""

from superpose.plot.canvas import render, save_figure
from superpose.plot.charts import parity, staircase
from superpose.plot.column_pictures import importance, interaction, partial_dependence, residuals
from superpose.plot.edge_closeup import edge
from superpose.plot.interactive import interactive
from superpose.plot.network_diagram import network
from superpose.plot.numbers import data
from superpose.plot.pareto_front import front

__all__ = [
    "data",
    "edge",
    "front",
    "importance",
    "interaction",
    "interactive",
    "network",
    "parity",
    "partial_dependence",
    "render",
    "residuals",
    "save_figure",
    "staircase",
]
