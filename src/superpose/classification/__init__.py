"""Classification: tables with a column of classes, networks and formulas whose scores a head reads."""

from superpose.classification.classify import Classification, ClassifyOptions, classify
from superpose.classification.formulas import ScoreFormula
from superpose.classification.labels import Labelled, read_labelled

__all__ = ["Classification", "ClassifyOptions", "Labelled", "ScoreFormula", "classify", "read_labelled"]
