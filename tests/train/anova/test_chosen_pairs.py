"""Pairs that are chosen among many: how well they predict is judged by rows that did not take part in the choice."""

from __future__ import annotations

import torch

from superpose.nn import Head
from superpose.train.anova import choose_anova, choose_anova_classes
from superpose.train.anova.class_selection import class_shares, log_probabilities

ROWS, FRESH, COLUMNS = 200, 3000, 16


def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
    """Columns, of which the first alone says something, and its values."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS + FRESH, COLUMNS, generator=generator, dtype=torch.float64)
    return x, x[:, 0], generator


def test_pairs_in_noise_are_judged_no_better_than_they_are() -> None:
    x, law, generator = rows()
    y = law + torch.randn(len(x), generator=generator, dtype=torch.float64)
    choice = choose_anova(x[:ROWS], y[:ROWS], None)
    pairs = [one for one in choice.tried if one.settings.interactions]
    assert pairs and not choice.chosen.settings.interactions
    for one in pairs:
        error = (choice.fits[one.settings].predict(x[ROWS:]) - y[ROWS:]).square().mean()
        assert one.mean_loss > 0.95 * float(error)


def test_pairs_of_a_classifier_are_judged_no_better_than_they_are() -> None:
    x, law, generator = rows()
    y = (torch.rand(len(x), generator=generator, dtype=torch.float64) < law.sigmoid()).double()[:, None]
    head = Head("sigmoid", ("no", "yes"))
    choice = choose_anova_classes(x[:ROWS], y[:ROWS], head, None)
    assert choice is not None
    pairs = [one for one in choice.tried if one.settings.interactions]
    assert pairs and not choice.chosen.settings.interactions
    for one in pairs:
        fit = choice.fits[one.settings]
        loss = -(class_shares(head, y[ROWS:]) * log_probabilities(fit.head, fit.scores(x[ROWS:]))).sum(1).mean()
        assert one.mean_loss > 0.95 * float(loss)
