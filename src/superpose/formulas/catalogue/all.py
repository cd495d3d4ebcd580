"""All laws of the catalogue."""

from __future__ import annotations

from superpose.formulas.catalogue import (
    astronomy,
    electronics,
    environment,
    growth,
    kinetics,
    mechanics,
    optics,
    pharmacology,
    thermodynamics,
)
from superpose.formulas.catalogue.law import TextbookLaw

FIELDS: dict[str, tuple[TextbookLaw, ...]] = {
    "reactions and enzymes": kinetics.LAWS,
    "pharmacology": pharmacology.LAWS,
    "growth, ecology, economics": growth.LAWS,
    "thermodynamics": thermodynamics.LAWS,
    "mechanics": mechanics.LAWS,
    "light and peaks": optics.LAWS,
    "electricity": electronics.LAWS,
    "adsorption, soil, water": environment.LAWS,
    "astronomy and powers": astronomy.LAWS,
}

LAWS: tuple[TextbookLaw, ...] = tuple(law for laws in FIELDS.values() for law in laws)
