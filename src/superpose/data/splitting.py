"""The split of a table's rows into training, validation and test."""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor

from superpose.checks import check_seed
from superpose.data.tables import Table
from superpose.errors import OptionError

_MIN_TRAINING_ROWS = 5


def split_rows(table: Table, validation: float, test: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Training, validation and test rows, drawn at random with a seed; each in ascending order.

    Args:
        validation, test: shares of the rows.

    Raises:
        OptionError: for shares or a seed that make no sense, or too few rows for training.
    """
    for option, share in (("validation", validation), ("test", test)):
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= share < 1:
            raise OptionError(f"{option}={share!r} is no share of the rows; use a number from 0 up to below 1")
    generator = torch.Generator().manual_seed(check_seed(seed))
    n_validation, n_test = round(validation * table.n_rows), round(test * table.n_rows)
    n_train = table.n_rows - n_validation - n_test
    if n_train < _MIN_TRAINING_ROWS:
        raise OptionError(
            f"validation={validation!r} and test={test!r} leave {max(n_train, 0)} of "
            f"{table.n_rows} rows for training; at least {_MIN_TRAINING_ROWS} are needed, "
            "hold out fewer"
        )
    order = torch.randperm(table.n_rows, generator=generator)
    part = torch.empty_like(order)
    part[order] = torch.repeat_interleave(torch.tensor([n_train, n_validation, n_test]))
    train, held_out, final = ((part == which).nonzero().flatten() for which in range(3))
    return train, held_out, final
