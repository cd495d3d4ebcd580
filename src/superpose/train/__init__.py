"""Training: one loop, three optimisers."""

from superpose.train.fit import FitSettings, fit
from superpose.train.history import History, Record

__all__ = ["FitSettings", "History", "Record", "fit"]
