"""Effects and concentrations of drugs."""

from __future__ import annotations

from superpose.formulas.catalogue.law import ANY, Column, Constant, TextbookLaw

_DOSE = Column("concentration", 0.01, 100)
_TIME = Column("time", 0, 24)
_EFFECT = Constant("largest effect", 10, 100)
_HALF = Constant("concentration of half the effect", 0.5, 5)
_HILL = Constant("Hill coefficient", 1.5, 4)
_BASE = Constant("effect without the drug", -20, 20)

LAWS = (
    TextbookLaw(
        "Hill",
        "V*S^n/(K^n + S^n)",
        "effect",
        {"S": _DOSE},
        {"V": _EFFECT, "K": _HALF, "n": _HILL},
        "A. V. Hill, J. Physiol. 40, iv (1910)",
        ("sigmoid Emax", "Sips isotherm", "log-logistic"),
    ),
    TextbookLaw(
        "four-parameter logistic of the dose",
        "a + b/(1 + (S/K)^n)",
        "response",
        {"S": _DOSE},
        {
            "a": Constant("response at large doses", -20, 20),
            "b": Constant("change of the response", 20, 100, ANY),
            "K": _HALF,
            "n": _HILL,
        },
        "A. De Lean et al., Am. J. Physiol. 235, E97 (1978)",
        ("Hill with a baseline",),
    ),
    TextbookLaw(
        "five-parameter logistic of the dose",
        "a + b/(1 + (S/K)^n)^g",
        "response",
        {"S": Column("concentration", 0.001, 1000)},
        {
            "a": Constant("response at large doses", -20, 20),
            "b": Constant("change of the response", 50, 100, ANY),
            "K": _HALF,
            "n": Constant("slope", 1, 2),
            "g": Constant("asymmetry", 0.3, 0.5),
        },
        "P. G. Gottschalk, J. R. Dunn, Anal. Biochem. 343, 54 (2005)",
    ),
    TextbookLaw(
        "Emax with a baseline",
        "E + V*S/(K + S)",
        "effect",
        {"S": Column("concentration", 0.05, 50)},
        {
            "E": Constant("effect without the drug", 5, 30, ANY),
            "V": Constant("largest change of the effect", 20, 100, ANY),
            "K": Constant("concentration of half the change", 0.5, 5),
        },
        "N. H. G. Holford, L. B. Sheiner, Clin. Pharmacokinet. 6, 429 (1981)",
    ),
    TextbookLaw(
        "specific and non-specific binding",
        "V*S/(K + S) + N*S",
        "bound amount",
        {"S": Column("concentration", 0.05, 50)},
        {
            "V": Constant("number of sites", 20, 60),
            "K": Constant("dissociation constant", 0.3, 2),
            "N": Constant("non-specific binding", 0.5, 2),
        },
        "G. Scatchard, Ann. N. Y. Acad. Sci. 51, 660 (1949)",
    ),
    TextbookLaw(
        "two exponentials",
        "A*exp(-a*t) + B*exp(-b*t)",
        "concentration",
        {"t": _TIME},
        {
            "A": Constant("amplitude of the fast phase", 20, 60),
            "a": Constant("rate of the fast phase", 0.8, 2),
            "B": Constant("amplitude of the slow phase", 10, 30),
            "b": Constant("rate of the slow phase", 0.05, 0.15),
        },
        "S. Riegelman, J. C. K. Loo, M. Rowland, J. Pharm. Sci. 57, 117 (1968)",
        ("two compartments", "biexponential decay"),
    ),
    TextbookLaw(
        "one-compartment absorption of a dose",
        "D*F*(exp(-k*t) - exp(-l*t))",
        "concentration",
        {"D": Column("dose", 2, 10), "t": Column("time", 0.1, 24)},
        {
            "F": Constant("factor", 0.5, 3),
            "k": Constant("rate of elimination", 0.05, 0.2),
            "l": Constant("rate of absorption", 0.8, 3),
        },
        "F. H. Dost, Der Blutspiegel (1953)",
        ("Bateman with a dose",),
    ),
    TextbookLaw(
        "gamma variate",
        "A*t^a*exp(-k*t)",
        "concentration",
        {"t": Column("time", 0.2, 24)},
        {"A": Constant("factor", 1, 20), "a": Constant("exponent", 0.3, 3), "k": Constant("rate", 0.2, 0.5)},
        "H. K. Thompson et al., Circ. Res. 14, 502 (1964)",
        ("Wood's lactation curve", "Schechter function"),
    ),
    TextbookLaw(
        "alpha function",
        "A*t*exp(-k*t)",
        "response",
        {"t": _TIME},
        {"A": Constant("initial slope", 1, 50), "k": Constant("rate", 0.15, 0.5)},
        "W. Rall, J. Neurophysiol. 30, 1138 (1967)",
        ("Ricker", "Steele photoinhibition"),
    ),
    TextbookLaw(
        "linear-quadratic survival",
        "A*exp(-a*D - b*D^2)",
        "survivors",
        {"D": Column("dose of radiation", 0, 8)},
        {
            "A": Constant("survivors without radiation", 1, 100),
            "a": Constant("linear coefficient", 0.1, 0.3),
            "b": Constant("quadratic coefficient", 0.03, 0.08),
        },
        "D. E. Lea, Actions of Radiations on Living Cells (1946)",
    ),
)
