"""Scores of classes as sums of smooth functions: what holds at the optimum, and which functions are chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from superpose.files import load, save
from superpose.nn import Head
from superpose.train.anova import (
    AnovaSettings,
    ClassMixture,
    choose_anova_classes,
    fit_anova_classes,
    network_of,
)
from superpose.train.anova.class_selection import log_probabilities

DOUBLE = torch.float64
NAMES = ("a", "b", "c")
SIGMOID, SOFTMAX = Head("sigmoid", ("no", "yes")), Head("softmax", NAMES)
ORDINAL = Head("ordinal", ("0", "1", "2", "3"), 1.0, "level")
HEADS = [SIGMOID, SOFTMAX, ORDINAL]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int = 150, columns: int = 3, seed: int = 0) -> Tensor:
    return 0.2 + 2 * torch.rand(count, columns, generator=generator(seed), dtype=DOUBLE)


def drawn(scores: Tensor, seed: int = 1) -> Tensor:
    """Class numbers ``[N]`` drawn with the probabilities of scores ``[N, K]``."""
    return torch.multinomial(scores.softmax(1), 1, generator=generator(seed))[:, 0]


def targets(head: Head, x: Tensor) -> Tensor:
    """Classes that depend on the square of the first column, and on the second one times the third."""
    score = 3 * (x[:, 0] - 1.2).square() - x[:, 1] * x[:, 2] + 1
    if head.kind == "ordinal":
        return head.targets((score + 1.5).round().clamp(0, 3).long())
    scores = torch.stack([torch.zeros_like(score), 2 * score, -2 * score + x[:, 0]], 1)
    return head.targets(drawn(scores[:, : len(head.classes)]))


def halves(count: int, parts: int = 4, seed: int = 2) -> list[tuple[Tensor, Tensor]]:
    part = torch.randperm(count, generator=generator(seed)) % parts
    return [((part != k).nonzero().flatten(), (part == k).nonzero().flatten()) for k in range(parts)]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
@pytest.mark.parametrize(
    "settings",
    [AnovaSettings(), AnovaSettings(interactions=True, log_columns=(0, 2)), AnovaSettings(constant=True, curves=False)],
    ids=["curves", "products of logarithms", "constant"],
)
def test_the_network_has_the_probabilities_of_the_fit(head: Head, settings: AnovaSettings, tmp_path: Path) -> None:
    x = rows()
    lines = AnovaSettings(curves=False, log_columns=settings.log_columns)
    parts = [fit_anova_classes(x, targets(head, x), head, one) for one in (settings, lines)]
    mixture = ClassMixture(((0.75, parts[0]), (0.25, parts[1])))
    model = network_of(mixture, NAMES, mixture.head.score_names)
    save(model, tmp_path / "m.safetensors")
    new = rows(40, seed=5)
    expected = mixture.head.probabilities(mixture.scores(new))
    for network in (model, load(tmp_path / "m.safetensors")):
        assert network.head is not None
        with torch.no_grad():
            found = network.head.probabilities(network(new))
        # Products of less than 0.03 logits are left out.
        assert float((found - expected).abs().max()) < (0.03 if settings.interactions else 1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("head", [SIGMOID, SOFTMAX], ids=lambda head: head.kind)
def test_mean_probabilities_are_the_frequencies(head: Head, weighted: bool) -> None:
    x = rows()
    y = targets(head, x)
    # Rows of the first class count three times.
    weights = 1 + 2 * (y[:, 0] if head is SOFTMAX else 1 - y[:, 0]) if weighted else None
    fit = fit_anova_classes(x, y, head, weights=weights)
    share = torch.full((len(x), 1), 1 / len(x), dtype=DOUBLE) if weights is None else (weights / weights.sum())[:, None]
    probabilities = head.probabilities(fit.scores(x))
    shares = y if head is SOFTMAX else torch.cat([1 - y, y], 1)
    assert torch.allclose((share * probabilities).sum(0), (share * shares).sum(0), atol=1e-5)


def test_only_ratios_of_weights_matter() -> None:
    x = rows()
    y, weights = targets(SOFTMAX, x), rows(columns=1, seed=3)[:, 0]
    one, other = (fit_anova_classes(x, y, SOFTMAX, weights=factor * weights) for factor in (1.0, 40.0))
    assert torch.allclose(one.scores(x), other.scores(x), atol=1e-6)


def test_the_order_of_the_classes_does_not_matter() -> None:
    x = rows()
    y = targets(SOFTMAX, x)
    one = fit_anova_classes(x, y, SOFTMAX)
    other = fit_anova_classes(x, y[:, [2, 0, 1]], Head("softmax", ("c", "a", "b")))
    found = SOFTMAX.probabilities(other.scores(x))
    assert torch.allclose(found, SOFTMAX.probabilities(one.scores(x))[:, [2, 0, 1]], atol=1e-4)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_separable_classes_get_finite_scores(head: Head) -> None:
    x = rows(90)
    number = torch.bucketize(x[:, 0].contiguous(), torch.tensor([0.8, 1.4, 2.0][: len(head.classes) - 1], dtype=DOUBLE))
    fit = fit_anova_classes(x, head.targets(number), head)
    scores = fit.scores(x)
    assert bool(scores.isfinite().all()) and float(scores.abs().max()) < 100
    assert float((head.indices(scores) == number).double().mean()) > 0.95
    assert fit.head.scale > 1e-6


def test_scores_are_bounded_even_at_strengths_of_nothing() -> None:
    x = rows(90)
    y = SIGMOID.targets((x[:, 0] > 1.2).long())
    fit = fit_anova_classes(x, y, SIGMOID, AnovaSettings(curves=False))
    weak = replace(fit, strengths=torch.full_like(fit.strengths, -60.0))
    again = fit_anova_classes(x, y, SIGMOID, fit.settings, start=weak, late=lambda: True)
    scores = again.scores(x)
    assert float(scores.abs().max()) > float(fit.scores(x).abs().max())
    # Three columns of variance 1, each with a prior deviation of ten logits.
    assert float(scores.abs().max()) < 100


def test_a_table_of_two_rows_is_fitted() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=DOUBLE)
    fit = fit_anova_classes(x, torch.tensor([[0.0], [1.0]], dtype=DOUBLE), SIGMOID, AnovaSettings(interactions=True))
    low, high = fit.scores(x)[:, 0].tolist()
    assert low < 0 < high < 100


def test_a_linear_law_gets_straight_lines() -> None:
    x = rows(300) - 1
    score = 3 * x[:, 0] - 2 * x[:, 1]
    y = drawn(torch.stack([0 * score, score], 1))
    choice = choose_anova_classes(x, SIGMOID.targets(y), SIGMOID, halves(300))
    assert choice is not None
    scores = choice.fit.scores(x)[:, 0]
    design = torch.cat([torch.ones_like(x[:, :1]), x], 1)
    line = design @ torch.linalg.lstsq(design, scores[:, None]).solution[:, 0]
    assert float((scores - line).std()) < 0.05 * float(scores.std())
    assert float((scores - score).std()) < 0.3 * float(score.std())


def test_curves_and_products_are_found_where_they_are() -> None:
    x = rows(800)
    choice = choose_anova_classes(x, targets(SIGMOID, x), SIGMOID, halves(800))
    assert choice is not None
    assert choice.chosen.settings.curves and choice.chosen.settings.interactions
    lines = next(one for one in choice.tried if not one.settings.curves)
    assert choice.chosen.mean_loss < 0.85 * lines.mean_loss
    # The mean is judged by the rows that its parts did not see.
    assert choice.losses.mean() < 1.02 * choice.chosen.mean_loss
    found = log_probabilities(choice.fit.head, choice.fit.scores(x[choice.rows]))
    own = -(torch.cat([1 - targets(SIGMOID, x), targets(SIGMOID, x)], 1)[choice.rows] * found).sum(1)
    assert own.mean() < choice.losses.mean()


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_noise_gets_the_frequencies(head: Head) -> None:
    x = rows(80)
    count = len(head.classes)
    number = torch.randint(count, (80,), generator=generator(4))
    choice = choose_anova_classes(x, head.targets(number), head, halves(80))
    assert choice is not None
    probabilities = choice.fit.head.probabilities(choice.fit.scores(x))
    shares = torch.bincount(number, minlength=count).double() / 80
    # By chance some functions predict the rows of this table a little better; they must not say much.
    assert float((probabilities * (probabilities / shares).log()).sum(1).mean()) < 0.05
    assert choice.losses.mean() < 1.1 * -(shares * shares.log()).sum()


def test_frequencies_stand_alone_where_nothing_predicts_better() -> None:
    x, number = rows(80, seed=13), torch.randint(3, (80,), generator=generator(43))
    choice = choose_anova_classes(x, SOFTMAX.targets(number), SOFTMAX, halves(80, seed=3))
    assert choice is not None and choice.fit.settings.constant and len(choice.fit.parts) == 1
    assert choice.losses.mean() <= min(one.mean_loss for one in choice.tried)
    probabilities = SOFTMAX.probabilities(choice.fit.scores(rows(20, seed=7)))
    assert bool((probabilities == probabilities[0]).all())
    assert torch.allclose(probabilities[0], torch.bincount(number).double() / 80, atol=1e-3)


def test_weights_choose_which_rows_count() -> None:
    x = rows(240)
    noise = torch.arange(240) % 2 == 0
    number = (x[:, 0] > 1.2).long()
    number[noise] = torch.randint(2, (120,), generator=generator(6))
    y, trusted = SIGMOID.targets(number), torch.where(noise, 1e-3, 1.0).double()
    plain = choose_anova_classes(x, y, SIGMOID, halves(240))
    weighted = choose_anova_classes(x, y, SIGMOID, halves(240), weights=trusted)
    assert plain is not None and weighted is not None
    assert weighted.losses.mean() < 0.5 * plain.losses.mean()
    assert float((SIGMOID.indices(weighted.fit.scores(x)) == (x[:, 0] > 1.2)).double().mean()) > 0.95


def test_time_that_is_over_leaves_the_first_candidate() -> None:
    x = rows()
    y = targets(SOFTMAX, x)
    few = choose_anova_classes(x, y, SOFTMAX, halves(150), late=lambda: True)
    assert few is not None and [one.settings for one in few.tried] == [AnovaSettings(curves=False)]
    assert choose_anova_classes(x, y, SOFTMAX, halves(150, parts=40), late=lambda: True) is None
