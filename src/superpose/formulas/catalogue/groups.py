"""Textbook laws of two groups of rows: one constant differs between them, the others are shared.

A column of two values says which group a row belongs to, such as treated or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from superpose.formulas.catalogue.law import ANY, LawColumn, LawConstant, TextbookLaw

# The column of the groups, and the difference of a constant for a unit of it, have names that no law uses.
GROUP, DIFFERENCE = "group", "difference"


def group_columns(x: Tensor) -> list[int]:
    """Places of the columns of ``x [N, d]`` that have exactly two values."""
    return [place for place, column in enumerate(x.T) if len(torch.unique(column)) == 2]


def in_groups(laws: Iterable[TextbookLaw]) -> Iterator[TextbookLaw]:
    """Each law of one column with each of its constants in turn different in two groups.

    >>> from superpose.formulas.catalogue.all import LAWS
    >>> law = next(one for one in LAWS if one.name == "Michaelis-Menten")
    >>> [one.form for one in in_groups([law])]
    ['(V + difference*group)*S/(K + S)', 'V*S/((K + difference*group) + S)']
    """
    for law in laws:
        for name, constant in law.constants.items():
            form = re.sub(rf"\b{re.escape(name)}\b", f"({name} + {DIFFERENCE}*{GROUP})", law.form)
            size = max(abs(constant.low), abs(constant.high))
            difference = LawConstant(f"difference of {name} for a unit of the groups' column", -size, size, ANY)
            yield replace(
                law,
                name=f"{law.name}, {name} different in two groups",
                form=form,
                columns={**law.columns, GROUP: LawColumn("group", -1, 1)},
                constants={**law.constants, DIFFERENCE: difference},
                also=(),
                plain=False,
            )
