"""The network of a classifier: scores that are sums of smooth functions, or those of a search, if rows favour it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.data.screening import screen
from superpose.nn import KAN
from superpose.nn.likelihood import Head
from superpose.sklearn.number_networks import RULES, NetworkOptions
from superpose.tasks.classification import ClassificationDataset, networks
from superpose.tasks.classification import reference as references
from superpose.tasks.classification.reference import Folding, Reference
from superpose.train import fit
from superpose.train.anova import choose_anova_classes, network_of
from superpose.train.candidate_shapes import SHAPES

_SMOOTH, _SEARCH = "scores that are sums of smooth functions", "a search among networks"


def head_of(classes: Sequence[str]) -> Head:
    """Sigmoid for two classes, softmax for more."""
    return Head("sigmoid" if len(classes) == 2 else "softmax", tuple(classes))


def table_of(data: Dataset, classes: Sequence[str]) -> ClassificationDataset:
    """A data set whose target is the number of a class, each of which has training rows."""
    index = data.y[:, 0]
    lacking = [value for value in torch.unique(index) if not bool((index[data.train] == value).any())]
    if lacking:
        moved = torch.isin(index[data.validation], torch.stack(lacking))
        train = torch.cat([data.train, data.validation[moved]]).sort().values
        data = replace(data, train=train, validation=data.validation[~moved])
    return ClassificationDataset(data, tuple(classes), numeric=False)


def fit_classes(data: Dataset, classes: Sequence[str], options: NetworkOptions) -> tuple[KAN, str]:
    """A network with a head for classes, whose numbers are the target, and how it was found."""
    table, head = table_of(data, classes), head_of(classes)
    if data.n_features > RULES.columns and options.hidden is None:
        targets = head.targets(table.indices)
        found = screen(table.data, targets, time_limit=options.seconds(), seed=options.seed)
        table = replace(table, data=found.applied(table.data))
    if not options.free:
        return _of_shape(table, head, options)
    whole = table
    table = networks.with_validation(table, options.seed)
    reference = smooth_scores(table, head, options)
    if reference is not None and (len(whole.data.train) < RULES.few or options.deadline.passed()):
        return _on_all_rows(reference, options), _SMOOTH
    sample = networks.fewer_rows(table)
    settings = _settings(sample, head, options)
    trained = networks.search(sample, head, SHAPES.classifier, settings)
    if trained is None and reference is None:
        return _of_shape(whole, head, replace(options, hidden=()))
    if trained is None or (
        reference is not None and not references.surpasses(trained, reference.trained(sample.scored(head)))
    ):
        assert reference is not None
        return _on_all_rows(reference, options), _SMOOTH
    if len(whole.data.train) > len(sample.data.train):
        grid = trained.model.layer(0).grid_size
        more = networks.with_rows(whole, networks.RULES.final_rows)
        again = networks.train(more, head, trained.hidden, replace(settings, grid_size=grid))
        # Where no rows are held out the losses of the two are of different rows.
        if again is not None and (not len(whole.data.validation) or again.worse_than(trained) <= 0):
            trained = again
    return trained.model, _SEARCH


def smooth_scores(table: ClassificationDataset, head: Head, options: NetworkOptions) -> Reference | None:
    """The best sums of smooth functions by leave-one-out; None where there are none."""
    data = table.scored(head)
    scale = data.x_scale.scale
    if not bool(((scale > 1e-100) & (scale < 1e100)).all()):
        return None
    rows = torch.cat([data.train, data.validation]).sort().values
    rows = rows[evenly(len(rows), references.RULES.rows)]
    weights = None if data.weights is None else data.weights[rows]
    late = options.deadline.share(RULES.smooth).passed
    choice = choose_anova_classes(data.features(rows), data.y[rows], head, None, weights=weights, late=late)
    if choice is None:
        return None
    choice = replace(choice, rows=rows)
    model = network_of(choice.fit, data.feature_names, data.target_names)
    return Reference(table, data, choice, model, rows, choice.logs, Folding(), [])


def _on_all_rows(reference: Reference, options: NetworkOptions) -> KAN:
    return references.on_all_rows(reference, late=options.deadline.passed).model


def _settings(table: ClassificationDataset, head: Head, options: NetworkOptions) -> networks.NetworkSettings:
    degree = 3 if options.degree is None else options.degree
    most = networks.budget(None, table.data.n_features, head, degree)
    deadline = options.deadline.share(RULES.search)
    return networks.NetworkSettings(most, degree, options.grid_size, options.seed, deadline, lambda text: None)


def _of_shape(table: ClassificationDataset, head: Head, options: NetworkOptions) -> tuple[KAN, str]:
    """A network of a given form."""
    hidden, grid, data = options.hidden, options.grid_size, table.scored(head)
    if hidden is None:
        settings = _settings(table, head, options)
        found = networks.search(table, head, SHAPES.classifier, settings)
        if found is not None and not options.sparsity:
            return found.model, _SEARCH
        hidden = () if found is None else found.hidden
        grid = grid or (None if found is None else found.model.layer(0).grid_size)
    degree = 3 if options.degree is None else options.degree
    model = KAN(
        [data.n_features, *hidden, head.n_scores],
        grid_size=grid or networks.RULES.first_grid,
        degree=degree,
        seed=options.seed,
    )
    history = fit(
        model,
        data,
        loss=head,
        grids=(grid or networks.RULES.first_grid,),
        steps=options.max_steps,
        # Scores of classes without overlap would grow without end.
        sparsity=max(options.sparsity, networks.RULES.sparsity),
        seed=options.seed,
        time_limit=options.seconds(),
        progress=False,
    )
    model.head = head
    return model, history.reason
