"""Names of optimisers stand in a module without torch, their defaults and classes here: both name the same ones."""

from __future__ import annotations

from superpose.choices import OPTIMIZERS
from superpose.optim.registry import DEFAULTS


def test_every_optimizer_that_options_name_has_defaults() -> None:
    assert tuple(DEFAULTS) == OPTIMIZERS
