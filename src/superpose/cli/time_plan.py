"""How the time limit of a command is divided: loading packages, reading, the search, pictures and files."""

from __future__ import annotations

from dataclasses import dataclass, field

from superpose.deadline import Deadline

# Pictures and files take 1.1 to 1.3 times as long as loading the packages took, on a fast machine as on a busy one
# (hello.csv and knots.csv in examples/data), and the first charts of columns 0.2 times; the other charts and the
# close-ups of edges, which are drawn as long as there is time, have a share of the limit. All together take no more
# than a part of the limit, which leaves time for the search. The last two are round numbers.
_FILES_PER_LOADING, _CLOSE_UPS, _MOST = 1.6, 0.04, 0.4


@dataclass
class TimePlan:
    """The clock of one command; it starts when the object is made.

    Attributes:
        loading: seconds that loading packages took.
    """

    begun: Deadline = field(default_factory=Deadline)
    loading: float = 0.0

    def loaded(self) -> None:
        """Note that all packages of the search are loaded."""
        self.loading = self.begun.elapsed()

    def search(self, time_limit: float) -> Deadline:
        """When the search of a command with this time limit has to end; it has a tenth of the limit at least."""
        files = min(_FILES_PER_LOADING * self.loading + _CLOSE_UPS * time_limit, _MOST * time_limit)
        return Deadline(max(time_limit - self.begun.elapsed() - files, time_limit / 10), self.begun.clock)

    def files(self, time_limit: float) -> Deadline:
        """When the command has to end."""
        return Deadline(max(0.0, time_limit - self.begun.elapsed()), self.begun.clock)
