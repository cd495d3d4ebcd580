"""``superpose fit --task classification``, and what ``superpose predict`` writes for a classifier."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose import _console, _options
from superpose._errors import OptionError

if TYPE_CHECKING:
    from superpose.classification import Classification
    from superpose.nn import KAN

TASKS = ("regression", "classification")
# As in superpose.nn.head, which must not be loaded before options are checked.
HEADS = ("auto", "sigmoid", "gaussian", "softmax", "ordinal")
_MOST_PARAMETERS = 10**9


def checked(options: dict[str, Any]) -> dict[str, Any]:
    """The options of ``fit`` as those of a classifier; raises :class:`OptionError` for what it does not have."""
    made = dict(options)
    if made.pop("optimizer") != "lm":
        raise OptionError("--optimizer is for numbers; a classifier is trained by Fisher scoring, so leave it out")
    made["head"] = "auto" if made["head"] is None else _options.one_of("--head", made["head"], HEADS)
    if made["parameters"] is not None:
        made["parameters"] = _options.whole("--parameters", made["parameters"], 1, _MOST_PARAMETERS)
    if made["shape"] != "auto" and not all(isinstance(width, int) for width in made["shape"]):
        raise OptionError("--shape has products, which classifiers do not have; write sums only, such as 3,1")
    limit = made.pop("time_limit")
    if limit is not None:
        made["time_limit"] = _options.seconds("--time-limit", limit)
    return made


@dataclass(frozen=True)
class Job:
    """One run of ``superpose fit --task classification``, its options checked."""

    table: str
    target: str
    features: list[str] | None
    folder: Path
    options: dict[str, Any]
    as_json: bool
    quiet: bool

    def run(self) -> None:
        """Read, search, write, and say what was found."""
        _console.one_thread()
        from superpose import report
        from superpose.classification import ClassifyOptions, classify, read_labelled

        options = ClassifyOptions(**self.options)
        with _console.progress(self.quiet, "reading the table") as listener:
            soft = options.head in ("sigmoid", "gaussian") and _holds_shares(self.table, self.target)
            data = read_labelled(self.table, target=self.target, features=self.features, soft=soft, seed=options.seed)
            result = classify(data, options, listener=listener)
            report.write(result, self.folder, settings=asdict(options))
        summary = _console.finite({**result.metrics, "left_out": list(data.data.left_out), "out": str(self.folder)})
        if self.as_json:
            print(json.dumps(summary, allow_nan=False))
        else:
            _tell(result, summary)


def _holds_shares(table: str, target: str) -> bool:
    """Whether a column holds numbers between 0 and 1 that are neither."""
    from superpose._reading import read_table
    from superpose._tables import NUMBER

    read = read_table(table)
    if target not in read.names:
        return False
    cells = read.columns[read.names.index(target)]
    numbers = [float(cell) for cell in cells if not isinstance(cell, str) or NUMBER.fullmatch(cell)]
    return len(numbers) == len(cells) and all(0 <= n <= 1 for n in numbers) and any(0 < n < 1 for n in numbers)


def _tell(result: Classification, summary: dict[str, Any]) -> None:
    name, rows = result.head.name, len(result.data.test)
    parts = [f"network {summary['network_accuracy']:.2%} (cross-entropy {summary['network_cross_entropy']:.3g})"]
    if summary["formula"] is None:
        print(f"no formula for {name}; the network stands by itself")
    else:
        print(summary["formula"])
        for boundary in summary["boundaries"]:
            print(f"{boundary['between'][0]} | {boundary['between'][1]}: {boundary['equation']}")
        formula = f"formula {summary['formula_accuracy']:.2%} (cross-entropy {summary['formula_cross_entropy']:.3g})"
        parts.insert(0, formula)
    usual = f"always saying {summary['majority_class']} {summary['majority_accuracy']:.2%}"
    print(f"right on {rows} rows held out for the test: {', '.join(parts)}, {usual}")
    _console.show_front(summary.get("front", []), summary.get("recommendation"), "cross_entropy", "cross-entropy")
    if len(summary["features_used"]) < len(summary["features"]):
        print(
            f"columns used: {', '.join(summary['features_used'])}; a network of all columns is right on "
            f"{summary['all_columns_accuracy']:.2%}"
        )
    if summary["left_out"]:
        print(f"columns left out (no numbers, or one value only): {', '.join(summary['left_out'])}")
    if summary.get("interrupted"):
        print("interrupted: this is the best model so far")
    print(f"written to {summary['out']}; begin with {os.path.join(summary['out'], 'report.html')}")


def columns(model: KAN, scores: Any, probabilities: bool) -> dict[str, Any]:
    """What ``predict`` adds to a table for a classifier: labels, and the probability of each class if wanted."""
    import torch

    head = model.head
    assert head is not None
    found: dict[str, Any] = {head.name: head.labels(scores)}
    if probabilities:
        shares = head.probabilities(torch.from_numpy(scores)).numpy()
        found |= {f"P({head.name} = {name})": shares[:, k] for k, name in enumerate(head.classes)}
    return found
