"""What ``superpose fit`` leaves behind: the files of a run, and one page that shows them.

The page stands alone: pictures are inside it, it loads nothing and runs no script, and its policy
says so to the browser. Column names and file names are data; the template escapes all of them.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from superpose import plot
from superpose.data import Split
from superpose.errors import DataError, FileError
from superpose.files import save
from superpose.formulas.expressions.formula import Formula
from superpose.messages import counted, quoted
from superpose.nn.head import GAUSSIAN_EDGE, Head
from superpose.nn.model import KAN, Edge
from superpose.plot import canvas, style
from superpose.plot.edge_closeup import close_up, described, node_names
from superpose.plot.samples import magnitudes, traced

if TYPE_CHECKING:
    from superpose.tasks.classification import Classification
    from superpose.tasks.regression.search import Result

__all__ = ["FILES", "write"]

FILES = (
    "model.safetensors",
    "network.safetensors",
    "formula.txt",
    "formula.tex",
    "formula.py",
    "metrics.json",
    "history.csv",
    "front.svg",
    "network.svg",
    "network.png",
    "report.html",
)
# Close-ups take a tenth of a second and 30 kB each; more than that many are not looked at.
_MOST_CLOSE_UPS = 60
_MOST_PARITIES = 6
# A typeset formula that is wider than that, in inches at 16 points, is shown as text, which wraps.
_MOST_FORMULA_WIDTH = 11.0
# In the table of formulas there is room for less.
_MOST_TABLE_WIDTH = 9.0


def write(
    result: Result | Classification, folder: str | os.PathLike[str], *, settings: Mapping[str, Any] | None = None
) -> dict[str, Path]:
    """Write all files of a run into a folder, which is made if need be.

    They are written elsewhere first and moved in at the end, so a failure leaves the folder as it
    was. Files of an earlier run are replaced; a formula of an earlier run does not stay beside a
    model that has none.

    Args:
        result: what :func:`superpose.discover` or :func:`superpose.classify` gave.
        folder: where.
        settings: the options of the run, to be listed in the report.

    Returns:
        The path of each file by its name.

    Raises:
        FileError: if the folder or a file cannot be written.
    """
    folder = Path(folder)
    with _staging(folder) as staging:
        _write_all(result, staging, settings or {})
        names = [name for name in FILES if (staging / name).exists()]
        if folder.is_dir():
            for name in names:
                os.replace(staging / name, folder / name)
            for name in set(FILES) - set(names):
                (folder / name).unlink(missing_ok=True)
        else:
            os.rename(staging, folder)
    return {name: folder / name for name in names}


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A fresh folder on the same disk, gone at the end."""
    label = quoted(os.fspath(folder), 120)
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{label} is a file, and a run needs a folder; choose another name")
    staging = (folder if folder.is_dir() else folder.parent) / f".{secrets.token_hex(8)}.tmp"
    try:
        staging.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        yield staging
    except FileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"the files of the run cannot be written to {label}: {reason}; choose another place, or make room for them"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_all(result: Result | Classification, folder: Path, settings: Mapping[str, Any]) -> None:
    save(result.model, folder / "model.safetensors")
    if result.model is not result.network:
        save(result.network, folder / "network.safetensors")
    if result.formula is not None:
        _write_text(folder / "formula.txt", f"{result.formula}\n")
        _write_text(folder / "formula.tex", f"{result.formula.latex()}\n")
        _write_text(folder / "formula.py", _python(result))
    metrics = json.dumps(_plain(result.metrics), indent=2, ensure_ascii=False, allow_nan=False)
    _write_text(folder / "metrics.json", f"{metrics}\n")
    result.history.to_csv(folder / "history.csv")
    trade_off = None
    if _front_rows(result):
        trade_off = canvas.drawn(lambda: _trade_off(result), "Errors of the formulas by their size")
        (folder / "front.svg").write_bytes(trade_off.files["svg"])
    diagram = canvas.drawn(lambda: plot.network(_drawn(result), result.data), "The network", ("svg", "png"))
    for kind, content in diagram.files.items():
        (folder / f"network.{kind}").write_bytes(content)
    _write_text(folder / "report.html", _page(result, diagram, trade_off, settings))


