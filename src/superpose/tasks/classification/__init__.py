"""Classification: tables with a column of classes, networks and formulas whose scores a head reads."""

from superpose.formulas.from_scores.one_score import ScoreFormula
from superpose.tasks.classification.labels import ClassificationDataset, read_classification
from superpose.tasks.classification.options import ClassifyOptions
from superpose.tasks.classification.result import Classification
from superpose.tasks.classification.search import classify

__all__ = [
    "Classification",
    "ClassificationDataset",
    "ClassifyOptions",
    "ScoreFormula",
    "classify",
    "read_classification",
]
