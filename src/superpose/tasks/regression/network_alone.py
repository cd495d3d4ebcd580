"""A network without a formula: its shape and its grid are searched for."""

from __future__ import annotations

from dataclasses import asdict

from superpose.data import Dataset
from superpose.edit.combining import Combined
from superpose.nn.model import KAN
from superpose.tasks.regression import metrics
from superpose.tasks.regression.context import BUDGET, Context
from superpose.tasks.regression.intervals import Found, attach
from superpose.tasks.regression.knowledge import KnowledgeFilter
from superpose.tasks.regression.result import Result
from superpose.train.architecture_search import SearchResult, prepared
from superpose.train.budget import Budget
from superpose.train.growing_rows import fit_growing
from superpose.train.history import History


def network_alone(context: Context, data: Dataset, combined: Combined | None) -> Result:
    """A network whose shape and grid are searched for, without a formula."""
    options = context.options
    large = len(context.data.train) > BUDGET.growing
    # The shape and the grid of a large table's network are found on some of its rows.
    some = context.few if large else context.data
    seconds = context.deadline.left() * (BUDGET.shapes if large else 1.0)
    found = prepared(
        some,
        Budget(seconds, clock=context.deadline.clock),
        options.parameters,
        degree=options.degree,
        seed=options.seed,
        listener=context.tell,
        stage=None if context.stages.checkpoint is None else context.stages.run,
    ).run()
    context.failures.extend(found.failures)
    network, history = found.model, found.history
    if large and not history.interrupted:
        with context.failures.part("the network could not be trained on more rows", "it stays as it was found"):
            network, history = context.stages.run(
                "final network", lambda: _on_more_rows(context, found), lambda made: not made[1].interrupted
            )
    network = network if combined is None else combined.model(network)
    known = KnowledgeFilter(options.knowledge, data, lambda finding: finding)
    context.failures.sentences += known.warnings(network)
    with context.failures.part("prediction intervals could not be computed", "the network is complete without"):
        attach(data, Found(network), None, data.validation)
    facts = {
        **metrics.of_network(data, network, history),
        **metrics.of_formulas(data, [], None, complete=False),
        **metrics.of_run(context, network, found.reason, found.stop),
        "front": [asdict(one) for one in found.front],
        **known.facts(),
    }
    return Result(network, None, None, history, data, facts, failures=context.failures)


def _on_more_rows(context: Context, found: SearchResult) -> tuple[KAN, History]:
    """The network of a search on some rows, trained on more and more of them."""
    model, options = found.model.copy(), context.options
    left = context.deadline.left()
    history = fit_growing(
        model,
        context.data,
        rows=4 * BUDGET.rows,
        time_limit=left,
        seed=options.seed,
        refine=options.parameters is None,
    )
    return model, history
