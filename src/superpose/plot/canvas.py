"""Figures that use neither pyplot nor the user's matplotlib settings, and their files."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.atomic_write import write_atomically
from superpose.errors import OptionError, SuperposeError
from superpose.messages import quoted
from superpose.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

FORMATS = (".svg", ".png", ".pdf")
# A design choice: a diagram 7 inches wide has 1,120 pixels.
_PNG_DPI = 160
# Of a PNG's longer side. A square one takes 12,000^2 * 4 bytes = 576 MB while it is drawn. A round number.
_MAX_PIXELS = 12_000
# Dates and versions are left out: they would make two files of one picture differ.
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "superpose"},
    "pdf": {"CreationDate": None, "Creator": "superpose"},
    "png": {"Software": "superpose"},
}
# Letters stay letters in an SVG: they can be searched, and a browser has fonts for all scripts.
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "superpose", "pdf.fonttype": 42}


@contextlib.contextmanager
def default_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever the user has set; the user's settings are restored afterwards."""
    import matplotlib.style

    with matplotlib.style.context(["default", _SETTINGS]), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes in PNG and in full in SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@functools.cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows without pyplot or magic commands."""

        def _repr_png_(self) -> bytes:
            return render(self, "png")

        def __reduce__(self) -> tuple[Any, ...]:
            # A class inside a function cannot be found by name.
            return _empty, (), self.__getstate__()

    return Picture


def _empty() -> Figure:
    """A figure without content, which unpickling fills."""
    kind = _figure_class()
    return kind.__new__(kind)


def figure(width: float, height: float) -> Figure:
    """An empty white figure of that size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    made = _figure_class()(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(made)
    return made


def notice(title: str, sentence: str) -> Figure:
    """A picture that holds a sentence, for one that cannot be drawn."""
    import textwrap

    lines = textwrap.wrap(clean(sentence), 60)[:8]
    with default_style():
        made = figure(4.4, 0.7 + 0.2 * len(lines))
        axes = made.add_axes((0.03, 0, 0.97, 1))
        axes.axis("off")
        write_text(axes, 0, 0.92, shortened(title, 60), va="top", size=11, weight="bold", color=style.TEXT)
        below = 1 - 0.5 / made.get_size_inches()[1]
        write_text(axes, 0, below, "\n".join(lines), va="top", size=9, color=style.QUIET_TEXT)
        return made


def render(figure: Figure, format: str) -> bytes:
    """The bytes of an ``svg``, ``png`` or ``pdf`` file; equal pictures give equal bytes.

    Raises:
        OptionError: for another format, or if ``figure`` is no matplotlib figure.
    """
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise OptionError(f"a picture is a figure that superpose.plot drew, not a {type(figure).__name__}")
    if f".{format}" not in FORMATS:
        raise OptionError(f"format must be one of svg, png, pdf, not {format!r}")
    buffer = io.BytesIO()
    dpi = min(_PNG_DPI, _MAX_PIXELS / max(figure.get_size_inches()))
    with default_style():
        figure.savefig(buffer, format=format, dpi=dpi, metadata=_METADATA[format])
    return buffer.getvalue()


@dataclass(frozen=True)
class Drawn:
    """A figure as the bytes of its files, by their kinds, and its width in inches."""

    files: Mapping[str, bytes]
    width: float


def drawn(
    make: Callable[[], Any],
    title: str,
    kinds: Sequence[str] = ("svg",),
    on_failure: Callable[[Exception], None] = lambda error: None,
) -> Drawn:
    """A figure, or a sentence in its place: what cannot be drawn must not cost what was found.

    Whatever goes wrong is caught: numbers that a picture cannot hold fail in many ways, some only when a figure is
    written.
    """
    try:
        return rendered(make(), kinds)
    except Exception as error:
        on_failure(error)
        said = str(error) if isinstance(error, SuperposeError) else f"{type(error).__name__}: {error}"
        return rendered(notice(title, f"This cannot be drawn: {said}"), kinds)


def rendered(figure: Any, kinds: Sequence[str]) -> Drawn:
    return Drawn({kind: render(figure, kind) for kind in kinds}, float(figure.get_size_inches()[0]))


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as SVG, PNG or PDF, by the suffix of the path; the file appears whole or not at all.

    >>> from matplotlib.figure import Figure
    >>> save_figure(Figure(), "picture.jpg")
    Traceback (most recent call last):
        ...
    superpose.errors.OptionError: 'picture.jpg' is no kind of picture that superpose writes; let \
the name end in .svg, .png or .pdf

    Raises:
        OptionError: for another suffix.
        FileError: if the file cannot be written.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"a picture is written to a path, not to a {type(path).__name__}")
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OptionError(
            f"{quoted(os.fspath(path), 120)} is no kind of picture that superpose writes; let the "
            "name end in .svg, .png or .pdf"
        )
    write_atomically(path, render(figure, suffix[1:]))


