"""Training: one loop, three optimisers."""

from superpose.train.architecture_search import SearchResult, Tried, search
from superpose.train.fit import fit
from superpose.train.history import History, Record
from superpose.train.memory import Memory, remember
from superpose.train.settings import FitSettings

__all__ = ["FitSettings", "History", "Memory", "Record", "SearchResult", "Tried", "fit", "remember", "search"]
