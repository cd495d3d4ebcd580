"""Smoothing-spline ANOVA: sums of functions of one column and of products of two, fitted with their smoothness.

For tables of few or noisy rows. The functions are cubic splines, so that the sum is a Kolmogorov-Arnold network
(:mod:`~superpose.train.anova.network`), but it is linear in its coefficients: there is one best fit and no start, the
strengths of its penalties follow from the marginal likelihood, and standard errors and leave-one-out residuals are
exact. Scores of classes are sums of the same kind, with the likelihood of a head.

Sources: C. Gu, *Smoothing Spline ANOVA Models* (2013); S. Wood, *Generalized Additive Models* (2017), chapters 5 and 6.
"""

from superpose.train.anova.average import AnovaAverage
from superpose.train.anova.class_selection import ClassChoice, choose_anova_classes
from superpose.train.anova.classes import ClassFit, ClassMixture, fit_anova_classes
from superpose.train.anova.fit import AnovaFit, AnovaMixture, AnovaSettings, fit_anova
from superpose.train.anova.network import network_of
from superpose.train.anova.selection import AnovaChoice, choose_anova

__all__ = [
    "AnovaAverage",
    "AnovaChoice",
    "AnovaFit",
    "AnovaMixture",
    "AnovaSettings",
    "ClassChoice",
    "ClassFit",
    "ClassMixture",
    "choose_anova",
    "choose_anova_classes",
    "fit_anova",
    "fit_anova_classes",
    "network_of",
]
