"""``superpose fit`` of classes: its options, and what it prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.choices import HEADS
from superpose.cli import parsing
from superpose.cli.job import LATER, MAX_FOLDS, Job, Listener, limits
from superpose.cli.time_plan import TimePlan
from superpose.errors import OptionError

if TYPE_CHECKING:
    from superpose.checkpoint import Checkpoint
    from superpose.tasks.classification import Classification


class ClassificationJob(Job):
    """``superpose fit --task classification``: one of some classes is learnt."""

    error: ClassVar[tuple[str, str]] = ("cross_entropy", "cross-entropy")

    @staticmethod
    def parsed(options: dict[str, Any]) -> dict[str, Any]:
        """What was typed as the options of a classifier."""
        made = {name: value for name, value in options.items() if name not in ("form", "optimizer", *LATER)}
        if options["form"] is not None:
            raise OptionError("--form is for numbers; leave it out with classes")
        if options["cv"] is not None:
            made["cv"] = parsing.whole("--cv", options["cv"], 2, MAX_FOLDS)
        if options["optimizer"] != "lm":
            raise OptionError("--optimizer is for numbers; a classifier is trained by Fisher scoring, so leave it out")
        if {"functions", "linear", "combine", "units", "log_target"} & options.keys():
            raise OptionError(
                "--library, --linear, --combine, --units and --log-target are for numbers; leave them out with classes"
            )
        if "knowledge" in options:
            raise OptionError(
                "--increasing, --decreasing, --even, --odd, --at, --lower and --upper are for numbers; leave them out "
                "with classes"
            )
        if made["shape"] != "auto" and not all(isinstance(width, int) for width in made["shape"]):
            raise OptionError("--shape has products, which classifiers do not have; write sums only, such as 3,1")
        made["head"] = "auto" if made["head"] is None else parsing.one_of("--head", made["head"], ("auto", *HEADS))
        return made | limits(options)

    def learn(
        self, listener: Listener | None, announce: Listener, plan: TimePlan, checkpoint: Checkpoint
    ) -> tuple[Classification, Any]:
        """The network and its formula."""
        from superpose.tasks.classification import ClassifyOptions, classify, read_classification

        plan.loaded()
        options = ClassifyOptions(**self.options)
        soft = options.head in ("sigmoid", "gaussian") and _holds_shares(self.table, self.target, self.rows)
        data = read_classification(
            self.table, target=self.target, features=self.features, soft=soft, seed=options.seed, **self.rows
        )
        deadline = plan.search(options.time_limit)
        return classify(data, options, listener=listener, deadline=deadline, checkpoint=checkpoint), options

    def headline(self, result: Classification) -> str:
        """The formula, or that there is none."""
        if result.formula is None:
            return f"no formula for {result.head.name}; the network stands by itself"
        text: str = result.metrics["formula"]
        return text

    def lines(self, result: Classification, summary: dict[str, Any]) -> Iterator[str]:
        """The boundaries, and how often the formula and the network are right."""
        from superpose.tasks.result import evaluation_rows

        rows, judged = f"on {evaluation_rows(result.data)}", summary.get("cross_validation")
        crossed = f"in cross-validation of {judged['folds']} folds" if judged else ""
        if judged and not len(result.data.test):
            rows = crossed
        left_out = f" on {summary['network_judged']}" if "network_judged" in summary else ""
        parts = [f"network {_right(summary, 'network')}{left_out}"]
        if result.formula is not None:
            for boundary in summary["boundaries"]:
                yield f"{boundary['between'][0]} | {boundary['between'][1]}: {boundary['equation']}"
            parts.insert(0, f"formula {_right(summary, 'formula')}")
        usual = f"always saying {summary['majority_class']} {summary['majority_accuracy']:.2%}"
        yield f"right {rows}: {', '.join(parts)}, {usual}"
        if judged and self.options.get("cv") and rows != crossed:
            smooth = {f"smooth_{name}": value for name, value in judged.items()}
            smooth["smooth_cross_entropy"] = judged["log_loss"]
            smooth["smooth_cross_entropy_standard_error"] = judged["log_loss_standard_error"]
            yield f"right {crossed}: {judged['functions']} {_right(smooth, 'smooth')}"
        if len(summary["features_used"]) < len(summary["features"]):
            yield (
                f"columns used: {', '.join(summary['features_used'])}; a network of all columns is right on "
                f"{summary['all_columns_accuracy']:.2%}"
            )


def _right(summary: Mapping[str, Any], what: str) -> str:
    """Accuracy and cross-entropy in words, each with its standard error where there is one.

    >>> _right({"network_accuracy": 0.97, "network_standard_error": 0.012, "network_cross_entropy": 0.1}, "network")
    '97.00% ± 1.20% (cross-entropy 0.1)'
    """

    def spread(name: str, form: str) -> str:
        value = summary.get(f"{what}_{name}standard_error")
        return "" if value is None else f" ± {value:{form}}"

    accuracy = f"{summary[f'{what}_accuracy']:.2%}{spread('', '.2%')}"
    return f"{accuracy} (cross-entropy {summary[f'{what}_cross_entropy']:.3g}{spread('cross_entropy_', '.2g')})"


def _holds_shares(table: str, target: str, options: Mapping[str, Any]) -> bool:
    """Whether a column holds numbers between 0 and 1 that are neither."""
    from superpose.data.reading import read_table
    from superpose.data.reading.options import FileOptions
    from superpose.data.tables import NUMBER

    chosen: Any = {name: value for name, value in options.items() if name in FileOptions.__annotations__}
    read = read_table(table, **chosen)
    if target not in read.names:
        return False
    cells = read.columns[read.names.index(target)]
    numbers = [float(cell) for cell in cells if not isinstance(cell, str) or NUMBER.fullmatch(cell)]
    return len(numbers) == len(cells) and all(0 <= n <= 1 for n in numbers) and any(0 < n < 1 for n in numbers)
