"""Head: the likelihood that turns a classifier's scores into classes and probabilities.

A classifier is a :class:`~superpose.KAN` whose outputs are scores, and a head defines their meaning. To add a
likelihood (for counts, for example), add a kind to ``superpose.choices.HEADS`` and a branch to each method of
:class:`Head`. Training needs :meth:`~Head.losses`, :meth:`~Head.gradient` and :meth:`~Head.hessian_root`. The kinds
are:

- ``"sigmoid"``, two classes: the second has the probability ``1 / (1 + exp(-g))``, and ``g = 0`` is the boundary.
- ``"gaussian"``, two classes: the second has the probability ``exp(-g**2)``, so it surrounds the curve ``g = 0``.
- ``"softmax"``, one score for each class: probabilities are proportional to the exponentials of the scores.
- ``"ordinal"``, classes that are numbers: one score in their units, and the class is the nearest number. The
  probability of a class is the mass of a logistic distribution about the score between the midpoints to the
  neighbouring classes (the proportional odds model of P. McCullagh, 1980, with fixed cut points).

The losses of all kinds but the Gaussian are convex in the scores, so their Hessians are positive semidefinite. The
Gaussian kind uses the expected (Fisher) information instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot, softplus

from superpose.checks import check_positive
from superpose.choices import HEADS
from superpose.errors import OptionError
from superpose.messages import nearest

# Floor of probabilities and of entries of the Hessian: it keeps logarithms and quotients finite. Far below one divided
# by the number of rows of any table, and far above the rounding of float64; a round number, nothing was measured.
_MIN_PROBABILITY = 1e-12
# Arguments of exp below this limit do not overflow in float64 (log of its largest number is 709.8).
_MAX_EXPONENT = 700.0
# The score at which both classes of a Gaussian head are equally probable: exp(-g^2) = 1/2.
GAUSSIAN_EDGE = math.sqrt(math.log(2.0))
# Of the golden section.
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Head:
    """The likelihood of a classifier: how its scores determine classes and their probabilities.

    Attributes:
        kind: ``"sigmoid"``, ``"gaussian"``, ``"softmax"`` or ``"ordinal"``.
        classes: names of the classes in the order of the scores; for ``"ordinal"`` numbers in ascending order.
        scale: scale parameter of the logistic distribution, in the units of the classes; ``"ordinal"`` only.
        name: name of the column that holds the classes.

    Raises:
        OptionError: for a kind that does not exist, or for classes that this kind does not allow.

    >>> head = Head("sigmoid", ("no", "yes"))
    >>> head.labels(torch.tensor([[-2.0], [3.0]]))
    ['no', 'yes']
    >>> head.probabilities(torch.tensor([[0.0]]))
    tensor([[0.5000, 0.5000]])
    """

    kind: str
    classes: tuple[str, ...]
    scale: float = 1.0
    name: str = "class"

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.kind not in HEADS:
            raise OptionError(
                f"head must be one of {', '.join(HEADS)}, not {self.kind!r}{nearest(str(self.kind), HEADS)}"
            )
        names = self.classes
        if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(n, str) and n for n in names):
            raise OptionError(f"classes must be two or more different names, not {names!r}")
        if self.kind in ("sigmoid", "gaussian") and len(names) != 2:
            raise OptionError(f"a {self.kind} head has two classes, not {len(names)}; use 'softmax'")
        check_positive("the scale of a head", self.scale)
        if self.kind == "ordinal":
            try:
                values = [float(name) for name in names]
            except ValueError:
                raise OptionError("the classes of an ordinal head are numbers; use 'softmax' for names") from None
            if not all(math.isfinite(value) for value in values) or values != sorted(set(values)):
                raise OptionError(
                    "the classes of an ordinal head are different finite numbers in ascending order; sort them"
                )

    @property
    def n_scores(self) -> int:
        """Number of outputs of a model with this head."""
        return len(self.classes) if self.kind == "softmax" else 1

    @property
    def levels(self) -> Tensor:
        """``[K]`` the classes as numbers; ``"ordinal"`` only."""
        return torch.tensor([float(name) for name in self.classes], dtype=torch.float64)

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores."""
        if self.kind == "softmax":
            return tuple(f"score of {name}" for name in self.classes)
        return (f"score of {self.name if self.kind == 'ordinal' else self.classes[1]}",)

    def describe(self, scores: Sequence[str]) -> str:
        """The rule that assigns a class, in words, for formulas of the scores.

        >>> Head("ordinal", ("0", "1", "2"), name="grade").describe(["x - y"])
        'grade is the class nearest to x - y'
        """
        if self.kind == "softmax":
            listed = "; ".join(f"{name}: {score}" for name, score in zip(self.classes, scores, strict=True))
            return f"{self.name} is the class with the largest score; {listed}"
        if self.kind == "ordinal":
            return f"{self.name} is the class nearest to {scores[0]}"
        if self.kind == "gaussian":
            return f"{self.name} is {self.classes[1]} about {scores[0]} = 0, within {GAUSSIAN_EDGE:.4f} of it"
        return f"{self.name} is {self.classes[1]} where {scores[0]} > 0, else {self.classes[0]}"

    # -- from scores to classes

    def probabilities(self, scores: Tensor) -> Tensor:
        """``[N, K]`` from scores ``[N, n_scores]``."""
        if self.kind == "softmax":
            return scores.softmax(-1)
        if self.kind == "ordinal":
            upper, lower = self._cumulative(scores[:, 0])
            return upper - lower
        g = scores[:, 0]
        # expm1 keeps the relative precision of 1 - exp(-g^2) where g is small.
        pair = [torch.sigmoid(-g), torch.sigmoid(g)]
        if self.kind == "gaussian":
            pair = [-torch.expm1(-g.square()), torch.exp(-g.square())]
        return torch.stack(pair, -1)

    def indices(self, scores: Tensor) -> Tensor:
        """``[N]`` index of the most probable class for each row of scores ``[N, n_scores]``."""
        if self.kind == "softmax":
            return scores.argmax(-1)
        if self.kind == "gaussian":
            return (scores[:, 0].abs() < GAUSSIAN_EDGE).long()
        if self.kind == "sigmoid":
            return (scores[:, 0] > 0).long()
        return torch.bucketize(scores[:, 0].contiguous(), self._cuts(scores))

    def labels(self, scores: Tensor | np.ndarray) -> list[str]:
        """Names of the most probable classes for scores ``[N, n_scores]``; empty where a score is NaN."""
        given = torch.as_tensor(scores)
        undefined = given.isnan().any(-1).tolist()
        return ["" if nan else self.classes[n] for n, nan in zip(self.indices(given).tolist(), undefined, strict=True)]

    def targets(self, indices: Sequence[int] | Tensor) -> Tensor:
        """The targets ``y [N, n_scores]`` of :meth:`losses` for rows of these classes, float64."""
        index = torch.as_tensor(indices)
        if self.kind == "softmax":
            return one_hot(index, len(self.classes)).double()
        return self.levels[index][:, None] if self.kind == "ordinal" else index.double()[:, None]

    # -- the likelihood

    def losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N]`` negative log-likelihoods of the observed classes ``y [N, n_scores]``; see :meth:`targets`."""
        if self.kind == "softmax":
            return torch.logsumexp(scores, -1) - (scores * y).sum(-1)
        g, observed = scores[:, 0], y[:, 0]
        if self.kind == "sigmoid":
            return softplus(g) - observed * g
        if self.kind == "gaussian":
            square = g.square()
            return observed * square - (1 - observed) * torch.log(-torch.expm1(-square.clamp(min=_MIN_PROBABILITY)))
        return _between(*self._distances(g, observed))

    def __call__(self, scores: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean of :meth:`losses`: the cross-entropy, in the form that :func:`superpose.fit` takes as ``loss``.

        Rows count by ``weights [N]``, of mean 1.
        """
        losses = self.losses(scores, y)
        return losses.mean() if weights is None else (weights * losses).mean()

    def gradient(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N, n_scores]`` gradients of :meth:`losses` by the scores."""
        if self.kind == "softmax":
            return scores.softmax(-1) - y
        g, observed = scores[:, :1], y[:, :1]
        if self.kind == "sigmoid":
            return torch.sigmoid(g) - observed
        if self.kind == "gaussian":
            small = g.square().clamp(min=_MIN_PROBABILITY)
            return (torch.exp(-small) - observed) * 2 * g / torch.expm1(-small)
        above, below = self._distances(g[:, 0], observed[:, 0])
        return ((1 - torch.sigmoid(above) - torch.sigmoid(below)) / self.scale)[:, None]

    def hessian_root(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N, n_scores, n_scores]`` matrices ``A`` with ``A^T A`` the Hessian of :meth:`losses` by the scores.

        For the Gaussian kind ``A^T A`` is the expected Hessian (Fisher information), since the Hessian may be negative.
        """
        if self.kind == "softmax":
            p = scores.softmax(-1).clamp(min=_MIN_PROBABILITY)
            return torch.diag_embed(p.sqrt()) - p.sqrt()[:, :, None] * p[:, None, :]
        g = scores[:, 0]
        if self.kind == "sigmoid":
            curvature = torch.sigmoid(g) * torch.sigmoid(-g)
        elif self.kind == "gaussian":
            small = g.square().clamp(min=_MIN_PROBABILITY, max=500.0)
            curvature = 4 * small / torch.expm1(small)
        else:
            above, below = self._distances(g, y[:, 0])
            upper, lower = torch.sigmoid(above), torch.sigmoid(below)
            curvature = (upper * torch.sigmoid(-above) + lower * torch.sigmoid(-below)) / self.scale**2
        return curvature.clamp(min=_MIN_PROBABILITY).sqrt()[:, None, None]

    def residuals(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N, n_scores]`` vectors ``r`` with ``A^T r`` the :meth:`gradient`, for ``A`` the :meth:`hessian_root`."""
        gradient = self.gradient(scores, y)
        if self.kind == "softmax":
            # A^T maps u / sqrt(p) to u - p * sum(u), and gradients sum to zero.
            return gradient / scores.softmax(-1).clamp(min=_MIN_PROBABILITY).sqrt()
        return gradient / self.hessian_root(scores, y)[:, 0]

    def rescaled(self, scores: Tensor, y: Tensor, weights: Tensor | None = None) -> Head:
        """This head with the scale of maximum likelihood for the observed ``y``; only ordinal heads change."""
        if self.kind != "ordinal":
            return self
        error = float((scores - y).abs().mean())
        gap = float(self.levels.diff().min())
        # Golden section search in log(scale), of which the loss is unimodal. The interval reaches from a fiftieth of
        # the smallest gap between classes, where all probabilities are 0 or 1, to four mean errors; 34 steps shrink it
        # by a factor of 1e-7.
        low, high = math.log(0.02 * gap), math.log(max(4 * error, gap))

        above, below = replace(self, scale=1.0)._distances(scores[:, 0], y[:, 0])

        def loss(end: float) -> float:
            losses = _between(above / math.exp(end), below / math.exp(end))
            return float(losses.mean() if weights is None else (weights * losses).mean())

        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lower, upper = loss(left), loss(right)
        for _ in range(34):
            if lower < upper:
                high, right, upper = right, left, lower
                left = high - _GOLDEN * (high - low)
                lower = loss(left)
            else:
                low, left, lower = left, right, upper
                right = low + _GOLDEN * (high - low)
                upper = loss(right)
        return replace(self, scale=math.exp((low + high) / 2))

    # -- ordinal

    def _cuts(self, like: Tensor) -> Tensor:
        levels = self.levels.to(like)
        return (levels[1:] + levels[:-1]) / 2

    def _cumulative(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities ``[N, K]`` of at most each class, and of less than each class."""
        below = torch.sigmoid((self._cuts(g) - g[:, None]) / self.scale)
        ends = below.new_zeros((len(g), 1))
        return torch.cat([below, ends + 1], 1), torch.cat([ends, below], 1)

    def _distances(self, g: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Distances from the score to the upper and lower cut point of the observed class, in units of ``scale``.

        They are infinite beyond the outer classes.
        """
        cuts = self._cuts(g)
        index = torch.bucketize(observed.contiguous(), cuts)
        far = cuts.new_tensor([math.inf])
        above, below = torch.cat([cuts, far])[index], torch.cat([-far, cuts])[index]
        return (above - g) / self.scale, (below - g) / self.scale


def _between(above: Tensor, below: Tensor) -> Tensor:
    """Negative logarithms of the logistic distribution's share between two distances."""
    # Without cancellation, for the sigmoid s: s(above) - s(below) = s(above) s(-below) (1 - exp(below - above)).
    share = torch.log(-torch.expm1((below - above).clamp(min=-_MAX_EXPONENT)))
    return -(logsigmoid(above) + logsigmoid(-below) + share)
