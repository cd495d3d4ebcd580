"""Classification: tables with a column of classes, networks and formulas whose scores a head reads."""

from superpose.classification.classify import classify
from superpose.classification.formulas import ScoreFormula
from superpose.classification.labels import Labelled, read_labelled
from superpose.classification.options import ClassifyOptions
from superpose.classification.result import Classification

__all__ = ["Classification", "ClassifyOptions", "Labelled", "ScoreFormula", "classify", "read_labelled"]
