"""A folder for a model hub: the model file, and a model card that says what it predicts and how well."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from superpose.errors import FileError, OptionError
from superpose.files import save, write_atomically
from superpose.formulas.expressions.formula import Formula
from superpose.messages import counted, quoted
from superpose.nn.model import KAN

MODEL, CARD = "model.safetensors", "README.md"
# By which a card is known as one that this module wrote, and may replace.
_MARK = "library_name: superpose\n"
# What a card says of the metrics of a run, where they have it.
_ERRORS = (
    ("network_rmse", "root mean squared error of the network"),
    ("network_r2", "R² of the network"),
    ("formula_rmse", "root mean squared error of the formula"),
    ("formula_r2", "R² of the formula"),
    ("network_accuracy", "accuracy of the network"),
    ("network_cross_entropy", "cross-entropy of the network"),
    ("formula_accuracy", "accuracy of the formula"),
    ("formula_cross_entropy", "cross-entropy of the formula"),
    ("majority_accuracy", "accuracy of the most frequent class alone"),
    ("target_std", "standard deviation of the target"),
)


def hub(model: KAN, folder: str | os.PathLike[str], *, metrics: Mapping[str, Any] | None = None) -> None:
    """Write a folder for a model hub: ``model.safetensors`` and the model card ``README.md``.

    The card holds the columns, errors, prediction intervals and the formula. :func:`superpose.load` reads the model.

    Args:
        model: of dtype float32 or float64.
        folder: made if need be; a model and a card that this function wrote are replaced.
        metrics: those of a run, ``result.metrics`` or what ``metrics.json`` holds.

    Raises:
        OptionError: if the model cannot be saved, or the metrics are no mapping.
        FileError: if the folder cannot be written, or holds a ``README.md`` that is no such card.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hub(KAN([2, 3, 1]), folder, metrics={"network_rmse": 0.1})
    ...     sorted(os.listdir(folder))
    ['README.md', 'model.safetensors']
    """
    if not isinstance(model, KAN):
        raise OptionError(f"a superpose.KAN can be exported, not a {type(model).__name__}")
    if metrics is not None and not isinstance(metrics, Mapping):
        raise OptionError(f"metrics is a mapping such as result.metrics, not a {type(metrics).__name__}")
    place = Path(folder)
    label = quoted(os.fspath(place), 120)
    try:
        place.mkdir(parents=True, exist_ok=True)
        before = (place / CARD).read_text(encoding="utf-8", errors="replace") if (place / CARD).exists() else _MARK
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"the folder {label} cannot be used: {reason}; choose another") from None
    if _MARK not in before:
        raise FileError(f"{label} holds a {CARD} that is no model card of superpose; choose another folder")
    card = _card(model, metrics or {})
    save(model, place / MODEL)
    write_atomically(place / CARD, card.encode("utf-8", errors="replace"))


def _card(model: KAN, metrics: Mapping[str, Any]) -> str:
    task = "tabular-regression" if model.head is None else "tabular-classification"
    predicted = [model.head.name] if model.head is not None else list(model.target_names)
    names = ", ".join(_span(name) for name in predicted)
    text = (
        f"---\n{_MARK}pipeline_tag: {task}\ntags:\n- kolmogorov-arnold-network\n- {task}\n---\n\n# Model of {names}\n\n"
    )
    size = counted(model.parameter_count(), "parameter")
    text += (
        f"A Kolmogorov-Arnold network of the shape `{model.shape}` with {size} "
        f"that predicts {names} from {counted(len(model.feature_names), 'column')}. It takes and returns the units of "
        "its table.\n\n```python\nimport superpose\n\n"
        f'model = superpose.load("{MODEL}")\nmodel.predict("table.csv")\n```\n\n'
    )
    lows = (model.input_center - model.input_scale).tolist()
    highs = (model.input_center + model.input_scale).tolist()
    ranges = [
        [_span(name), f"{low:.6g}", f"{high:.6g}"]
        for name, low, high in zip(model.feature_names, lows, highs, strict=True)
    ]
    text += "## Columns\n\n" + _table(["column", "scaled from", "to"], ranges)
    if model.preparation is not None:
        raw = ", ".join(_span(name) for name in model.preparation.raw_names)
        text += f"\nThey are made from the columns {raw} of a table by the preparation in the model file.\n"
    if model.head is not None:
        text += f"\nClasses: {', '.join(_span(name) for name in model.head.classes)}.\n"
    text += _errors(metrics) + _intervals(model)
    formula = _formula(model, metrics)
    if formula:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", formula)), default=0))
        text += f"\n## Formula\n\n{fence}text\n{formula}\n{fence}\n"
    return text


def _errors(metrics: Mapping[str, Any]) -> str:
    found = [[meaning, f"{metrics[name]:.6g}"] for name, meaning in _ERRORS if _is_number(metrics.get(name))]
    if not found:
        return ""
    rows = metrics.get("rows")
    text = "\n## Errors\n\n" + _table(["measure", "value"], found)
    if isinstance(rows, Mapping) and all(_is_number(count) for count in rows.values()):
        kinds = ", ".join(f"{count} {_plain(str(name))}" for name, count in rows.items())
        text += f"\nRows: {kinds}. Errors are those on the test rows, or on rows left out where there are none.\n"
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _intervals(model: KAN) -> str:
    if model.uncertainty is None:
        return ""
    errors = counted(len(model.uncertainty.residuals), "error")
    return (
        "\n## Intervals\n\n`model.predict_interval(table, level=0.9)` gives prediction intervals, from "
        f"{errors} on rows that were left out, and says which rows lie outside the data.\n"
    )


def _formula(model: KAN, metrics: Mapping[str, Any]) -> str:
    """The formula of the metrics, or of a model without splines; empty if there is none."""
    if "formula" in metrics:
        known = metrics["formula"]
        return "\n".join(_plain(line) for line in known.splitlines()) if isinstance(known, str) else ""
    if any(bool(layer.spline_mask().any()) for layer in model.kan_layers()):
        return ""
    formula = Formula.of(model)
    return model.head.describe(formula.short()) if model.head is not None else str(formula)


def _plain(text: str) -> str:
    """One line of printable text."""
    return "".join(c if c.isprintable() else " " for c in text)


def _span(name: str) -> str:
    """A name as code in Markdown, in a cell of a table too."""
    plain = _plain(name).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{padding}{plain}{padding}{fence}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