def clean(name: str) -> str:
    """A name on one line, without characters that XML cannot hold.

    >>> clean("a\\nb\\x00c")
    'a b\ufffdc'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in str(name))


def shortened(name: str, length: int = 24) -> str:
    """A name of at most ``length`` characters: the middle of a longer one becomes an ellipsis.

    >>> shortened("a_measurement_that_somebody_took_im", 17)
    'a_measur…_took_im'
    """
    name = clean(name)
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[-tail:]}"


def typeset(symbol: str) -> str:
    """A function's name with a raised last digit.

    >>> typeset("1/x^2"), typeset("x^1.5"), typeset("gaussian")
    ('1/x²', 'x^1.5', 'gaussian')
    """
    raised = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"\^(\d)$", lambda found: found[1].translate(raised), clean(symbol))


def text_size(text: str, size: float, **font: Any) -> tuple[float, float]:
    """Width and height in inches of a text; ``size`` is in points."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer = RendererAgg(8, 8, 72)  # type: ignore[no-untyped-call]
    properties = FontProperties(size=size, **font)
    width, height, _ = renderer.get_text_width_height_descent(  # type: ignore[no-untyped-call]
        text, properties, ismath=False
    )
    # matplotlib's font lacks East Asian letters and measures a box of 0.6 em instead; these letters are 1 em wide.
    full_width = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return (width + 0.4 * size * full_width) / 72, height / 72


def write_text(axes: Axes, x: float, y: float, text: str, **properties: Any) -> Text:
    """Write a text literally: ``$``, ``_`` and ``\\`` are no markup."""
    return axes.text(x, y, text, parse_math=False, **properties)


def plain_axes(axes: Axes) -> None:
    """Reduce axes to two spines, a light grid and small labels."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(style.GRID_LINE)
    # On a logarithmic axis of less than a decade the minor ticks have labels too.
    axes.tick_params(which="both", colors=style.QUIET_TEXT, labelsize=9)
    axes.tick_params(length=3)
    axes.grid(True, color=style.GRID_LINE, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def fit_left_labels(axes: Axes) -> None:
    """Narrow the axes until the tick labels at their left lie on the figure: 4.2×10⁻² is longer than 10⁻²."""
    figure = axes.get_figure(root=True)
    labels = axes.yaxis.get_tightbbox()
    assert figure is not None and labels is not None
    lacking = 0.08 - labels.x0 / figure.dpi
    if lacking > 0:
        x, y, width, height = axes.get_position().bounds
        share = lacking / figure.get_size_inches()[0]
        axes.set_position((x + share, y, width - share, height))


def heading(axes: Axes, text: str, *more: str) -> None:
    """Write a title and quieter lines above the axes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    left = axes.get_position().x0
    # The text starts left of the axes, above the tick labels, so that long lines fit.
    start = -72 * (left * figure.get_size_inches()[0] - 0.14)
    for k, line in enumerate(reversed((text, *more))):
        title = k == len(more)
        axes.annotate(
            line,
            (0, 1),
            xytext=(start, 8 + 13.5 * k),
            xycoords="axes fraction",
            textcoords="offset points",
            annotation_clip=False,
            parse_math=False,
            color=style.TEXT if title else style.QUIET_TEXT,
            size=11 if title else 9,
            weight="bold" if title else "normal",
        )
