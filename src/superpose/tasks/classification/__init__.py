"""Classification: tables with a column of classes, networks and formulas whose scores a head reads."""

from superpose.formulas.from_scores.search import ScoreFormula
from superpose.tasks.classification.labels import Labelled, read_labelled
from superpose.tasks.classification.options import ClassifyOptions
from superpose.tasks.classification.result import Classification
from superpose.tasks.classification.search import classify

__all__ = ["Classification", "ClassifyOptions", "Labelled", "ScoreFormula", "classify", "read_labelled"]
