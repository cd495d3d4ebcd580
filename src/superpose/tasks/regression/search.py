"""discover: from a table to a formula and a network, stage by stage, as ``superpose fit`` does it.

1. :mod:`~superpose.tasks.regression.structure`: laws that follow from symmetries, few terms and curves.
2. :mod:`~superpose.tasks.regression.networks`: where they leave something to explain, networks of growing size, the
   formulas of which are read by :mod:`~superpose.tasks.regression.findings`.
3. The choice of the recommended formula, which is announced at once, and its
   :mod:`~superpose.tasks.regression.stability` on resamples of the rows, with the odds against its
   :mod:`~superpose.tasks.regression.alternatives`.
4. The final network, which is shown beside it, and the metrics.

Each stage takes the :class:`~superpose.tasks.regression.context.Context` of the run and the results before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from superpose.checkpoint import Checkpoint
from superpose.checkpoint.stages import Stages
from superpose.data import Dataset
from superpose.data.screening import Screening, screen
from superpose.deadline import Deadline
from superpose.edit.combining import Combined, Pair, combine
from superpose.errors import OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_table.law_pool import Law
from superpose.formulas.from_table.laws import LawSearchResult
from superpose.formulas.recommendation import EXACT, Finding
from superpose.formulas.selection import size
from superpose.nn.model import KAN
from superpose.partial import Failures
from superpose.stopping import StopReason
from superpose.tasks.regression import findings, gross_rows, metrics
from superpose.tasks.regression.certainty import competitors_of, how_sure, only_compared
from superpose.tasks.regression.choice import NEARLY_EXACT, NOT_NEAR, choose
from superpose.tasks.regression.column_units import unit_facts
from superpose.tasks.regression.context import BUDGET, Context, Listener
from superpose.tasks.regression.final import choose_network, far_from, smooth_error
from superpose.tasks.regression.intervals import Found, attach
from superpose.tasks.regression.knowledge import KnowledgeFilter
from superpose.tasks.regression.network_alone import network_alone
from superpose.tasks.regression.networks import Network, Networks, search_networks
from superpose.tasks.regression.options import DiscoverOptions
from superpose.tasks.regression.reference import Reference, fit_reference, lines_of
from superpose.tasks.regression.result import Result
from superpose.tasks.regression.structure import Structure, search_structure
from superpose.tasks.regression.textbook import NamedLaws, exact_laws, law_facts, law_of, textbook_laws
from superpose.tasks.result import Observer
from superpose.train.state import RunState, State

__all__ = ["DiscoverOptions", "Finding", "Observer", "Result", "discover"]

# Of the values of stages.
_KINDS = (Finding, Law, LawSearchResult, Network, RunState, Screening, State)


def discover(
    data: Dataset,
    options: DiscoverOptions | None = None,
    *,
    listener: Listener | None = None,
    on_formula: Callable[[Formula], None] | None = None,
    deadline: Deadline | None = None,
    checkpoint: Checkpoint | None = None,
    observer: Observer | None = None,
) -> Result:
    """Find a network and a formula for a table.

    Args:
        data: the table.
        options: see :class:`DiscoverOptions`.
        listener: called with a short sentence whenever something was reached.
        on_formula: called with the recommended formula, if there is one, before the final network is trained.
        deadline: when the search ends; after ``options.time_limit`` seconds if left out.
        checkpoint: where finished stages are written, and read if the run goes on.
        observer: who sees every formula and every training step of a network.

    Returns:
        A :class:`Result`. If a user interrupts, the best found so far, with ``metrics["interrupted"]`` true.

    Raises:
        OptionError: for options that make no sense with the data, or a checkpoint of another run.
        KeyboardInterrupt: if a user interrupts before anything was found.
    """
    options = (options or DiscoverOptions()).checked(data)
    tell, deadline = listener or (lambda event: None), deadline or Deadline(options.time_limit)
    failures, screening = Failures(), Screening.of_all(data)
    stages = Stages(checkpoint, deadline, failures, _KINDS)
    stages.begin("regression", data, asdict(options))
    with failures.part("columns without influence could not be found", "all columns are used"):
        screening = stages.run(
            "screening", lambda: _screening(data, options, tell, deadline), lambda found: found.rows > 0
        )
    data = screening.applied(data)
    combined = combine(data, options.combine) if options.combine else None
    context = Context.start(data if combined is None else combined.data, options, tell, deadline, stages, observer)
    alone = options.searches_for_a_network()
    result = network_alone(context, data, combined) if alone else _found(context, data, combined, on_formula)
    result.metrics["screening"] = screening.facts()
    return result


def _screening(data: Dataset, options: DiscoverOptions, tell: Listener, deadline: Deadline) -> Screening:
    """Which columns of a wide table are used."""
    if not options.reduce:
        return Screening.of_all(data)
    pairs = [Pair.read(text, data.feature_names) for text in options.combine]
    always = {*options.linear, *(name for pair in pairs for name in (pair.left, pair.right))}
    always |= options.knowledge.columns
    always &= set(data.feature_names)
    found = screen(data, always=always, time_limit=BUDGET.screening * deadline.left(), seed=options.seed)
    if found.left_out:
        tell(found.reason)
    return found


@dataclass(frozen=True)
class _Searched:
    """First and second stage.

    Attributes:
        context: of the run, without rows with gross errors.
        reference: the sum of smooth functions, if one was fitted.
        structure: what the search by structure found.
        laws: textbook laws.
        lines: straight lines, power laws and textbook laws that stand among the formulas.
        state: the networks, and all formulas.
    """

    context: Context
    reference: Reference | None
    structure: Structure
    laws: NamedLaws
    lines: list[Finding]
    state: Networks


def _searched(context: Context, known: KnowledgeFilter) -> _Searched:
    """Laws, networks and the formulas of both."""
    options = context.options
    structural = options.formula and options.shape == "auto"
    reference, doubted = None, gross_rows.suspected(context)
    if doubted:
        reference = _reference(context)
        context = _without_gross_rows(context, reference)
    structure = search_structure(context) if structural else Structure()
    kept = known.kept(structure.found)
    structure = replace(structure, found=tuple(kept), law=next((one for one in kept if one is structure.law), None))
    # A law that gives every row needs no comparison.
    exact = structure.complete and structure.law is not None and _gives_every_row(context, structure.law)
    interrupted = structure.stop is StopReason.INTERRUPTED
    if exact or interrupted:
        reference = None
    elif not doubted:
        reference = _reference(context)
    laws = NamedLaws()
    if structural and not interrupted:
        with context.failures.part("textbook laws could not be tried", "formulas are searched for all the same"):
            if reference is not None:
                laws = textbook_laws(context, reference)
                allowed = tuple(one for one in laws.formulas if known.kept([one.finding]))
                laws = replace(laws, formulas=allowed)
            elif exact and structure.law is not None:
                laws = exact_laws(context, structure.law)
    if interrupted or structure.complete:
        state = Networks(found=list(structure.found), reason=structure.reason, stop=structure.stop)
    else:
        state = search_networks(context, structure, smooth_error(context, reference))
    if state.stop is StopReason.INTERRUPTED and not (state.trained or state.found):
        raise KeyboardInterrupt
    lines: list[Finding] = []
    if reference is not None and options.formula:
        with context.failures.part("straight lines and power laws could not be written as formulas"):
            lines = lines_of(context, reference)
    if not exact:
        lines += [law.finding for law in laws.formulas if law.near]
    state.found = known.kept([*state.found, *lines])
    if not state.found and known.left_out:
        known.unmatched, state.found = True, [finding for finding, _ in known.left_out]
    lines = [line for line in lines if any(line is one for one in state.found)]
    return _Searched(context, reference, structure, laws, lines, state)


def _found(
    context: Context, data: Dataset, combined: Combined | None, on_formula: Callable[[Formula], None] | None
) -> Result:
    """A network and a formula for a table of the columns that are used."""
    known = KnowledgeFilter(
        context.options.knowledge, data, functools.partial(findings.in_columns_of, combined, context)
    )
    searched = _searched(context, known)
    context, reference, structure = searched.context, searched.reference, searched.structure
    laws, lines, state = searched.laws, searched.lines, searched.state
    # What the network may be: a sum of smooth functions of a quotient may not be one of the columns of the table.
    smooth_network = None if reference is None else _smooth(context, combined, reference)
    bound = known.unmatched or smooth_network is None or not known.warnings(smooth_network)
    choice = choose(context, structure, state, reference, lines, bound=bound)
    written = [findings.in_columns_of(combined, context, one) for one in choice.found]
    chosen = None if choice.place is None else written[choice.place]
    found = [one for one in written if one is not None]
    if chosen is not None and on_formula is not None:
        with context.failures.part("the formula could not be said when it was found"):
            on_formula(chosen.formula)
    recommended = None if choice.place is None else choice.found[choice.place]
    rivals = competitors_of(context, state, reference, lines, choice, written)
    plain = only_compared(context, combined, laws.formulas)
    complete = structure.complete
    sure, next_forms = how_sure(context, data, reference, rivals, plain, recommended, complete=complete)
    own_reference = None if smooth_network is None else reference
    network, history = choose_network(context, state, recommended, own_reference, structural=complete)
    smooth = reference is not None and network is reference.model
    exempt = not bound or choice.reason == NEARLY_EXACT
    if recommended is not None and not exempt and far_from(network, context, reference, recommended):
        choice, chosen, recommended = replace(choice, place=None, complete=False, reason=NOT_NEAR), None, None
        next_forms, sure = (), {name: fact for name, fact in sure.items() if name != "alternatives"}
    own, network = network, _own(combined, network)
    context.failures.sentences += known.warnings(network)
    interrupted = state.stop is StopReason.INTERRUPTED
    reason = "interrupted; the best found so far was kept" if interrupted else choice.reason
    model = network if chosen is None else chosen.model
    law = None
    with context.failures.part("the recommended formula could not be compared with textbook laws"):
        law = law_of(context, laws, recommended)
    name = None if law is None else law.found.law.name
    numbers = metrics.of_formulas(data, [], None, complete=False)
    with context.failures.part("the errors of the formulas could not be computed"):
        numbers = metrics.of_formulas(
            data, found, chosen, complete=choice.complete, law=name, failures=context.failures, units=context.units
        )
    with context.failures.part("rows with gross errors could not be named"):
        data, numbers = _gross_rows_named(context, data, network, chosen, numbers)
    facts = {
        **metrics.of_network(data, network, history),
        **numbers,
        **metrics.of_run(context, model, reason, state.stop),
        **metrics.of_cross_validation(context, reference, own, recommended),
        **law_facts(law, laws, context.data, context.units),
        **sure,
        **known.facts(),
        **unit_facts(context.units, None if chosen is None else chosen.formula, numbers.get("constants", [])),
    }
    symbolic, formula = (None, None) if chosen is None else (chosen.model, chosen.formula)
    # Of combined columns its deviation is no function of the table's.
    deviation = None if reference is None or combined is not None else reference.choice.fit.deviation
    with context.failures.part("prediction intervals could not be computed", "the models are complete without"):
        models = Found(network, smooth, symbolic, formula)
        attach(data, models, reference, _held_out(context), deviation)
    fit = reference.choice.fit if reference is not None and smooth and combined is None else None
    failures = context.failures
    return Result(network, symbolic, formula, history, data, facts, found, next_forms, failures=failures, smooth=fit)


def _gives_every_row(context: Context, law: Finding) -> bool:
    """Whether a law has no error, and fewer symbols than there are rows: some form of many gives few rows by chance."""
    nodes = size(law.formula.complexity, splines=len(law.formula.splines))
    return law.error < EXACT and nodes <= len(context.data.train) + len(context.data.validation)


def _without_gross_rows(context: Context, reference: Reference | None) -> Context:
    """The context without the rows that have little weight in the reference: laws are searched for by squares."""
    if reference is None or not len(reference.choice.suspicious):
        return context
    return gross_rows.without(context, reference.choice.suspicious)


def _gross_rows_named(
    context: Context, data: Dataset, network: KAN, chosen: Finding | None, numbers: dict[str, Any]
) -> tuple[Dataset, dict[str, Any]]:
    """The table with a note on its rows with gross errors, and the numbers with errors on the others."""
    models: dict[str, Callable[[Tensor], Tensor]] = {} if chosen is None else {"formula": chosen.formula.torch}
    models["network"] = network
    with torch.no_grad():
        rows = gross_rows.found(data, next(iter(models.values()))) if len(context.gross) else torch.arange(0)
        numbers = numbers | gross_rows.facts(data, rows, models)
    if len(rows):
        data = replace(data, notes=(*data.notes, gross_rows.sentence(data.table_rows(rows), numbers)))
    return data, numbers


def _held_out(context: Context) -> Tensor:
    """Rows that networks of the run were not fitted to."""
    return context.data.validation if len(context.data.validation) else context.few.validation


def _reference(context: Context) -> Reference | None:
    """The sum of smooth functions that everything is compared with; None where there is none."""
    with context.failures.part("no sum of smooth functions could be fitted to compare with"):
        return fit_reference(context)
    return None


def _own(combined: Combined | None, network: KAN) -> KAN:
    """A network of the columns of the table, where some were combined."""
    return network if combined is None else combined.model(network)


def _smooth(context: Context, combined: Combined | None, reference: Reference) -> KAN | None:
    """The network of the smooth sum in the columns of the table; None if it cannot be written in them."""
    try:
        return _own(combined, reference.model)
    except OptionError:
        context.tell("the sum of smooth functions is none of the columns of the table; a trained network stands")
        return None