def _drawn(result: Result | Classification) -> KAN:
    """The network that the pictures show: for classes the spline network, whose scores the accuracies are of."""
    return result.model if result.network.head is None else result.network


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _plain(value: Any) -> Any:
    """What JSON can hold: tensors and arrays as lists, numbers that are none as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


# -- the page


@dataclass(frozen=True)
class _Picture:
    """A picture as the page holds it."""

    source: str
    text: str
    width: float
    """In inches, as it was drawn."""


@dataclass(frozen=True)
class _EdgeCard:
    title: str
    description: Sequence[str]
    picture: _Picture


def _page(
    result: Result | Classification,
    diagram: canvas.Drawn,
    trade_off: canvas.Drawn | None,
    settings: Mapping[str, Any],
) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    names, classes = result.network.target_names, _classes(result)
    cards, left_out = _edge_cards(result)
    return environment.get_template("report.html").render(
        title=_title(names if classes is None else [classes.name]),
        classes=classes,
        formulas=_formulas(result),
        latex=None if result.formula is None else result.formula.latex(),
        typeset=None if result.formula is None or len(names) > 1 else _typeset(result.formula),
        errors=_errors(result),
        target_std=result.metrics.get("target_std", result.data.target_std),
        test_rows=len(result.data.test),
        front=_front(result, trade_off),
        recommendation=canvas.clean(result.metrics.get("recommendation") or ""),
        used=_used(_drawn(result)),
        interrupted=bool(result.metrics.get("interrupted")),
        diagram=_picture(diagram, f"The network that predicts {', '.join(names)}"),
        staircase=_picture(
            canvas.drawn(lambda: plot.staircase(result.history), "Training"), "Errors during training, against steps"
        ),
        reason=result.history.reason,
        parities=[] if classes else _parities(result),
        edges=cards,
        edges_left_out=left_out,
        facts=_facts(result),
        settings={str(key): _written(value) for key, value in settings.items()},
    )


@dataclass(frozen=True)
class _Classes:
    """What the page says of a classifier."""

    name: str
    says: str | None
    boundaries: Sequence[tuple[str, str]]
    shares: Sequence[tuple[str, str]]
    """How often each is right, and of what that is the share."""
    names: Sequence[str]
    confusion: Sequence[Sequence[int]]


def _classes(result: Result | Classification) -> _Classes | None:
    head, found = result.network.head, result.metrics
    if head is None or "network_accuracy" not in found:
        return None
    shares = [
        (f"{found['network_accuracy']:.2%}", f"right: the network, cross-entropy {found['network_cross_entropy']:.3g}")
    ]
    if result.formula is not None:
        entropy = f"cross-entropy {found['formula_cross_entropy']:.3g}"
        shares.insert(0, (f"{found['formula_accuracy']:.2%}", f"right: the formula, {entropy}"))
    usual = f"right: always saying {canvas.clean(found['majority_class'])}"
    shares.append((f"{found['majority_accuracy']:.2%}", usual))
    between = [(" | ".join(map(canvas.clean, b["between"])), b["equation"]) for b in found["boundaries"]]
    says = None if result.formula is None else canvas.clean(found["formula"])
    names = [canvas.clean(name) for name in head.classes]
    return _Classes(canvas.clean(head.name), says, between, shares, names, found["confusion"])


def _python(result: Result | Classification) -> str:
    assert result.formula is not None
    text = result.formula.python()
    head = result.network.head
    return text if head is None else text + label_code(head)


def label_code(head: Head) -> str:
    """A function that names classes, to stand behind the module of a formula."""
    if head.kind == "softmax":
        index = "numpy.argmax(numpy.stack(numpy.broadcast_arrays(*predict(**columns))), 0)"
    elif head.kind == "ordinal":
        levels = [float(name) for name in head.classes]
        cuts = [(low + high) / 2 for low, high in itertools.pairwise(levels)]
        index = f"numpy.searchsorted({cuts!r}, predict(**columns))"
    elif head.kind == "gaussian":
        index = f"(numpy.abs(predict(**columns)) < {GAUSSIAN_EDGE!r}).astype(int)"
    else:
        index = "(predict(**columns) > 0).astype(int)"
    names = "".join(f"{name!a}, " for name in head.classes).strip()
    return (
        f"\n\nCLASSES = ({names})\n\n\ndef label(**columns):\n"
        f'    """The class at the given columns; predict gives the scores."""\n'
        f"    return numpy.asarray(CLASSES)[{index}]\n"
    )


def _title(names: Sequence[str]) -> str:
    """The targets' names, the first of many.

    >>> _title(["volume"]), _title(["a", "b", "c", "d", "e"])
    ('volume', 'a, b and 3 more')
    """
    if len(names) > 3:
        return f"{', '.join(map(canvas.clean, names[:2]))} and {len(names) - 2} more"
    return ", ".join(map(canvas.clean, names))


def _picture(drawn: canvas.Drawn, text: str) -> _Picture:
    # An image, not part of the page: what two pictures call by the same name stays apart.
    data = base64.b64encode(drawn.files["svg"]).decode("ascii")
    return _Picture(f"data:image/svg+xml;base64,{data}", canvas.clean(text), drawn.width)


def _formulas(result: Result | Classification) -> list[tuple[str, str]]:
    if result.formula is None:
        return []
    names = [canvas.clean(name) for name in result.network.target_names]
    if len(names) == 1:
        return [(names[0], str(result.formula))]
    return list(zip(names, result.formula.texts(), strict=True))


def _typeset(formula: Formula, most: float = _MOST_FORMULA_WIDTH, *, named: bool = True) -> _Picture | None:
    """The formula as a picture, if matplotlib knows all of its LaTeX and it is not wider than that in inches.

    Without the name of its target unless ``named``.
    """
    latex = " ".join(formula.latex().split())
    if not named:
        # Spaces in names are written with a backslash before them.
        latex = latex.partition(" = ")[2] or latex
    if "$" in latex.replace("\\$", ""):
        return None
    figure = canvas.figure(1, 1)
    try:
        with canvas.default_style():
            text = figure.text(0, 0, f"${latex}$", size=16, color=style.INK)
            extent = text.get_window_extent()
            width, height = extent.width / figure.dpi + 0.1, extent.height / figure.dpi + 0.1
            if not 0 < width <= most:
                return None
            figure.set_size_inches(width, height)
            text.set_position((0.05 / width, (0.05 - extent.y0 / figure.dpi) / height))
        return _picture(canvas.rendered(figure, ("svg",)), str(formula))
    except (ValueError, ArithmeticError):
        return None


@dataclass(frozen=True)
class _FrontRow:
    """One formula of the front; its picture is None where it is too wide for the table, or several formulas."""

    nodes: int
    errors: Sequence[str]
    text: str
    picture: _Picture | None
    recommended: bool


@dataclass(frozen=True)
class _Front:
    """The formulas from simple to accurate, as the page shows them."""

    headings: Sequence[str]
    rows: Sequence[_FrontRow]
    picture: _Picture


def _front_rows(result: Result | Classification) -> list[dict[str, Any]]:
    """What the metrics say of the front; that of networks alone has no formulas."""
    return [row for row in result.metrics.get("front", []) if "formula" in row]


def _trade_off(result: Result | Classification) -> Any:
    """The picture of the front."""
    rows = _front_rows(result)
    if "cross_entropy" in rows[0]:
        return plot.front(rows, error="cross_entropy")
    return plot.front(rows, target_std=result.metrics.get("target_std"))


def _front(result: Result | Classification, trade_off: canvas.Drawn | None) -> _Front | None:
    """The table of the front; None where it would hold no more than the formula at the top of the page."""
    rows = _front_rows(result)
    if len(rows) < 2 or trade_off is None:
        return None
    classes = "cross_entropy" in rows[0]
    made, told = [], []
    for row, formula in zip(rows, result.front, strict=True):
        error = row["cross_entropy"] if classes else row["rmse"]
        errors = [_number(error), f"{row['accuracy']:.2%}"] if classes else [_number(error)]
        picture = _typeset(formula, _MOST_TABLE_WIDTH, named=False) if len(formula.expressions) == 1 else None
        made.append(_FrontRow(row["complexity"], errors, canvas.clean(row["formula"]), picture, row["recommended"]))
        told.append(f"{row['complexity']} nodes {errors[0]}{' (recommended)' if row['recommended'] else ''}")
    headings = ["cross-entropy", "right"] if classes else ["error"]
    return _Front(headings, made, _picture(trade_off, f"Errors of the formulas by their size: {'; '.join(told)}"))


def _errors(result: Result | Classification) -> list[tuple[str, float | None]]:
    """Root mean squares on the test rows, in the target's units."""
    found = [("network", result.metrics.get("network_rmse"))]
    if result.formula is not None:
        found.append(("formula", result.metrics.get("formula_rmse")))
    return found


