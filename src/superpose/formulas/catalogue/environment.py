"""Adsorption, soil, water, earthquakes, weather."""

from __future__ import annotations

from superpose.formulas.catalogue.law import ANY, Column, Constant, TextbookLaw

_CONCENTRATION = Column("concentration", 0.05, 50)
_ACTIVITY = Column("relative pressure", 0.03, 0.6)

LAWS = (
    TextbookLaw(
        "BET",
        "v*c*x/((1 - x)*(1 - x + c*x))",
        "adsorbed amount",
        {"x": _ACTIVITY},
        {"v": Constant("amount of a monolayer", 1, 50), "c": Constant("BET constant", 5, 60)},
        "S. Brunauer, P. H. Emmett, E. Teller, J. Am. Chem. Soc. 60, 309 (1938)",
    ),
    TextbookLaw(
        "GAB",
        "v*c*k*x/((1 - k*x)*(1 - k*x + c*k*x))",
        "water content",
        {"x": Column("water activity", 0.05, 0.95)},
        {
            "v": Constant("amount of a monolayer", 3, 12),
            "c": Constant("Guggenheim constant", 5, 40),
            "k": Constant("correction", 0.7, 0.9),
        },
        "C. van den Berg, S. Bruin, in Water Activity (1981)",
    ),
    TextbookLaw(
        "Toth isotherm",
        "q*K*C/(1 + (K*C)^n)^(1/n)",
        "adsorbed amount",
        {"C": Column("concentration", 0.01, 100)},
        {
            "q": Constant("capacity", 5, 50),
            "K": Constant("affinity", 0.5, 3),
            "n": Constant("heterogeneity", 0.35, 0.6),
        },
        "J. Toth, Acta Chim. Hung. 69, 311 (1971)",
    ),
    TextbookLaw(
        "two-site Langmuir isotherm",
        "A*C/(a + C) + B*C/(b + C)",
        "adsorbed amount",
        {"C": Column("concentration", 0.01, 300)},
        {
            "A": Constant("capacity of the strong sites", 10, 30),
            "a": Constant("constant of the strong sites", 0.1, 0.4),
            "B": Constant("capacity of the weak sites", 15, 40),
            "b": Constant("constant of the weak sites", 20, 60),
        },
        "D. Graham, J. Phys. Chem. 57, 665 (1953)",
    ),
    TextbookLaw(
        "van Genuchten",
        "r + (s - r)/(1 + (a*h)^n)^(1 - 1/n)",
        "water content",
        {"h": Column("suction", 1, 15000)},
        {
            "r": Constant("residual water content", 0.03, 0.1),
            "s": Constant("saturated water content", 0.35, 0.5),
            "a": Constant("one over the air-entry suction", 0.01, 0.05),
            "n": Constant("pore-size index", 1.4, 2.5, (1.0, float("inf"))),
        },
        "M. T. van Genuchten, Soil Sci. Soc. Am. J. 44, 892 (1980)",
    ),
    TextbookLaw(
        "Philip infiltration",
        "S*sqrt(t) + A*t",
        "infiltrated depth",
        {"t": Column("time", 0, 10)},
        {"S": Constant("sorptivity", 1, 5), "A": Constant("steady rate", 0.5, 2)},
        "J. R. Philip, Soil Sci. 84, 257 (1957)",
    ),
    TextbookLaw(
        "diffusion from a surface",
        "c + k*sqrt(t)",
        "amount",
        {"t": Column("time", 0, 10)},
        {"c": Constant("boundary layer", 1, 10, ANY), "k": Constant("diffusion coefficient", 1, 5, ANY)},
        "W. J. Weber, J. C. Morris, J. Sanit. Eng. Div. 89, 31 (1963)",
        ("Weber-Morris", "Kohlrausch conductivity"),
    ),
    TextbookLaw(
        "Omori-Utsu",
        "K/(t + c)^p",
        "rate of aftershocks",
        {"t": Column("time", 0.05, 50)},
        {"K": Constant("productivity", 10, 100), "c": Constant("delay", 0.3, 2), "p": Constant("exponent", 0.8, 1.5)},
        "T. Utsu, Geophys. Mag. 30, 521 (1961)",
        ("Sherman rainfall", "Zipf-Mandelbrot"),
    ),
    TextbookLaw(
        "rainfall intensity, duration and frequency",
        "a*R^m/(d + b)^n",
        "intensity",
        {"R": Column("return period", 2, 100), "d": Column("duration", 5, 360)},
        {
            "a": Constant("factor", 200, 1000),
            "m": Constant("exponent of the return period", 0.15, 0.3),
            "b": Constant("offset of the duration", 5, 20),
            "n": Constant("exponent of the duration", 0.6, 0.9),
        },
        "C. W. Sherman, Trans. ASCE 95, 951 (1931)",
    ),
    TextbookLaw(
        "wind profile",
        "u*log((z - d)/r)",
        "wind speed",
        {"z": Column("height", 3, 100)},
        {
            "u": Constant("friction velocity over von Karman's constant", 0.5, 2),
            "d": Constant("zero-plane displacement", 1, 2.5, ANY),
            "r": Constant("roughness length", 0.03, 0.5),
        },
        "H. Tennekes, J. Atmos. Sci. 30, 234 (1973)",
    ),
)
