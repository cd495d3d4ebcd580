"""Effects and concentrations of drugs."""

from __future__ import annotations

from superpose.formulas.catalogue.law import ANY, LawColumn, LawConstant, TextbookLaw

_DOSE = LawColumn("concentration", 0.01, 100)
_TIME = LawColumn("time", 0, 24)
_EFFECT = LawConstant("largest effect", 10, 100)
_HALF = LawConstant("concentration of half the effect", 0.5, 5)
_HILL = LawConstant("Hill coefficient", 1.5, 4)
_BASE = LawConstant("effect without the drug", -20, 20)

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
            "a": LawConstant("response at large doses", -20, 20),
            "b": LawConstant("change of the response", 20, 100, ANY),
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
        {"S": LawColumn("concentration", 0.001, 1000)},
        {
            "a": LawConstant("response at large doses", -20, 20),
            "b": LawConstant("change of the response", 50, 100, ANY),
            "K": _HALF,
            "n": LawConstant("slope", 1, 2),
            "g": LawConstant("asymmetry", 0.3, 0.5),
        },
        "P. G. Gottschalk, J. R. Dunn, Anal. Biochem. 343, 54 (2005)",
    ),
    TextbookLaw(
        "Emax with a baseline",
        "E + V*S/(K + S)",
        "effect",
        {"S": LawColumn("concentration", 0.05, 50)},
        {
            "E": LawConstant("effect without the drug", 5, 30, ANY),
            "V": LawConstant("largest change of the effect", 20, 100, ANY),
            "K": LawConstant("concentration of half the change", 0.5, 5),
        },
        "N. H. G. Holford, L. B. Sheiner, Clin. Pharmacokinet. 6, 429 (1981)",
    ),
    TextbookLaw(
        "specific and non-specific binding",
        "V*S/(K + S) + N*S",
        "bound amount",
        {"S": LawColumn("concentration", 0.05, 50)},
        {
            "V": LawConstant("number of sites", 20, 60),
            "K": LawConstant("dissociation constant", 0.3, 2),
            "N": LawConstant("non-specific binding", 0.5, 2),
        },
        "G. Scatchard, Ann. N. Y. Acad. Sci. 51, 660 (1949)",
    ),
    TextbookLaw(
        "two exponentials",
        "A*exp(-a*t) + B*exp(-b*t)",
        "concentration",
        {"t": _TIME},
        {
            "A": LawConstant("amplitude of the fast phase", 20, 60),
            "a": LawConstant("rate of the fast phase", 0.8, 2),
            "B": LawConstant("amplitude of the slow phase", 10, 30),
            "b": LawConstant("rate of the slow phase", 0.05, 0.15),
        },
        "S. Riegelman, J. C. K. Loo, M. Rowland, J. Pharm. Sci. 57, 117 (1968)",
        ("two compartments", "biexponential decay"),
    ),
    TextbookLaw(
        "one-compartment absorption of a dose",
        "D*F*(exp(-k*t) - exp(-l*t))",
        "concentration",
        {"D": LawColumn("dose", 2, 10), "t": LawColumn("time", 0.1, 24)},
        {
            "F": LawConstant("factor", 0.5, 3),
            "k": LawConstant("rate of elimination", 0.05, 0.2),
            "l": LawConstant("rate of absorption", 0.8, 3),
        },
        "F. H. Dost, Der Blutspiegel (1953)",
        ("Bateman with a dose",),
    ),
    TextbookLaw(
        "gamma variate",
        "A*t^a*exp(-k*t)",
        "concentration",
        {"t": LawColumn("time", 0.2, 24)},
        {"A": LawConstant("factor", 1, 20), "a": LawConstant("exponent", 0.3, 3), "k": LawConstant("rate", 0.2, 0.5)},
        "H. K. Thompson et al., Circ. Res. 14, 502 (1964)",
        ("Wood's lactation curve", "Schechter function"),
    ),
    TextbookLaw(
        "alpha function",
        "A*t*exp(-k*t)",
        "response",
        {"t": _TIME},
        {"A": LawConstant("initial slope", 1, 50), "k": LawConstant("rate", 0.15, 0.5)},
        "W. Rall, J. Neurophysiol. 30, 1138 (1967)",
        ("Ricker", "Steele photoinhibition"),
    ),
    TextbookLaw(
        "linear-quadratic survival",
        "A*exp(-a*D - b*D^2)",
        "survivors",
        {"D": LawColumn("dose of radiation", 0, 8)},
        {
            "A": LawConstant("survivors without radiation", 1, 100),
            "a": LawConstant("linear coefficient", 0.1, 0.3),
            "b": LawConstant("quadratic coefficient", 0.03, 0.08),
        },
        "D. E. Lea, Actions of Radiations on Living Cells (1946)",
    ),
)
