"""Head: what a network's scores say about classes, and how probable a row's class is under them.

A classifier is a :class:`~superpose.KAN` like any other. Its outputs are scores, and a head reads them:

- ``"sigmoid"``, two classes: the second has the probability ``1 / (1 + exp(-g))``, and ``g = 0`` is the boundary.
- ``"gaussian"``, two classes: the second has the probability ``exp(-g**2)``; it lies about ``g = 0``.
- ``"softmax"``, one score for each class: probabilities in the ratio of their exponentials.
- ``"ordinal"``, classes that are numbers: one score in their units, and the class is the number nearest to it. Each
  class has the share of a logistic distribution about the score that lies nearer to it than to its neighbours.

All but the Gaussian are convex in the scores, so damped Newton steps on them cannot go astray.
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

# Probabilities below this count as it: what is surely wrong pulls no harder, and no weight is zero.
_LEAST = 1e-12
# Half of the samples about a Gaussian's ridge: exp(-g^2) = 1/2.
GAUSSIAN_EDGE = math.sqrt(math.log(2.0))


@dataclass(frozen=True)
class Head:
    """How the scores of a model are read as classes.

    Attributes:
        kind: ``"sigmoid"``, ``"gaussian"``, ``"softmax"`` or ``"ordinal"``.
        classes: their names, in the order of the scores; numbers in ascending order for ``"ordinal"``.
        scale: width of the logistic distribution about the score, in the labels' units; ``"ordinal"`` only.
        name: of the column that holds the classes.

    Raises:
        OptionError: for a kind that does not exist, or classes that do not suit it.

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
        """Outputs that a model with this head has."""
        return len(self.classes) if self.kind == "softmax" else 1

    @property
    def levels(self) -> Tensor:
        """``[K]`` the numbers that the classes are; ``"ordinal"`` only."""
        return torch.tensor([float(name) for name in self.classes], dtype=torch.float64)

    @property
    def score_names(self) -> tuple[str, ...]:
        """What the scores are called."""
        if self.kind == "softmax":
            return tuple(f"score of {name}" for name in self.classes)
        return (f"score of {self.name if self.kind == 'ordinal' else self.classes[1]}",)

    def describe(self, scores: Sequence[str]) -> str:
        """In words, which class it is where the scores are these.

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
        # exp(-g^2) and one less than it, each to its own last digit.
        pair = [torch.sigmoid(-g), torch.sigmoid(g)]
        if self.kind == "gaussian":
            pair = [-torch.expm1(-g.square()), torch.exp(-g.square())]
        return torch.stack(pair, -1)

    def indices(self, scores: Tensor) -> Tensor:
        """``[N]`` which class each row of scores ``[N, n_scores]`` is read as."""
        if self.kind == "softmax":
            return scores.argmax(-1)
        if self.kind == "gaussian":
            return (scores[:, 0].abs() < GAUSSIAN_EDGE).long()
        if self.kind == "sigmoid":
            return (scores[:, 0] > 0).long()
        return torch.bucketize(scores[:, 0].contiguous(), self._cuts(scores))

    def labels(self, scores: Tensor | np.ndarray) -> list[str]:
        """The names of the classes that scores ``[N, n_scores]`` are read as; empty where a score is NaN."""
        given = torch.as_tensor(scores)
        undefined = given.isnan().any(-1).tolist()
        return ["" if nan else self.classes[n] for n, nan in zip(self.indices(given).tolist(), undefined, strict=True)]

    def targets(self, indices: Sequence[int] | Tensor) -> Tensor:
        """What scores are compared with: ``[N, n_scores]`` for rows of these classes, float64."""
        index = torch.as_tensor(indices)
        if self.kind == "softmax":
            return one_hot(index, len(self.classes)).double()
        return self.levels[index][:, None] if self.kind == "ordinal" else index.double()[:, None]

    # -- the likelihood

    def losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N]`` minus the logarithm of the probability of what was seen, ``y [N, n_scores]`` as :meth:`targets`."""
        if self.kind == "softmax":
            return torch.logsumexp(scores, -1) - (scores * y).sum(-1)
        g, seen = scores[:, 0], y[:, 0]
        if self.kind == "sigmoid":
            return softplus(g) - seen * g
        if self.kind == "gaussian":
            square = g.square()
            return seen * square - (1 - seen) * torch.log(-torch.expm1(-square.clamp(min=_LEAST)))
        above, below = self._distances(g, seen)
        # The last factor, 1 - exp(below - above), is that of a class between two neighbours.
        between = torch.log(-torch.expm1((below - above).clamp(min=-700.0)))
        return -(logsigmoid(above) + logsigmoid(-below) + between)

    def __call__(self, scores: Tensor, y: Tensor) -> Tensor:
        """The mean of :meth:`losses`, the cross-entropy; a loss as :func:`superpose.fit` takes it."""
        return self.losses(scores, y).mean()

    def gradient(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N, n_scores]``, the derivatives of :meth:`losses` by the scores."""
        if self.kind == "softmax":
            return scores.softmax(-1) - y
        g, seen = scores[:, :1], y[:, :1]
        if self.kind == "sigmoid":
            return torch.sigmoid(g) - seen
        if self.kind == "gaussian":
            small = g.square().clamp(min=_LEAST)
            return (torch.exp(-small) - seen) * 2 * g / torch.expm1(-small)
        above, below = self._distances(g[:, 0], seen[:, 0])
        return ((1 - torch.sigmoid(above) - torch.sigmoid(below)) / self.scale)[:, None]

    def hessian_root(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N, n_scores, n_scores]`` matrices ``A`` with ``A^T A`` the curvature of :meth:`losses` (the expected one
        for the Gaussian head, where the other may be negative)."""
        if self.kind == "softmax":
            p = scores.softmax(-1).clamp(min=_LEAST)
            return torch.diag_embed(p.sqrt()) - p.sqrt()[:, :, None] * p[:, None, :]
        g = scores[:, 0]
        if self.kind == "sigmoid":
            curvature = torch.sigmoid(g) * torch.sigmoid(-g)
        elif self.kind == "gaussian":
            small = g.square().clamp(min=_LEAST, max=500.0)
            curvature = 4 * small / torch.expm1(small)
        else:
            above, below = self._distances(g, y[:, 0])
            upper, lower = torch.sigmoid(above), torch.sigmoid(below)
            curvature = (upper * torch.sigmoid(-above) + lower * torch.sigmoid(-below)) / self.scale**2
        return curvature.clamp(min=_LEAST).sqrt()[:, None, None]

    def residuals(self, scores: Tensor, y: Tensor) -> Tensor:
        """``[N, n_scores]`` numbers ``r`` with ``A^T r`` the :meth:`gradient`, for ``A`` the :meth:`hessian_root`."""
        slopes = self.gradient(scores, y)
        if self.kind == "softmax":
            # A^T maps u / sqrt(p) to u - p * sum(u), and slopes sum to zero.
            return slopes / scores.softmax(-1).clamp(min=_LEAST).sqrt()
        return slopes / self.hessian_root(scores, y)[:, 0]

    def rescaled(self, scores: Tensor, y: Tensor) -> Head:
        """An ordinal head with the scale under which what was seen is most probable; others as they are."""
        if self.kind != "ordinal":
            return self
        spread = float((scores - y).abs().mean())
        gap = float(self.levels.diff().min())
        # A unimodal function of the scale's logarithm: thirds of an interval that holds every sensible scale.
        low, high = math.log(0.02 * gap), math.log(max(4 * spread, gap))
        for _ in range(40):
            left, right = low + (high - low) / 3, high - (high - low) / 3
            values = [float(replace(self, scale=math.exp(end))(scores, y)) for end in (left, right)]
            low, high = (low, right) if values[0] < values[1] else (left, high)
        return replace(self, scale=math.exp((low + high) / 2))

    # -- ordinal

    def _cuts(self, like: Tensor) -> Tensor:
        levels = self.levels.to(like)
        return (levels[1:] + levels[:-1]) / 2

    def _cumulative(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities ``[N, K]`` of no more than each class, and of less than it."""
        below = torch.sigmoid((self._cuts(g) - g[:, None]) / self.scale)
        ends = below.new_zeros((len(g), 1))
        return torch.cat([below, ends + 1], 1), torch.cat([ends, below], 1)

    def _distances(self, g: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """From the score to the ends of the seen class, above and below, in units of the scale; infinite at the outer
        classes."""
        cuts = self._cuts(g)
        index = torch.bucketize(seen.contiguous(), cuts)
        far = cuts.new_tensor([math.inf])
        above, below = torch.cat([cuts, far])[index], torch.cat([-far, cuts])[index]
        return (above - g) / self.scale, (below - g) / self.scale
