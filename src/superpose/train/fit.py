"""fit: train a model in place."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from superpose.data import Dataset
from superpose.errors import DataError, OptionError, ShapeError
from superpose.messages import nearest
from superpose.nn.model import KAN
from superpose.nn.wide_buffers import HALF
from superpose.spline.backend import full_precision
from superpose.train.history import History
from superpose.train.progress import Listener
from superpose.train.run import Run
from superpose.train.settings import FitSettings


def fit(
    model: KAN,
    data: Dataset | tuple[Any, Any],
    *,
    optimizer: str = "lm",
    listener: Listener | None = None,
    **options: Any,
) -> History:
    """Train a model in place on the training rows of a data set, and keep the best state by its validation rows.

    A model that was never fitted takes its scaling and column names from the data; one that was keeps them.

    Args:
        model: its parameters and grids are changed in place (its parameter tensors may be replaced).
        data: a :class:`~superpose.Dataset`, or a pair of arrays ``(x, y)``.
        optimizer: ``"lm"`` (Levenberg-Marquardt, squared errors), ``"lbfgs"`` or ``"adamw"``.
        listener: called with every :class:`~superpose.train.Record`.
        **options: see :class:`FitSettings`.

    Returns:
        A :class:`History`, whose ``reason`` says why training stopped.

    Raises:
        OptionError: for an option that does not exist or makes no sense.
        DataError: if ``data`` is neither a data set nor a pair of arrays.
        ShapeError: if model and data differ in their numbers of features or targets.

    >>> import torch
    >>> from superpose import Dataset, KAN
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> history = fit(KAN([1, 1], seed=0), Dataset.from_arrays(x, torch.sin(3 * x)), grids=(3, 6))
    >>> history.grids, history.train_rmse < 1e-2
    ([3, 6], True)
    """
    known = {option.name for option in fields(FitSettings)}
    for name in options:
        if name not in known:
            raise OptionError(f"fit has no option {name!r}{nearest(name, known)}")
    settings = FitSettings(**options).checked(optimizer)
    if not isinstance(data, Dataset):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise DataError(f"fit takes a Dataset or a pair of arrays (x, y), not {type(data).__name__}")
        data = Dataset.from_arrays(*data, seed=settings.seed)
    if [model.widths[0], model.widths[-1]] != [data.n_features, data.n_targets]:
        raise ShapeError(
            f"the model takes {model.widths[0]} features and gives {model.widths[-1]} targets, but the data have "
            f"{data.n_features} features and {data.n_targets} targets; "
            f"make it KAN([{data.n_features}, ..., {data.n_targets}])"
        )
    if model.dtype in HALF:
        raise OptionError(
            f"training needs float32 or float64, and the model is in {model.dtype}; convert it with model.float(), and "
            f"back after the training"
        )
    if settings.memory is not None:
        settings.memory.check(model)
    # Training makes sums of many squares, which have no digits left in bfloat16.
    with full_precision(model.input_center):
        return Run(model, data, optimizer, settings, listener).run()
