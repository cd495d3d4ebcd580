"""Training: one loop, three optimisers."""

from superpose.train.fit import FitSettings, fit
from superpose.train.history import History, Record
from superpose.train.memory import Memory, remember

__all__ = ["FitSettings", "History", "Memory", "Record", "fit", "remember"]
