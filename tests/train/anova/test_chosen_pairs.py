"""Pairs that are chosen among many: how well they predict is judged by rows that did not take part in the choice."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.nn import Head
from superpose.train.anova import choose_anova, choose_anova_classes
from superpose.train.anova.class_selection import class_shares, log_probabilities

# Of one table the judgement is uncertain by 6%, as its losses are a mean of 200.
ROWS, FRESH, COLUMNS, TABLES = 200, 3000, 16, 3


def table(seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """Columns, of which the first alone says something, and its values."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS + FRESH, COLUMNS, generator=generator, dtype=torch.float64)
    return x, x[:, 0], generator


def test_pairs_in_noise_are_judged_no_better_than_they_are() -> None:
    judged, true = 0.0, 0.0
    for seed in range(TABLES):
        x, law, generator = table(seed)
        y = law + torch.randn(len(x), generator=generator, dtype=torch.float64)
        choice = choose_anova(x[:ROWS], y[:ROWS], None)
        pairs = [one for one in choice.tried if one.settings.interactions]
        assert pairs and not choice.chosen.settings.interactions
        for one in pairs:
            judged += one.mean_loss
            true += float((choice.fits[one.settings].predict(x[ROWS:]) - y[ROWS:]).square().mean())
    assert judged > 0.95 * true


def test_pairs_of_a_classifier_are_judged_no_better_than_they_are() -> None:
    head, judged, true = Head("sigmoid", ("no", "yes")), 0.0, 0.0
    for seed in range(TABLES):
        x, law, generator = table(seed)
        y = (torch.rand(len(x), generator=generator, dtype=torch.float64) < law.sigmoid()).double()[:, None]
        choice = choose_anova_classes(x[:ROWS], y[:ROWS], head, None)
        assert choice is not None
        pairs = [one for one in choice.tried if one.settings.interactions]
        assert pairs and not choice.chosen.settings.interactions
        for one in pairs:
            fit = choice.fits[one.settings]
            logs = log_probabilities(fit.head, fit.scores(x[ROWS:]))
            judged += one.mean_loss
            true += float(-(class_shares(head, y[ROWS:]) * logs).sum(1).mean())
    assert judged > 0.95 * true
