"""Many independent jobs, one after another or side by side: joblib is the engine, on any backend registered with it.

>>> list(work_off(abs, [-1, 2]))
[(0, 1), (1, 2)]

Each job uses one thread, so that processes do not compete for cores and results do not depend on their number. A job
that ends its process, or whose answer gets lost, costs its own answer only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from superpose.checks import is_whole
from superpose.errors import OptionError
from superpose.messages import quoted
from superpose.partial import reason

Job = TypeVar("Job")
Answer = TypeVar("Answer")

INSTALL = "pip install 'superpose[sweep]'"
# Jobs for each process in a batch, on backends that give answers only when a whole batch is done (Ray). More of them
# keep processes busy where jobs differ in length, and lose more when a run is killed. A round number.
_BATCH = 2
# Seconds between two looks at whether the caller is alive; a round number.
_LOOK = 1.0
# The thread of this process that looks.
_WATCHING: list[threading.Thread] = []


def one_thread() -> None:
    """Use one thread unless the person has said how many; torch reads this when it is first imported.

    The matrices of small networks are so small that handing them between threads costs more than it saves: on a
    busy machine with two cores the hello example took 45 s with two threads and 11 s with one.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Lost:
    """A job without an answer.

    Attributes:
        reason: why, as half a sentence.
    """

    reason: str


def check_jobs(n_jobs: Any, backend: Any = None) -> None:
    """Raise :class:`OptionError` unless these say how many jobs run at a time, and on what.

    >>> check_jobs(0)
    Traceback (most recent call last):
        ...
    superpose.errors.OptionError: n_jobs must be a whole number of at least 1, or -1 for one job on each core, not 0
    """
    if n_jobs is not None and not (is_whole(n_jobs) and (n_jobs >= 1 or n_jobs == -1)):
        raise OptionError(
            f"n_jobs must be a whole number of at least 1, or -1 for one job on each core, not {n_jobs!r}"
        )
    if backend is not None and not (isinstance(backend, str) and backend):
        raise OptionError(f"backend is the name of a joblib backend such as 'loky' or 'dask', not {quoted(backend)}")
    if not _alone(n_jobs, backend) and importlib.util.find_spec("joblib") is None:
        raise OptionError(f"several jobs at a time need joblib, which is not installed; {INSTALL} adds it")


def processes(n_jobs: int) -> int:
    """How many jobs run at a time; the cores are counted for -1.

    >>> processes(3)
    3
    """
    if n_jobs != -1:
        return n_jobs
    import joblib

    return int(joblib.cpu_count())


def work_off(
    function: Callable[[Job], Answer], jobs: Iterable[Job], *, n_jobs: int | None = None, backend: str | None = None
) -> Generator[tuple[int, Answer | Lost], None, None]:
    """Answers of independent jobs as they come, each with the number of its job.

    Args:
        function: found by its name in other processes; what it takes and returns is sent to and from them.
        jobs: what it is called with.
        n_jobs: how many at a time; -1 for one on each core. None for one, or for what ``joblib.parallel_config`` says;
            with a backend, for as many as that has.
        backend: name of a backend registered with joblib, such as ``"loky"``, ``"threading"``, ``"dask"`` or ``"ray"``;
            None for loky, or for what ``joblib.parallel_config`` says.

    Raises:
        OptionError: if joblib or the backend is missing.
    """
    check_jobs(n_jobs, backend)
    waiting = deque(enumerate(jobs))
    if _alone(n_jobs, backend):
        for number, job in waiting:
            yield number, _answered(function, job)
        return
    engine = _Engine(n_jobs, backend)
    with _one_thread():
        while waiting:
            given: dict[int, Job] = {}
            lost = ""
            try:
                with contextlib.closing(engine.run(function, _fed(waiting, given))) as answers:
                    for number, answer in answers:
                        del given[number]
                        yield number, answer
            except Exception as error:
                # A process was killed, or an answer could not be sent: the job that caused it is one of these.
                lost = _why(error)
            for number, job in given.items():
                yield number, engine.run_alone(function, job, lost)


def _alone(n_jobs: int | None, backend: str | None) -> bool:
    """Whether jobs run one after another in this process, without joblib."""
    # Who has not imported joblib cannot have configured it.
    return backend is None and (n_jobs == 1 or (n_jobs is None and "joblib" not in sys.modules))


def _fed(waiting: deque[tuple[int, Job]], given: dict[int, Job]) -> Iterator[tuple[int, Job]]:
    """The jobs that wait, each noted as given away."""
    while waiting:
        number, job = waiting.popleft()
        given[number] = job
        yield number, job


