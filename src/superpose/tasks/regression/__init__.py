"""From a table to a network and a formula for a numeric target."""

from superpose.tasks.regression.alternatives import Alternative
from superpose.tasks.regression.forms import FormOptions, judge_forms
from superpose.tasks.regression.intervals import calibrate
from superpose.tasks.regression.knowledge import Knowledge
from superpose.tasks.regression.options import DiscoverOptions
from superpose.tasks.regression.result import FormResult, Result
from superpose.tasks.regression.search import discover
from superpose.tasks.result import Observer

__all__ = [
    "Alternative",
    "DiscoverOptions",
    "FormOptions",
    "FormResult",
    "Knowledge",
    "Observer",
    "Result",
    "calibrate",
    "discover",
    "judge_forms",
]
