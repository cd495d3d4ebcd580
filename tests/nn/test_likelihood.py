"""Heads: probabilities, their likelihood and its derivatives, and what is no head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from superpose import KAN, OptionError
from superpose.nn import Head
from superpose.optim.levenberg_marquardt import FisherScoring
from superpose.optim.normal_equations import _dense, normal_equations
from superpose.optim.parameters import Parameters

HEADS = {
    "sigmoid": Head("sigmoid", ("no", "yes")),
    "gaussian": Head("gaussian", ("off", "on")),
    "softmax": Head("softmax", ("red", "green", "blue")),
    "ordinal": Head("ordinal", ("-2", "0", "1"), 0.7),
}


def scores_and_targets(head: Head, count: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    scores = 2 * torch.randn(count, head.n_scores, generator=generator, dtype=torch.float64)
    return scores, head.targets(torch.randint(len(head.classes), (count,), generator=generator))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_probabilities_sum_to_one_and_are_what_the_losses_are_of(head: Head) -> None:
    scores, y = scores_and_targets(head)
    p = head.probabilities(scores)
    assert torch.allclose(p.sum(1), torch.ones(len(p), dtype=p.dtype))
    seen = y.argmax(1) if head.kind == "softmax" else head.indices(y) if head.kind == "ordinal" else y[:, 0].long()
    assert torch.allclose(head.losses(scores, y), -p[torch.arange(len(p)), seen].log())


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_slopes_are_the_gradient_and_roots_take_residuals_to_them(head: Head) -> None:
    scores, y = scores_and_targets(head)
    scores.requires_grad_()
    (gradient,) = torch.autograd.grad(head.losses(scores, y).sum(), scores)
    scores = scores.detach()
    assert torch.allclose(head.gradient(scores, y), gradient, atol=1e-10)
    pulled = torch.einsum("bno,bn->bo", head.hessian_root(scores, y), head.residuals(scores, y))
    assert torch.allclose(pulled, gradient, atol=1e-10)


@pytest.mark.parametrize("kind", ["sigmoid", "softmax", "ordinal"])
def test_roots_square_to_the_second_derivative(kind: str) -> None:
    head = HEADS[kind]
    scores, y = scores_and_targets(head, 5)
    for row in range(5):
        hessian = torch.autograd.functional.hessian(
            lambda s, row=row: head.losses(s[None], y[row : row + 1]).sum(), scores[row]
        )
        root = head.hessian_root(scores[row : row + 1], y[row : row + 1])[0]
        assert torch.allclose(root.T @ root, hessian, atol=1e-10)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_both_paths_of_the_normal_equations_agree(head: Head) -> None:
    model = KAN([2, 2, head.n_scores], seed=1)
    _, y = scores_and_targets(head)
    x = torch.rand(len(y), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameters = Parameters(model)
    normal, gradient = normal_equations(parameters, x, y, head=head)
    dense = _dense(parameters, x, y, None, head)
    assert torch.allclose(normal, dense[0] / y.numel(), atol=1e-12)
    assert torch.allclose(gradient, dense[1] / y.numel(), atol=1e-12)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_fisher_scoring_lowers_the_losses(head: Head) -> None:
    _, y = scores_and_targets(head)
    x = torch.rand(len(y), 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stepper = FisherScoring(KAN([1, head.n_scores], grid_size=3, seed=0), x, y, head)
    losses = [stepper.loss] + [stepper.step().loss for _ in range(10)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.98 * losses[0]


def test_an_ordinal_head_takes_the_width_that_made_the_labels() -> None:
    head = Head("ordinal", tuple(map(str, range(-8, 9))), 3.0)
    score = torch.linspace(-5, 5, 20001, dtype=torch.float64)[:, None]
    shares = torch.linspace(0.0005, 0.9995, 20001, dtype=torch.float64)
    noise = 0.6 * torch.logit(shares[torch.randperm(20001, generator=torch.Generator().manual_seed(0))])
    y = (score[:, 0] + noise).round().clamp(-8, 8)[:, None]
    assert head.rescaled(score, y).scale == pytest.approx(0.6, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sigmoids", ("a", "b")), "did you mean 'sigmoid'"),
        (("sigmoid", ("a", "b", "c")), "two classes"),
        (("softmax", ("a", "a")), "different names"),
        (("ordinal", ("a", "b")), "numbers"),
        (("ordinal", ("2", "1")), "ascending"),
        (("ordinal", ("1", "2"), 0.0), "positive"),
    ],
)
def test_what_is_no_head_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Head(*arguments)


def test_a_model_without_head_has_no_labels() -> None:
    with pytest.raises(OptionError, match="no head"):
        KAN([1, 1]).labels([[0.0]])