class _Engine:
    """joblib, set up for one run."""

    def __init__(self, n_jobs: int | None, backend: str | None) -> None:
        import joblib

        _register(backend)
        # Only this way joblib finds Dask's backend, which it does not register before it is asked for it.
        self._config = {} if backend is None else {"backend": backend, "n_jobs": -1 if n_jobs is None else n_jobs}
        # One at a time, so that an answer does not wait for the others of its batch.
        self._options: dict[str, Any] = {"batch_size": 1} | ({} if n_jobs is None else {"n_jobs": n_jobs})
        try:
            self._made()
            with joblib.parallel_config(**self._config):
                self.count = int(joblib.effective_n_jobs(n_jobs))
        except (ImportError, ValueError) as error:
            raise OptionError(
                f"joblib cannot use the backend {quoted(backend)}: {reason(error)}; register it first, or choose loky"
            ) from None
        self._call = joblib.delayed(_numbered)
        try:
            self._made(return_as="generator_unordered")
            self.streams = True
        except ValueError:
            # Ray's backend gives no answers before all are there.
            self.streams = False

    def _made(self, **more: Any) -> Any:
        """What runs jobs."""
        import joblib

        with joblib.parallel_config(**self._config):
            return joblib.Parallel(**self._options, **more)

    def run(
        self, function: Callable[[Job], Answer], jobs: Iterator[tuple[int, Job]]
    ) -> Generator[tuple[int, Answer | Lost], None, None]:
        """The answers of jobs, which are taken from the iterator as processes get free."""
        if self.streams:
            made = self._made(return_as="generator_unordered")
            answers = made(self._call(function, number, job, os.getpid()) for number, job in jobs)
            try:
                # Not "yield from", by which whoever closes this generator closes that of joblib.
                for answer in answers:  # noqa: UP028
                    yield answer
            finally:
                with warnings.catch_warnings():
                    # That jobs are given up.
                    warnings.simplefilter("ignore")
                    answers.close()
            return
        # Within the block processes stay; each would otherwise load its packages anew for every batch.
        with self._made() as made:
            while batch := list(itertools.islice(jobs, _BATCH * self.count)):
                yield from made(self._call(function, number, job, os.getpid()) for number, job in batch)

    def run_alone(self, function: Callable[[Job], Answer], job: Job, before: str) -> Answer | Lost:
        """The answer of a job that was lost together with others, while nothing else runs."""
        try:
            [(_, answer)] = self.run(function, iter([(0, job)]))
        except Exception as error:
            text = _why(error)
            return Lost(f"no answer came back ({text if text == before else f'{before}; again alone: {text}'})")
        found: Answer | Lost = answer
        return found


def _register(backend: str | None) -> None:
    """Make Ray's backend known to joblib, which knows Dask's by itself."""
    if backend == "ray" and importlib.util.find_spec("ray") is not None:
        from ray.util.joblib import register_ray

        register_ray()


def _numbered(function: Callable[[Job], Answer], number: int, job: Job, caller: int) -> tuple[int, Answer | Lost]:
    """What runs in a process; ``caller`` is the process that asks."""
    if os.getppid() == caller and not _WATCHING:
        _WATCHING.append(threading.Thread(target=_end_after, args=(caller,), daemon=True))
        _WATCHING[0].start()
    return number, _answered(function, job)


def _end_after(caller: int) -> None:
    """End this process when that which started it was killed: otherwise it would go on for minutes, for nobody."""
    while os.getppid() == caller:
        time.sleep(_LOOK)
    os._exit(1)


def _answered(function: Callable[[Job], Answer], job: Job) -> Answer | Lost:
    """One job on one thread."""
    with _one_thread():
        try:
            return function(job)
        except Exception as error:
            return Lost(reason(error))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch and for the libraries of NumPy, as far as they are loaded; afterwards as many as before."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 1
    with contextlib.ExitStack() as stack:
        if importlib.util.find_spec("threadpoolctl") is not None:
            from threadpoolctl import threadpool_limits

            with warnings.catch_warnings():
                # That two libraries of threads are loaded, which is nobody's choice here.
                warnings.simplefilter("ignore")
                stack.enter_context(threadpool_limits(1))
        if torch is not None:
            torch.set_num_threads(1)
            stack.callback(torch.set_num_threads, before)
        yield


@contextlib.contextmanager
def connected(backend: str | None, address: str | None, n_jobs: int) -> Iterator[None]:
    """A connection to a cluster of Dask or Ray within the block; nothing for other backends.

    Args:
        backend: ``"dask"`` or ``"ray"``.
        address: of the scheduler; None for workers on this machine.
        n_jobs: how many of these; -1 for one on each core.

    Raises:
        OptionError: if the package is missing, or nothing answers there.
    """
    if backend not in ("dask", "ray"):
        yield
        return
    module, package = ("distributed", "dask[distributed]") if backend == "dask" else ("ray", "ray[default]")
    if importlib.util.find_spec(module) is None:
        raise OptionError(f"the backend {backend} needs the package {module}; pip install '{package}' adds it")
    count = None if n_jobs == -1 else n_jobs
    with contextlib.ExitStack() as stack:
        try:
            if backend == "dask":
                from distributed import Client

                stack.enter_context(Client(address) if address else Client(n_workers=count, threads_per_worker=1))
            else:
                import ray

                ray.init(address=address, num_cpus=None if address else count, log_to_driver=False)
                stack.callback(ray.shutdown)
        except (OSError, RuntimeError, ValueError) as error:
            place = quoted(address) if address else "this machine"
            raise OptionError(
                f"no cluster of {backend} answers on {place}: {reason(error)}; check the address"
            ) from None
        yield


def close() -> None:
    """End the processes of loky, which otherwise wait some minutes for further jobs."""
    if "joblib" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        executor = get_reusable_executor(reuse=True)
        executor.shutdown(wait=True, kill_workers=True)
        if hasattr(executor, "terminate"):
            # That of joblib also has a folder for large arrays, which a process that ends at once would leave behind.
            executor.terminate(kill_workers=True)


def _why(error: Exception) -> str:
    """Why an answer was lost, as half a sentence."""
    if isinstance(error, BrokenExecutor):
        return "a process was ended, as the system does where memory is full"
    return reason(error)


__all__: Sequence[str] = ("Lost", "check_jobs", "close", "connected", "processes", "work_off")
