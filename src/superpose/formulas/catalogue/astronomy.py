"""Orbits, galaxies, and laws of powers."""

from __future__ import annotations

from superpose.formulas.catalogue.law import ANY, LawColumn, LawConstant, TextbookLaw

LAWS = (
    TextbookLaw(
        "power law",
        "a*x^b",
        "value",
        {"x": LawColumn("mass", 0.1, 100)},
        {"a": LawConstant("value at one", 0.1, 100), "b": LawConstant("exponent", 0.4, 2.5, ANY)},
        "M. Kleiber, Hilgardia 6, 315 (1932)",
        ("allometry", "Kleiber", "Freundlich isotherm", "Stevens", "learning curve"),
        plain=True,
    ),
    TextbookLaw(
        "power law with an offset",
        "c + a*x^b",
        "value",
        {"x": LawColumn("column", 0.1, 20)},
        {
            "c": LawConstant("offset", 5, 20, ANY),
            "a": LawConstant("coefficient", 2, 10, ANY),
            "b": LawConstant("exponent", -1.5, -0.3),
        },
        "W. H. Herschel, R. Bulkley, Kolloid-Z. 39, 291 (1926)",
        ("Herschel-Bulkley", "King's hot wire"),
    ),
    TextbookLaw(
        "Kepler's third law",
        "k*a^1.5",
        "period",
        {"a": LawColumn("semi-major axis", 0.3, 40)},
        {"k": LawConstant("factor, one in years and astronomical units", 0.5, 400)},
        "J. Kepler, Harmonices Mundi (1619)",
        ("Child-Langmuir",),
        plain=True,
    ),
    TextbookLaw(
        "Titius-Bode",
        "c + a*2^n",
        "semi-major axis",
        {"n": LawColumn("number of the planet", -1, 7, whole=True)},
        {"c": LawConstant("offset", 0.3, 0.5, ANY), "a": LawConstant("factor", 0.2, 0.4, ANY)},
        "J. D. Titius (1766), J. E. Bode (1772), in M. M. Nieto, The Titius-Bode Law of Planetary Distances (1972)",
    ),
    TextbookLaw(
        "beta profile",
        "A/(1 + (r/c)^2)^b",
        "surface brightness",
        {"r": LawColumn("radius", 0.05, 20)},
        {
            "A": LawConstant("central value", 1, 100),
            "c": LawConstant("core radius", 0.7, 3),
            "b": LawConstant("slope", 0.5, 2),
        },
        "A. Cavaliere, R. Fusco-Femiano, Astron. Astrophys. 49, 137 (1976)",
        ("King profile", "Moffat", "Carreau viscosity"),
    ),
    TextbookLaw(
        "Navarro-Frenk-White",
        "A/((r/s)*(1 + r/s)^2)",
        "density",
        {"r": LawColumn("radius", 0.1, 20)},
        {"A": LawConstant("density", 0.5, 50), "s": LawConstant("scale radius", 0.5, 3)},
        "J. F. Navarro, C. S. Frenk, S. D. M. White, Astrophys. J. 462, 563 (1996)",
    ),
    TextbookLaw(
        "arctangent rotation curve",
        "V*arctan(r/s)",
        "velocity",
        {"r": LawColumn("radius", 0, 20)},
        {"V": LawConstant("velocity far out, times two over pi", 50, 200), "s": LawConstant("turnover radius", 1, 4)},
        "S. Courteau, Astron. J. 114, 2402 (1997)",
    ),
)
