"""Editing a trained network: attribution, pruning, merging, straightening, and functions set on single edges."""

from superpose.edit.attribution import Scores, scores
from superpose.edit.combining import Combined, combine
from superpose.edit.comparison import Compared, Comparison, compare
from superpose.edit.edges import fix, linear, refit, release, remove, replace, suggest
from superpose.edit.merging import merge
from superpose.edit.pruning import prune
from superpose.edit.straightening import straighten

__all__ = [
    "Combined",
    "Compared",
    "Comparison",
    "Scores",
    "combine",
    "compare",
    "fix",
    "linear",
    "merge",
    "prune",
    "refit",
    "release",
    "remove",
    "replace",
    "scores",
    "straighten",
    "suggest",
]
