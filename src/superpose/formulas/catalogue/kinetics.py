"""Rates of chemical reactions and enzymes."""

from __future__ import annotations

from superpose.formulas.catalogue.law import ANY, LawColumn, LawConstant, TextbookLaw

_SUBSTRATE = LawColumn("substrate concentration", 0.05, 20)
_INHIBITOR = LawColumn("inhibitor concentration", 0, 10)
_TIME = LawColumn("time", 0, 10)
_KELVIN = LawColumn("absolute temperature", 280, 420)
_LIMIT = LawConstant("limiting rate", 1, 100)
_HALF = LawConstant("concentration of half the limiting rate", 0.5, 4)
_FIRST_ORDER = LawConstant("rate constant", 0.2, 1)
_AMOUNT = LawConstant("initial value", 1, 100)
_INHIBITION = LawConstant("inhibition constant", 1, 5)
_FACTOR = LawConstant("factor", 1e3, 1e6)

LAWS = (
    TextbookLaw(
        "Michaelis-Menten",
        "V*S/(K + S)",
        "rate",
        {"S": _SUBSTRATE},
        {"V": _LIMIT, "K": _HALF},
        "L. Michaelis, M. L. Menten, Biochem. Z. 49, 333 (1913)",
        ("Langmuir isotherm", "Monod", "Holling II", "Beverton-Holt", "Emax", "saturation"),
    ),
    TextbookLaw(
        "substrate inhibition",
        "V*S/(K + S + S^2/J)",
        "rate",
        {"S": _SUBSTRATE},
        {"V": _LIMIT, "K": _HALF, "J": LawConstant("inhibition constant of the substrate", 2, 10)},
        "J. B. S. Haldane, Enzymes (1930)",
        ("Haldane", "Andrews"),
    ),
    TextbookLaw(
        "competitive inhibition",
        "V*S/(K*(1 + I/J) + S)",
        "rate",
        {"S": _SUBSTRATE, "I": _INHIBITOR},
        {"V": _LIMIT, "K": _HALF, "J": _INHIBITION},
        "I. H. Segel, Enzyme Kinetics (1975)",
        ("Beddington-DeAngelis",),
    ),
    TextbookLaw(
        "uncompetitive inhibition",
        "V*S/(K + S*(1 + I/J))",
        "rate",
        {"S": _SUBSTRATE, "I": _INHIBITOR},
        {"V": _LIMIT, "K": _HALF, "J": _INHIBITION},
        "I. H. Segel, Enzyme Kinetics (1975)",
    ),
    TextbookLaw(
        "non-competitive inhibition",
        "V*S/((K + S)*(1 + I/J))",
        "rate",
        {"S": _SUBSTRATE, "I": _INHIBITOR},
        {"V": _LIMIT, "K": _HALF, "J": _INHIBITION},
        "I. H. Segel, Enzyme Kinetics (1975)",
    ),
    TextbookLaw(
        "double Monod",
        "V*S/(K + S)*P/(L + P)",
        "rate",
        {"S": _SUBSTRATE, "P": LawColumn("concentration of the other substrate", 0.05, 20)},
        {"V": _LIMIT, "K": _HALF, "L": LawConstant("half-saturation concentration of the other substrate", 0.5, 4)},
        "M. J. Bader, Biotechnol. Bioeng. 20, 183 (1978)",
    ),
    TextbookLaw(
        "ping-pong mechanism",
        "V*S*P/(L*S + K*P + S*P)",
        "rate",
        {"S": _SUBSTRATE, "P": LawColumn("concentration of the other substrate", 0.05, 20)},
        {"V": _LIMIT, "K": _HALF, "L": LawConstant("half-saturation concentration of the other substrate", 0.5, 4)},
        "W. W. Cleland, Biochim. Biophys. Acta 67, 104 (1963)",
    ),
    TextbookLaw(
        "Contois",
        "V*S/(K*X + S)",
        "growth rate",
        {"S": _SUBSTRATE, "X": LawColumn("biomass concentration", 0.5, 10)},
        {"V": _LIMIT, "K": LawConstant("saturation constant", 0.3, 2)},
        "D. E. Contois, J. Gen. Microbiol. 21, 40 (1959)",
    ),
    TextbookLaw(
        "Langmuir-Hinshelwood",
        "k*S*P/(1 + a*S + b*P)^2",
        "rate",
        {"S": _SUBSTRATE, "P": LawColumn("pressure of the other gas", 0.05, 20)},
        {
            "k": LawConstant("rate constant", 1, 100),
            "a": LawConstant("adsorption constant", 0.3, 2),
            "b": LawConstant("adsorption constant of the other gas", 0.3, 2),
        },
        "C. N. Hinshelwood, The Kinetics of Chemical Change (1940)",
    ),
    TextbookLaw(
        "exponential decay",
        "A*exp(-k*t)",
        "amount",
        {"t": _TIME},
        {"A": _AMOUNT, "k": _FIRST_ORDER},
        "E. Rutherford, F. Soddy, Philos. Mag. 4, 370 (1902)",
        ("first-order kinetics", "radioactive decay", "discharge of a capacitor", "Beer-Lambert", "barometric formula"),
    ),
    TextbookLaw(
        "exponential approach to a plateau",
        "C + A*exp(-k*t)",
        "amount",
        {"t": _TIME},
        {
            "C": LawConstant("plateau", 5, 50, ANY),
            "A": LawConstant("initial distance from the plateau", -80, 80),
            "k": LawConstant("rate constant", 0.3, 1),
        },
        "I. Newton, Philos. Trans. 22, 824 (1701)",
        ("Newton's cooling", "von Bertalanffy length", "asymptotic regression", "Horton infiltration"),
    ),
    TextbookLaw(
        "first-order rise",
        "A*(1 - exp(-k*t))",
        "amount",
        {"t": _TIME},
        {"A": LawConstant("final value", 1, 100), "k": _FIRST_ORDER},
        "E. A. Mitscherlich, Landw. Jahrb. 38, 537 (1909)",
        ("charging of a capacitor", "Mitscherlich", "saturating exponential"),
    ),
    TextbookLaw(
        "second-order decay",
        "A/(1 + k*t)",
        "amount",
        {"t": _TIME},
        {"A": _AMOUNT, "k": LawConstant("rate constant times the initial value", 0.3, 3)},
        "P. Atkins, J. de Paula, Physical Chemistry (2006)",
        ("hyperbolic decline", "Stern-Volmer quenching"),
    ),
    TextbookLaw(
        "decay of n-th order",
        "A/(1 + k*t)^n",
        "amount",
        {"t": LawColumn("time", 0, 100)},
        {"A": _AMOUNT, "k": LawConstant("initial rate", 0.3, 2), "n": LawConstant("exponent", 0.5, 3)},
        "J. J. Arps, Trans. AIME 160, 228 (1945)",
        ("Arps decline",),
    ),
    TextbookLaw(
        "intermediate of two reactions",
        "A*(exp(-k*t) - exp(-l*t))",
        "amount of the intermediate",
        {"t": _TIME},
        {
            "A": _AMOUNT,
            "k": LawConstant("rate constant of the slower step", 0.1, 0.5),
            "l": LawConstant("rate constant of the faster step", 1, 4),
        },
        "H. Bateman, Proc. Camb. Philos. Soc. 15, 423 (1910)",
        ("Bateman", "one-compartment absorption", "oxygen sag of Streeter and Phelps"),
    ),
    TextbookLaw(
        "stretched exponential",
        "A*exp(-(k*t)^b)",
        "amount",
        {"t": LawColumn("time", 0.01, 20)},
        {"A": _AMOUNT, "k": _FIRST_ORDER, "b": LawConstant("stretching exponent", 0.3, 0.7)},
        "R. Kohlrausch, Ann. Phys. 91, 179 (1854)",
        ("Kohlrausch", "Weibull survival", "Sersic profile"),
    ),
    TextbookLaw(
        "Avrami",
        "A*(1 - exp(-(k*t)^n))",
        "transformed fraction",
        {"t": _TIME},
        {
            "A": LawConstant("final value", 1, 100),
            "k": LawConstant("rate constant", 0.15, 0.4),
            "n": LawConstant("exponent", 2, 4),
        },
        "M. Avrami, J. Chem. Phys. 7, 1103 (1939)",
        ("Weibull distribution", "Kolmogorov-Johnson-Mehl-Avrami"),
    ),
    TextbookLaw(
        "Elovich",
        "A*log(1 + k*t)",
        "adsorbed amount",
        {"t": LawColumn("time", 0.01, 20)},
        {"A": LawConstant("factor", 1, 30), "k": LawConstant("initial rate over the factor", 1, 10)},
        "M. J. D. Low, Chem. Rev. 60, 267 (1960)",
    ),
    TextbookLaw(
        "Arrhenius",
        "A*exp(-B/T)",
        "rate constant",
        {"T": _KELVIN},
        {"A": _FACTOR, "B": LawConstant("activation energy over the gas constant", 2000, 9000)},
        "S. Arrhenius, Z. Phys. Chem. 4, 226 (1889)",
        ("Clausius-Clapeyron vapour pressure", "Boltzmann factor"),
    ),
    TextbookLaw(
        "Eyring",
        "A*T*exp(-B/T)",
        "rate constant",
        {"T": LawColumn("absolute temperature", 200, 1200)},
        {"A": _FACTOR, "B": LawConstant("enthalpy of activation over the gas constant", 300, 1500)},
        "H. Eyring, J. Chem. Phys. 3, 107 (1935)",
    ),
    TextbookLaw(
        "rate law with an Arrhenius factor",
        "A*c^n*exp(-B/T)",
        "rate",
        {"c": LawColumn("concentration", 0.1, 10), "T": _KELVIN},
        {
            "A": _FACTOR,
            "n": LawConstant("order", 0.5, 2),
            "B": LawConstant("activation energy over the gas constant", 2000, 9000),
        },
        "K. J. Laidler, Chemical Kinetics (1987)",
    ),
)
