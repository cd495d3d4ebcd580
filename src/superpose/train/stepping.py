"""The optimiser of one training stage with its penalties: curvature of edges, sparsity, memory."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.nn.rows import ScaledRows
from superpose.optim import penalty
from superpose.optim.first_order import LBFGS, AdamW, Objective
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.levenberg_marquardt import FisherScoring, LevenbergMarquardt
from superpose.optim.parameters import Parameters
from superpose.optim.registry import DEFAULTS
from superpose.optim.smoothness import Edge, Smoothness
from superpose.train.settings import FitSettings

SecondOrder = LevenbergMarquardt | FisherScoring
Stepper = SecondOrder | LBFGS | AdamW

# Steps of a grid after which the strength of each edge's smoothness is estimated anew. An estimate costs as much as a
# few steps, so they are spaced geometrically. Round numbers.
_SMOOTHNESS_STEPS = (2, 5, 10, 20, 40, 80, 160)
# Strengths that change by less than this factor have settled. A round number.
_SETTLED = 1.5
# Above this many free constants the normal matrix of Levenberg-Marquardt (float64) is larger than 0.5 GiB.
_MAX_LM_PARAMETERS = 8000


class Stepping:
    """Makes the optimiser of each stage, and carries from stage to stage how smooth each edge is to be.

    Args:
        model: to be trained.
        rows: scaled training rows.
        optimizer: its name.
        settings: of the fit.
        fresh: whether the model was never fitted before.
        validated: whether there are validation rows; without any, :meth:`judged` estimates what they would say.
    """

    def __init__(
        self,
        model: KAN,
        rows: ScaledRows,
        optimizer: str,
        settings: FitSettings,
        *,
        fresh: bool,
        validated: bool = True,
    ) -> None:
        self.model, self.optimizer, self.settings, self.fresh = model, optimizer, settings, fresh
        self.x, self.y, self.weights = rows
        self.generator = torch.Generator().manual_seed(settings.seed)
        # A head's own scale follows the scores.
        self.loss = settings.loss
        self.notes: list[str] = []
        self.strengths: dict[Edge, float] = {}
        self.smoothness: Smoothness | None = None
        # With a memory, what earlier data say is a part of the errors: they are compared as they are.
        self.validated = validated or settings.memory is not None
        self.effective_parameters = 0.0

    def name(self) -> str:
        """The optimiser that the model's present size allows: L-BFGS in place of Levenberg-Marquardt for large ones."""
        constants = Parameters(self.model).size
        if self.optimizer != "lm" or constants <= _MAX_LM_PARAMETERS:
            return self.optimizer
        grid = max(layer.grid_size for layer in self.model.kan_layers())
        self.notes.append(
            f"L-BFGS took over at grid {grid}: Levenberg-Marquardt would need a matrix of {constants} x {constants}"
        )
        return "lbfgs"

    def stepper(self, name: str, steps: int) -> Stepper:
        """The optimiser of that name, for so many steps from the model's present state."""
        if name == "lm":
            return self._second_order()
        penalised = self.settings.sparsity or self.settings.memory is not None
        penalty_term = self._penalty if penalised else None
        objective = Objective(self.model, self.x, self.y, self.loss, penalty_term, self.weights)
        rate = self.settings.learning_rate or DEFAULTS[name].learning_rate
        if name == "lbfgs":
            return LBFGS(objective, rate)
        batch = self.settings.batch_size
        return AdamW(objective, rate, batch_size=batch, steps=steps, generator=self.generator)

    def _second_order(self) -> SecondOrder:
        stepper: SecondOrder
        if isinstance(self.loss, Head):
            stepper = FisherScoring(self.model, self.x, self.y, self.loss, weights=self.weights)
        else:
            stepper = LevenbergMarquardt(self.model, self.x, self.y, weights=self.weights)
        stepper.set_penalties(self._quadratics(stepper.parameters))
        if not self.validated:
            self.effective_parameters = stepper.effective_parameters()
        return stepper

    def judged(self, value: float) -> float:
        """What an error on validation rows would be, from that on the training rows.

        For squared errors by generalised cross-validation (P. Craven and G. Wahba, Numer. Math. 31 (1979)): with ``g``
        effective parameters and ``N`` residuals, the root mean square times ``N / (N - g)``. For a head the
        cross-entropy plus ``g`` over the rows (H. Akaike, 1974). Other losses and optimisers are left as they are.
        """
        if self.loss is None:
            count = self.y.numel()
            # As many constants as residuals leave no errors to learn from; see ``Smoothness.update``.
            return value * count / max(count - self.effective_parameters, 0.1 * count)
        return value + self.effective_parameters / len(self.y) if isinstance(self.loss, Head) else value

    def _quadratics(self, parameters: Parameters) -> list[Quadratic]:
        """The quadratic penalties of Levenberg-Marquardt at the present state."""
        settings = self.settings
        self.smoothness = None
        if settings.roughness is None:
            self.smoothness = Smoothness(
                parameters, self.x, self.strengths, hold_unseen=not self.fresh, stiff=settings.loss is not None
            )
            terms = self.smoothness.terms()
        else:
            terms = penalty.roughness(parameters, settings.roughness)
        if settings.sparsity:
            terms += penalty.reweighted(parameters, self.x, settings.sparsity)
        if settings.memory is not None:
            terms.append(settings.memory.quadratic(self.y.numel()))
        return terms

    def update(self, stepper: Stepper, step: int) -> None:
        """Bring the penalties, and the scale of a head, up to the present state after some steps of a stage."""
        if step in _SMOOTHNESS_STEPS and isinstance(stepper, LevenbergMarquardt | FisherScoring):
            self._update(stepper)

    def settled(self, stepper: Stepper) -> bool:
        """Whether a stage may end where the loss falls no more: with validation rows always.

        Without any nothing but the penalties keeps noise from being learnt, and they start too weak for that: they are
        brought up to date once more, and the stage goes on until they stay what they are.
        """
        if self.validated or self.smoothness is None or not isinstance(stepper, LevenbergMarquardt | FisherScoring):
            return True
        before = dict(self.smoothness.strengths)
        self._update(stepper)
        return all(
            1 / _SETTLED < self.strengths.get(edge, 1.0) / strength < _SETTLED for edge, strength in before.items()
        )

    def _update(self, stepper: SecondOrder) -> None:
        changed, known = False, None
        if isinstance(stepper, FisherScoring):
            stepper.rescale()
            self.loss = stepper.head
            # A likelihood has its own measure of noise.
            known = 1.0
        if self.smoothness is not None:
            changed = self.smoothness.update(
                stepper.normal_matrix(), stepper.theta, stepper.loss, self.y.numel(), dispersion=known
            )
            self.strengths = dict(self.smoothness.strengths)
        if changed or self.settings.sparsity:
            stepper.set_penalties(self._quadratics(stepper.parameters))
        if not self.validated:
            self.effective_parameters = stepper.effective_parameters()

    def _penalty(self, scaled: Tensor) -> Tensor:
        total = self.forgotten()
        if self.settings.sparsity:
            total = total + self.settings.sparsity * penalty.sparsity(self.model.trace_scaled(scaled))
        return total

    def forgotten(self) -> Tensor:
        """By how much predictions on remembered samples changed, in units of the mean squared error; 0 without any."""
        memory = self.settings.memory
        return self.y.new_zeros(()) if memory is None else memory.forgotten(self.model) / self.y.numel()
