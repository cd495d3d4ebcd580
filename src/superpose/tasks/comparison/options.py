"""Options of :func:`superpose.compare`."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.checks import check_positive, check_seed, check_whole
from superpose.choices import COMPARED
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.parallel import check_jobs


@dataclass(frozen=True)
class CompareOptions:
    """Options of :func:`compare`.

    Attributes:
        cv: number of folds; if None 5, and one for each row of a table of fewer than 15 rows. A table of fewer rows
            than folds has one for each row.
        seed: of the folds and of every random choice of a method.
        time_limit: seconds for everything, divided evenly among the methods; what one leaves goes to the next.
        methods: names of the methods to compare; all that are installed if None.
        n_jobs: fits at a time, each in a process of its own with one thread; -1 for one on each core. Where the time is
            enough the result is the same, but for seconds.
    """

    cv: int | None = None
    seed: int = 0
    time_limit: float = 300.0
    methods: tuple[str, ...] | None = None
    n_jobs: int = 1

    def checked(self, task: str) -> CompareOptions:
        """These options if they make sense; raises :class:`OptionError` otherwise."""
        if task not in COMPARED:
            raise OptionError(f"task must be one of {', '.join(COMPARED)}, not {task!r}{nearest(str(task), COMPARED)}")
        check_whole("cv", self.cv, least=2, optional=True)
        check_seed(self.seed, bits=32)  # what scikit-learn takes
        check_positive("time_limit", self.time_limit, unit="seconds")
        check_jobs(self.n_jobs)
        if self.methods is not None:
            check_methods("methods", self.methods, task)
        return self


def check_methods(option: str, names: object, task: str) -> None:
    """Raise :class:`OptionError` unless ``names`` are one or more methods of the task, each once."""
    known = COMPARED[task]
    if isinstance(names, str) or not isinstance(names, tuple | list) or not names:
        raise OptionError(f"{option} is a list of names such as ('ridge', 'gp'), not {names!r}")
    for name in names:
        if name not in known:
            other = next((one for one in COMPARED if name in COMPARED[one]), None)
            hint = f"; {name} is for {other}" if other else nearest(str(name), known)
            raise OptionError(f"{option}: there is no method {name!r} of {task}; it has {', '.join(known)}{hint}")
    if len(set(names)) < len(names):
        raise OptionError(f"{option} has a name twice; write each once")
