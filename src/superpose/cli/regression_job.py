"""``superpose fit`` of a number: its options, and what it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from superpose.cli import console, parsing
from superpose.cli.job import LATER, MAX_FOLDS, Job, Listener, limits
from superpose.cli.time_plan import TimePlan
from superpose.errors import OptionError

if TYPE_CHECKING:
    from superpose.checkpoint import Checkpoint
    from superpose.data import Dataset
    from superpose.formulas.expressions.formula import Formula
    from superpose.tasks.regression import DiscoverOptions, Result


class RegressionJob(Job):
    """``superpose fit``: a number is learnt."""

    @staticmethod
    def parsed(options: dict[str, Any]) -> dict[str, Any]:
        """What was typed as the options of :func:`superpose.discover`."""
        made = {name: value for name, value in options.items() if name not in ("head", *LATER)}
        if options["head"] is not None:
            raise OptionError("--head is for classes; add --task classification, or leave it out")
        chosen = made["shape"] != "auto" or made["grid_size"] is not None or made["optimizer"] != "lm"
        if options["parameters"] is not None and (made["formula"] or chosen):
            raise OptionError(
                "--parameters limits the search for a network; it needs --no-formula, and no --shape, --grid or "
                "--optimizer"
            )
        if options["cv"] is not None:
            made["cv"] = parsing.whole("--cv", options["cv"], 2, MAX_FOLDS)
        if options["form"] is None:
            del made["form"]
        elif chosen or not made["formula"]:
            raise OptionError(
                "--form gives the formula; leave out --no-formula, --shape, --grid and --optimizer, or the form"
            )
        return made | limits(options)

    def learn(
        self, listener: Listener | None, announce: Listener, plan: TimePlan, checkpoint: Checkpoint
    ) -> tuple[Result, Any]:
        """The network and its formula."""
        from superpose.data import read_csv
        from superpose.tasks.regression.knowledge import Knowledge
        from superpose.tasks.regression.search import DiscoverOptions, discover

        plan.loaded()
        chosen = {name: value for name, value in self.options.items() if name not in ("form", "knowledge")}
        options = DiscoverOptions(**chosen, knowledge=Knowledge(**self.options.get("knowledge", {})))
        learn: Callable[..., Result] = discover
        if "form" in self.options:
            from superpose.tasks.regression.forms import FormOptions, judge_forms

            given = FormOptions(**self.options["form"])

            def judged(data: Dataset, options: DiscoverOptions, **more: Any) -> Result:
                return judge_forms(data, given, options, **more)

            learn = judged

        def on_formula(formula: Formula) -> None:
            announce(f"{self.target} = {formula}")

        # No name here for the table: where columns are left out, the search lets go of it.
        result = learn(
            read_csv(self.table, target=self.target, features=self.features, seed=options.seed, **self.rows),
            options,
            listener=listener,
            on_formula=on_formula,
            deadline=plan.search(options.time_limit),
            checkpoint=checkpoint,
        )
        return result, options

    def settings(self, options: Any) -> dict[str, Any]:
        """The options of the run, with those on forms."""
        given: dict[str, Any] = self.options.get("form", {})
        return super().settings(options) | {"knowledge": options.knowledge.statements()} | given

    def headline(self, result: Result) -> str:
        """The formula, or that there is none."""
        if result.formula is None:
            return f"no formula for {self.target}; the network stands by itself"
        return f"{self.target} = {result.formula}"

    def lines(self, result: Result, summary: dict[str, Any]) -> Iterator[str]:
        """How far the formula and the network err, and how sure the choice of the formula is."""
        from superpose.data.rounding import rounding_error
        from superpose.tasks.result import evaluation_rows

        if (fits := summary.get("form", {}).get("fits")) is not None:
            yield from _forms(fits)
        errors = f"network error {console.error(summary, 'network')}"
        if result.formula is not None:
            errors = f"formula error {console.error(summary, 'formula')}, {errors}"
        kind = "RMSE" if result.data.weights is None else "weighted RMSE"
        yield (
            f"{errors}: {kind} on {evaluation_rows(result.data, summary)}, where {self.target} has "
            f"a standard deviation of {console.figure(summary['target_std'])}"
        )
        if law := summary.get("law"):
            yield law["sentence"]
        if units := summary.get("units"):
            yield from console.units(units)
        if sentence := summary.get("stability", {}).get("sentence"):
            yield sentence
        if sentence := summary.get("knowledge", {}).get("sentence"):
            yield sentence
        yield from summary.get("alternatives", {}).get("sentences", [])
        step = summary.get("target_step")
        least = min(summary[name] for name in ("network_rmse", "formula_rmse") if summary.get(name) is not None)
        # A round number: what is left beside an error of rounding is less than it.
        if step is not None and least < 1.4 * rounding_error(step):
            own = console.figure(rounding_error(step))
            yield (
                f"{self.target} is given in steps of {console.figure(step)}; rounding alone makes an error of {own}, "
                "which is most of it"
            )


def _forms(fits: list[Mapping[str, Any]]) -> Iterator[str]:
    """The constants of a form, and of several how they compare, from good to bad."""
    for constant in fits[0]["constants"]:
        ends = f"  (95%: {console.figure(constant['low'])} to {console.figure(constant['high'])})"
        error = console.figure(constant["standard_error"])
        unit = "" if constant.get("unit") in (None, "1") else f" {constant['unit']}"
        yield f"  {constant['name']} = {constant['value']:.6g} ± {error}{unit}{'' if constant['low'] is None else ends}"
    names = [constant["name"] for constant in fits[0]["constants"]]
    pairs = [
        f"{names[i]} and {names[j]} {fits[0]['correlations'][i][j]:.2f}"
        for j in range(len(names))
        for i in range(j)
        if fits[0]["correlations"][i][j] is not None
    ]
    # Of more pairs the files have a table. A round number.
    if 0 < len(pairs) <= 6:
        yield f"  correlations: {', '.join(pairs)}"
    yield from (f"  {note}" for note in fits[0]["notes"])
    if len(fits) > 1:
        yield "  constants  leave-one-out  AICc     description  form"
        for fit in fits:
            numbers = [console.figure(fit[name]) for name in ("leave_one_out", "aicc", "description_length")]
            yield f"  {len(fit['constants']):9}  {numbers[0]:<13}  {numbers[1]:<7}  {numbers[2]:<11}  {fit['form']}"
