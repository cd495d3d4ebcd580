"""The optimisers by their names: the place to add one.

A new optimiser needs its name in :data:`superpose.choices.OPTIMIZERS` (which the command line reads before torch
loads), its defaults here, a class with a method ``step() -> StepResult`` in this package, and a branch in
:meth:`superpose.train.stepping.Stepping.stepper`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """Defaults of one optimiser.

    Attributes:
        steps: most steps at each grid size. Round numbers: one step of Levenberg-Marquardt gains most, one of AdamW
            least.
        learning_rate: 1 for L-BFGS, whose Wolfe line search tries a step of 1 first (Nocedal & Wright, section 7.2);
            0.01 for AdamW, a round number. Levenberg-Marquardt has none.
        record_every: steps between two records, each of which evaluates the network on all rows.
        window: steps within which the loss has to fall by 1%; None where single steps are noise.
    """

    steps: int
    learning_rate: float = 1.0
    record_every: int = 1
    window: int | None = None


DEFAULTS = {
    "lm": Defaults(60, window=6),
    "lbfgs": Defaults(100, window=12),
    "adamw": Defaults(2000, learning_rate=1e-2, record_every=50),
}
