"""``superpose fit`` of classes: its options, and what it prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.choices import HEADS
from superpose.cli import parsing
from superpose.cli.job import LATER, Job, Listener, limits
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
        made = {name: value for name, value in options.items() if name not in ("optimizer", *LATER)}
        if options["cv"] is not None:
            raise OptionError("--cv is for numbers; classes are judged on rows that are held out, so leave it out")
        if options["optimizer"] != "lm":
            raise OptionError("--optimizer is for numbers; a classifier is trained by Fisher scoring, so leave it out")
        if {"functions", "linear", "combine"} & options.keys():
            raise OptionError("--library, --linear and --combine are for numbers; leave them out with classes")
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
        soft = options.head in ("sigmoid", "gaussian") and _holds_shares(self.table, self.target)
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

        rows = f"on {evaluation_rows(result.data)}"
        if not len(result.data.test) and "cross_validation" in summary:
            rows = f"in cross-validation of {summary['cross_validation']['folds']} folds"
        parts = [f"network {summary['network_accuracy']:.2%} (cross-entropy {summary['network_cross_entropy']:.3g})"]
        if result.formula is not None:
            for boundary in summary["boundaries"]:
                yield f"{boundary['between'][0]} | {boundary['between'][1]}: {boundary['equation']}"
            entropy = f"cross-entropy {summary['formula_cross_entropy']:.3g}"
            parts.insert(0, f"formula {summary['formula_accuracy']:.2%} ({entropy})")
        usual = f"always saying {summary['majority_class']} {summary['majority_accuracy']:.2%}"
        yield f"right {rows}: {', '.join(parts)}, {usual}"
        if len(summary["features_used"]) < len(summary["features"]):
            yield (
                f"columns used: {', '.join(summary['features_used'])}; a network of all columns is right on "
                f"{summary['all_columns_accuracy']:.2%}"
            )


def _holds_shares(table: str, target: str) -> bool:
    """Whether a column holds numbers between 0 and 1 that are neither."""
    from superpose.data.reading import read_table
    from superpose.data.tables import NUMBER

    read = read_table(table)
    if target not in read.names:
        return False
    cells = read.columns[read.names.index(target)]
    numbers = [float(cell) for cell in cells if not isinstance(cell, str) or NUMBER.fullmatch(cell)]
    return len(numbers) == len(cells) and all(0 <= n <= 1 for n in numbers) and any(0 < n < 1 for n in numbers)
