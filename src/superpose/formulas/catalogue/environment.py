"""Adsorption, soil, water, earthquakes, weather."""

from __future__ import annotations

from superpose.formulas.catalogue.law import ANY, LawColumn, LawConstant, TextbookLaw

_CONCENTRATION = LawColumn("concentration", 0.05, 50)
_ACTIVITY = LawColumn("relative pressure", 0.03, 0.6)

LAWS = (
    TextbookLaw(
        "BET",
        "v*c*x/((1 - x)*(1 - x + c*x))",
        "adsorbed amount",
        {"x": _ACTIVITY},
        {"v": LawConstant("amount of a monolayer", 1, 50), "c": LawConstant("BET constant", 5, 60)},
        "S. Brunauer, P. H. Emmett, E. Teller, J. Am. Chem. Soc. 60, 309 (1938)",
    ),
    TextbookLaw(
        "GAB",
        "v*c*k*x/((1 - k*x)*(1 - k*x + c*k*x))",
        "water content",
        {"x": LawColumn("water activity", 0.05, 0.95)},
        {
            "v": LawConstant("amount of a monolayer", 3, 12),
            "c": LawConstant("Guggenheim constant", 5, 40),
            "k": LawConstant("correction", 0.7, 0.9),
        },
        "C. van den Berg, S. Bruin, in Water Activity (1981)",
    ),
    TextbookLaw(
        "Toth isotherm",
        "q*K*C/(1 + (K*C)^n)^(1/n)",
        "adsorbed amount",
        {"C": LawColumn("concentration", 0.01, 100)},
        {
            "q": LawConstant("capacity", 5, 50),
            "K": LawConstant("affinity", 0.5, 3),
            "n": LawConstant("heterogeneity", 0.35, 0.6),
        },
        "J. Toth, Acta Chim. Hung. 69, 311 (1971)",
    ),
    TextbookLaw(
        "two-site Langmuir isotherm",
        "A*C/(a + C) + B*C/(b + C)",
        "adsorbed amount",
        {"C": LawColumn("concentration", 0.01, 300)},
        {
            "A": LawConstant("capacity of the strong sites", 10, 30),
            "a": LawConstant("constant of the strong sites", 0.1, 0.4),
            "B": LawConstant("capacity of the weak sites", 15, 40),
            "b": LawConstant("constant of the weak sites", 20, 60),
        },
        "D. Graham, J. Phys. Chem. 57, 665 (1953)",
    ),
    TextbookLaw(
        "van Genuchten",
        "r + (s - r)/(1 + (a*h)^n)^(1 - 1/n)",
        "water content",
        {"h": LawColumn("suction", 1, 15000)},
        {
            "r": LawConstant("residual water content", 0.03, 0.1),
            "s": LawConstant("saturated water content", 0.35, 0.5),
            "a": LawConstant("one over the air-entry suction", 0.01, 0.05),
            "n": LawConstant("pore-size index", 1.4, 2.5, (1.0, float("inf"))),
        },
        "M. T. van Genuchten, Soil Sci. Soc. Am. J. 44, 892 (1980)",
    ),
    TextbookLaw(
        "Philip infiltration",
        "S*sqrt(t) + A*t",
        "infiltrated depth",
        {"t": LawColumn("time", 0, 10)},
        {"S": LawConstant("sorptivity", 1, 5), "A": LawConstant("steady rate", 0.5, 2)},
        "J. R. Philip, Soil Sci. 84, 257 (1957)",
    ),
    TextbookLaw(
        "diffusion from a surface",
        "c + k*sqrt(t)",
        "amount",
        {"t": LawColumn("time", 0, 10)},
        {"c": LawConstant("boundary layer", 1, 10, ANY), "k": LawConstant("diffusion coefficient", 1, 5, ANY)},
        "W. J. Weber, J. C. Morris, J. Sanit. Eng. Div. 89, 31 (1963)",
        ("Weber-Morris", "Kohlrausch conductivity"),
    ),
    TextbookLaw(
        "Omori-Utsu",
        "K/(t + c)^p",
        "rate of aftershocks",
        {"t": LawColumn("time", 0.05, 50)},
        {
            "K": LawConstant("productivity", 10, 100),
            "c": LawConstant("delay", 0.3, 2),
            "p": LawConstant("exponent", 0.8, 1.5),
        },
        "T. Utsu, Geophys. Mag. 30, 521 (1961)",
        ("Sherman rainfall", "Zipf-Mandelbrot"),
    ),
    TextbookLaw(
        "rainfall intensity, duration and frequency",
        "a*R^m/(d + b)^n",
        "intensity",
        {"R": LawColumn("return period", 2, 100), "d": LawColumn("duration", 5, 360)},
        {
            "a": LawConstant("factor", 200, 1000),
            "m": LawConstant("exponent of the return period", 0.15, 0.3),
            "b": LawConstant("offset of the duration", 5, 20),
            "n": LawConstant("exponent of the duration", 0.6, 0.9),
        },
        "C. W. Sherman, Trans. ASCE 95, 951 (1931)",
    ),
    TextbookLaw(
        "wind profile",
        "u*log((z - d)/r)",
        "wind speed",
        {"z": LawColumn("height", 3, 100)},
        {
            "u": LawConstant("friction velocity over von Karman's constant", 0.5, 2),
            "d": LawConstant("zero-plane displacement", 1, 2.5, ANY),
            "r": LawConstant("roughness length", 0.03, 0.5),
        },
        "H. Tennekes, J. Atmos. Sci. 30, 234 (1973)",
    ),
)
