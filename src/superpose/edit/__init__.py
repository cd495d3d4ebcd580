"""Editing a trained network: attribution, pruning, merging, straightening, and functions set on single edges."""

from superpose.edit.attribution import AttributionScores, attribution_scores
from superpose.edit.combining import Combined, combine
from superpose.edit.comparison import Comparison, ComparisonRow, compare
from superpose.edit.dragging import drag
from superpose.edit.edge_curves import suggest
from superpose.edit.merging import merge
from superpose.edit.pruning import prune, remove
from superpose.edit.refitting import refit
from superpose.edit.releasing import release
from superpose.edit.setting_functions import fix, linear, replace
from superpose.edit.straightening import straighten

__all__ = [
    "AttributionScores",
    "Combined",
    "Comparison",
    "ComparisonRow",
    "attribution_scores",
    "combine",
    "compare",
    "drag",
    "fix",
    "linear",
    "merge",
    "prune",
    "refit",
    "release",
    "remove",
    "replace",
    "straighten",
    "suggest",
]