def _used(model: KAN) -> tuple[list[str], list[str]]:
    """The columns that the network reads, and those that it does not."""
    read = {i for n, i, _ in model.active_edges() if n == 0}
    names = [canvas.clean(name) for name in model.feature_names]
    return (
        [name for i, name in enumerate(names) if i in read],
        [name for i, name in enumerate(names) if i not in read],
    )


def _parities(result: Result | Classification) -> list[_Picture]:
    split: Split = "test" if len(result.data.test) else "all"
    x, y = result.data.rows(split)
    source = "network" if result.formula is None else "formula"
    with torch.no_grad():
        if result.formula is None:
            predicted = result.network(x.to(result.network.input_center.device)).cpu()
        else:
            predicted = result.formula.torch(x)
    made = []
    for k, name in enumerate(result.network.target_names[:_MOST_PARITIES]):
        draw = functools.partial(plot.parity, y[:, k], predicted[:, k], name=name, model=f"{source} on {split} rows")
        text = f"{name}, measured against predicted"
        made.append(_picture(canvas.drawn(draw, text), text))
    return made


def _edge_cards(result: Result | Classification) -> tuple[list[_EdgeCard], int]:
    """A close-up of each edge, the strongest of very many, and how many have none."""
    model = _drawn(result)
    active = model.active_edges()
    try:
        trace = traced(model, result.data)
    except DataError:
        # There are no samples to draw; the picture of the network says so.
        return [], len(active)
    scores = magnitudes(trace)

    def strength(edge: Edge) -> float:
        n, i, o = edge
        return -float(scores[n][i, o])

    chosen = sorted(sorted(active, key=strength)[:_MOST_CLOSE_UPS])
    cards = []
    for edge in chosen:
        title = " → ".join(map(canvas.clean, node_names(model, edge)))
        draw = functools.partial(close_up, model, trace, edge)
        picture = _picture(canvas.drawn(draw, title), f"The function from {title}")
        cards.append(_EdgeCard(title, described(model, edge), picture))
    return cards, len(active) - len(chosen)


