"""The numbers that a picture shows, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import OptionError

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_NAME = "superpose_numbers"
_VIEW = "superpose_view"


@dataclass(frozen=True)
class View:
    """How the numbers of a picture are drawn again by another program.

    Attributes:
        kind: ``"points"``, ``"lines"``, ``"bars"`` or ``"cells"``.
        x: the column across.
        y: the columns upwards, a line for each; of cells one.
        by: columns whose values part the rows into lines.
        z: of cells, the column of their colour.
        log: whether the axis upwards is logarithmic.
    """

    kind: str
    x: str
    y: tuple[str, ...]
    by: tuple[str, ...] = ()
    z: str = ""
    log: bool = False


def attach(figure: Figure, columns: Mapping[str, Sequence[Any] | np.ndarray], view: View) -> Figure:
    """Keep the numbers of a picture with it, columns of one length by their names, and return the picture."""
    setattr(figure, _NAME, {name: np.asarray(values) for name, values in columns.items()})
    setattr(figure, _VIEW, view)
    return figure


def view_of(picture: Figure) -> View:
    """How the numbers of :func:`data` are drawn again."""
    view: View = getattr(picture, _VIEW)
    return view


def data(picture: Figure) -> pandas.DataFrame:
    """The numbers that a picture shows, one row for each point of a curve, bar, mark or cell.

    Args:
        picture: what a function of ``superpose.plot`` returned.

    Raises:
        OptionError: if it is no such picture.

    >>> from superpose import plot
    >>> plot.data(plot.parity([1.0, 2.0], [1.0, 2.5]))
       measured  predicted
    0       1.0        1.0
    1       2.0        2.5
    """
    import pandas

    columns = getattr(picture, _NAME, None)
    if columns is None:
        raise OptionError(
            f"data takes a picture that a function of superpose.plot drew, not a {type(picture).__name__}"
        )
    return pandas.DataFrame(columns)
