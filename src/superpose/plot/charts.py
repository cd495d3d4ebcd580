"""Two charts: losses against training steps, and predictions against measurements."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from superpose.data import Dataset
from superpose.data.arrays import real_array, root_mean_square
from superpose.data.scaling import mean_and_deviation
from superpose.errors import OptionError
from superpose.messages import counted
from superpose.plot import canvas, style
from superpose.plot.numbers import View, attach
from superpose.train import History, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More points are drawn as one image: as vectors they would make an SVG of megabytes. A round number.
_MAX_VECTOR_POINTS = 2_000
_VIEW = View("lines", "step", ("train_loss", "validation_loss"), log=True)


@dataclass(frozen=True)
class _Stage:
    """Consecutive records with one grid size; ``start`` and ``end`` are positions on the axis of steps."""

    start: float
    end: float
    grid_size: int


def staircase(history: History) -> Figure:
    """Draw the errors on training and validation rows against steps, with the grid size of each stage.

    The errors fall in steps where the grid is refined (Liu et al. 2024, "KAN: Kolmogorov-Arnold Networks", section
    2.4). They are root mean squares in units of the scaled target, as in the records.

    Raises:
        OptionError: if ``history`` is no :class:`~superpose.History`.
    """
    if not isinstance(history, History):
        raise OptionError(
            f"the staircase is drawn of a History, not of a {type(history).__name__}; superpose.fit returns one, and "
            "what discover, classify and search return holds one as its history"
        )
    with canvas.default_style():
        figure = canvas.figure(7.0, 3.8)
        axes = figure.add_axes((0.105, 0.14, 0.845, 0.68))
        canvas.plain_axes(axes)
        axes.set_xlabel("step", size=10, color=style.TEXT)
        axes.set_ylabel("RMSE, scaled target", size=10, color=style.TEXT)
        records = history.records
        curves = [("training", style.TRAINING_CURVE, [record.train_loss for record in records])]
        if history.validated:
            curves.insert(0, ("validation", style.VALIDATION_CURVE, [record.validation_loss for record in records]))
        drawable = [_positive(values) for _, _, values in curves]
        if not any(np.isfinite(values).any() for values in drawable):
            axes.text(0.5, 0.5, "no steps were taken", transform=axes.transAxes, ha="center", color=style.QUIET_TEXT)
            axes.set(xticks=[], yticks=[])
            canvas.heading(axes, "Training")
            return attach(figure, _columns(history), _VIEW)
        axes.set_yscale("log")
        steps = _steps(records)
        for (name, color, _), values in zip(curves, drawable, strict=True):
            seen = np.flatnonzero(np.isfinite(values))
            if seen.size:
                axes.plot(steps, values, color=color, linewidth=1.6, label=name, gid=f"curve-{name}", zorder=3)
                last = seen[-1]
                axes.plot([steps[last]], [values[last]], "o", color=color, markersize=4, zorder=4)
        axes.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
        # Room for the grid sizes above the curves.
        bottom, top = np.log10(axes.get_ylim())
        axes.set_ylim(10**bottom, 10 ** (top + 0.09 * (top - bottom)))
        canvas.fit_left_labels(axes)
        axes.legend(frameon=False, fontsize=9, loc="best", labelcolor=style.QUIET_TEXT, reverse=True)
        _label_stages(figure, axes, _stages(records))
        kept = f"RMSE in the target's units: {history.train_rmse:.3g} on training rows"
        if history.validated:
            kept += f", {history.validation_rmse:.3g} on validation rows"
        canvas.heading(axes, "Training", kept)
        return attach(figure, _columns(history), _VIEW)


def _columns(history: History) -> dict[str, list[float]]:
    records = history.records
    return {
        "step": [record.step for record in records],
        "grid_size": [record.grid_size for record in records],
        "train_loss": [record.train_loss for record in records],
        "validation_loss": [record.validation_loss for record in records],
    }


def _positive(values: Sequence[float]) -> np.ndarray:
    """Values that a logarithmic scale can show; the others become NaN, which leaves gaps."""
    array = np.asarray(values, dtype=float)
    return np.where(np.isfinite(array) & (array > 0), array, np.nan)


def _steps(records: Sequence[Record]) -> np.ndarray:
    steps = np.array([record.step for record in records], dtype=float)
    return steps if (np.diff(steps) >= 0).all() else np.arange(len(steps), dtype=float)


def _stages(records: Sequence[Record]) -> list[_Stage]:
    steps = _steps(records)
    changes = [n for n in range(1, len(steps)) if records[n].grid_size != records[n - 1].grid_size]
    marks = [steps[0] - 0.5, *((steps[n - 1] + steps[n]) / 2 for n in changes), steps[-1] + 0.5]
    sizes = [records[n].grid_size for n in (0, *changes)]
    return [_Stage(*parts) for parts in zip(marks, marks[1:], sizes, strict=False)]


def _label_stages(figure: Figure, axes: Axes, stages: Sequence[_Stage]) -> None:
    """Draw a line at each refinement, and the grid size above each stage that is wide enough for it."""
    low, high = axes.get_xlim()
    inches = axes.get_position().width * figure.get_size_inches()[0] / (high - low)
    for n, stage in enumerate(stages):
        if n:
            axes.axvline(
                stage.start,
                color=style.QUIET_TEXT,
                linewidth=0.7,
                linestyle=(0, (2, 2)),
                zorder=1,
                gid=f"refinement-{n}",
            )
        room = (stage.end - stage.start) * inches - 0.04
        texts = [f"grid {stage.grid_size}"] * (n == 0) + [str(stage.grid_size)]
        for text in [text for text in texts if canvas.text_size(text, 8)[0] <= room][:1]:
            axes.annotate(
                text,
                ((stage.start + stage.end) / 2, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(0, -9),
                textcoords="offset points",
                ha="center",
                size=8,
                color=style.QUIET_TEXT,
                gid=f"grid-{stage.grid_size}",
            )


def parity(
    measured: Any, predicted: Any, *, name: str = "target", model: str = "network", weights: Any = None
) -> Figure:
    """Draw predictions against measurements, with the root mean square of their differences and R².

    For a model and a data set the two are ``data.y`` and ``model.predict(data)``.

    Args:
        measured, predicted: arrays, tensors or pandas columns of numbers, ``[N]`` or ``[N, 1]``, in the target's units.
        name: the target's name, for the labels of the axes.
        model: the name of the model, for the title.
        weights: of the values, positive; all count the same if None.

    Raises:
        OptionError: if the two are no columns of the same number of values.
        DataError: if they do not hold real numbers.

    >>> picture = parity([1.0, 2.0], [1.0, 2.5], name="volume")
    >>> "RMSE 0.354" in canvas.render(picture, "svg").decode()
    True
    """
    x, y = _column("measured", measured), _column("predicted", predicted)
    if x.shape != y.shape:
        raise OptionError(f"measured has {counted(x.size, 'value')} and predicted {y.size}; pass the same rows of both")
    finite = np.isfinite(x) & np.isfinite(y)
    shown, lost = (x[finite], y[finite]), int((~finite).sum())
    with canvas.default_style():
        figure = canvas.figure(4.8, 5.0)
        axes = figure.add_axes((0.17, 0.12, 0.78, 0.75))
        canvas.plain_axes(axes)
        rmse, r2 = _errors(*shown, None if weights is None else _column("weights", weights)[finite])
        low, high = _limits(np.concatenate(shown))
        axes.plot((low, high), (low, high), color=style.QUIET_TEXT, linewidth=1, zorder=2)
        axes.plot(
            *shown,
            "o",
            color=style.PREDICTION,
            markersize=max(1.5, min(4.5, 120 / max(1.0, x.size) ** 0.5)),
            alpha=max(0.15, min(0.6, 150 / max(1.0, x.size) ** 0.7)),
            markeredgewidth=0,
            rasterized=x.size > _MAX_VECTOR_POINTS,
            zorder=3,
            gid="points",
        )
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        label = canvas.shortened(name, 40)
        axes.set_xlabel(f"measured {label}", size=10, color=style.TEXT, parse_math=False)
        axes.set_ylabel(f"predicted {label}", size=10, color=style.TEXT, parse_math=False)
        missing = f", {lost} not finite left out" if lost else ""
        canvas.heading(axes, f"RMSE {rmse:.3g}{r2}", f"{model}, {counted(x.size, 'row')}{missing}")
        return attach(figure, {"measured": x, "predicted": y}, View("points", "measured", ("predicted",)))


def _errors(measured: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> tuple[float, str]:
    """The root mean squared error, and R² as a part of the heading where the measurements vary."""
    y, counts = torch.from_numpy(measured), None if weights is None else torch.from_numpy(weights)
    rmse = root_mean_square(torch.from_numpy(predicted) - y, counts)
    spread = float(mean_and_deviation(y[:, None], counts)[1]) if len(y) else 0.0
    return rmse, f", R² {1 - (rmse / spread) ** 2:.4g}" if spread > 0 else ""


def _column(option: str, values: Any) -> np.ndarray:
    if isinstance(values, torch.nn.Module | Dataset | str | Mapping):
        raise OptionError(
            f"{option} must be one column of numbers, not a {type(values).__name__}; for a model and a data set "
            "pass data.y and model.predict(data)"
        )
    if hasattr(values, "iloc"):
        # A row without a number is left out of the picture, while a table with one is refused.
        with contextlib.suppress(TypeError, ValueError):
            values = values.to_numpy(dtype=float, na_value=np.nan)
    array = real_array(values, option)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise OptionError(f"{option} must be one column, [N] or [N, 1], not of shape {list(array.shape)}")
    return array


def _limits(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    around = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - around, high + around