def _facts(result: Result | Classification) -> list[tuple[str, str]]:
    """What the run was, as far as the result tells."""
    from importlib import metadata

    model, data, metrics = _drawn(result), result.data, result.metrics
    splits = (("training", data.train), ("validation", data.validation), ("test", data.test))
    facts = [
        ("table", canvas.clean(data.source or "arrays")),
        ("target", ", ".join(map(canvas.clean, metrics.get("target", data.target_names)))),
        ("features", ", ".join(map(canvas.clean, data.feature_names))),
        ("rows", ", ".join(f"{len(rows)} {name}" for name, rows in splits)),
        ("shape", _written(metrics.get("shape", model.shape))),
        ("edges", counted(len(model.active_edges()), "edge")),
        ("free constants", str(model.parameter_count())),
        ("grid intervals", _written([layer.grid_size for layer in model.kan_layers()])),
        ("degree", _written([layer.degree for layer in model.kan_layers()])),
    ]
    if "seconds" in metrics:
        facts.append(("time", f"{float(metrics['seconds']):.1f} s"))
    with contextlib.suppress(metadata.PackageNotFoundError):
        facts.append(("superpose", metadata.version("superpose")))
    return [*facts, ("torch", torch.__version__)]


def _number(value: float | None) -> str:
    """A number of three digits, as a person writes it.

    >>> _number(0.000123456), _number(12.3456), _number(None), _number(float("inf"))
    ('1.23 × 10⁻⁴', '12.3', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    digits, _, power = f"{value:.3g}".partition("e")
    if not power and value and abs(value) < 1e-3:
        digits, _, power = f"{value:.2e}".partition("e")
    if not power:
        return digits.replace("-", "−")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{raised}".replace("-", "−")


def _written(value: Any) -> str:
    """An option's value as a person reads it."""
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [f"[{_written(v)}]" if isinstance(v, list | tuple) else _written(v) for v in value]
        return ", ".join(parts) or "none"
    return canvas.clean(str(value))
