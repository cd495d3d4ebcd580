"""Separate processes that work off tasks, so that one that crashes or hangs costs its own result and nothing else.

Run as a program, this module is such a process: it reads tasks as lines of JSON and answers each with one line.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import benchmarks
from superpose import parallel

Task = dict[str, Any]

# Seconds within which a process has loaded what it needs, on a busy machine too.
_LOADING = 180.0
# Libraries read these when they are loaded: separate processes share the cores, and each uses one.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def work_off(
    tasks: Sequence[Task],
    module: str,
    *,
    jobs: int,
    limit: float,
    started: Callable[[Task], None],
    done: Callable[[Task, Any, str], None],
) -> None:
    """Let processes work off tasks, as many at a time as there are jobs.

    :func:`superpose.parallel.work_off` distributes the tasks among threads; each thread waits for a process of its own,
    which it can end, as joblib could not: a peer that hangs is ended at its limit.

    Args:
        tasks: ready for JSON.
        module: its function ``answer(task)``, which runs in the processes, gives the answer, ready for JSON.
        jobs: how many processes.
        limit: seconds for a task, after which its process is ended.
        started: called with each task as a process gets it.
        done: called with the task and its answer and an empty text, or None and a sentence on why there is none.
    """
    processes = _Processes(tasks, module, limit, started)
    found = parallel.work_off(processes.work, range(len(tasks)), n_jobs=jobs, backend="threading" if jobs > 1 else None)
    try:
        for _, answer in found:
            if isinstance(answer, parallel.Lost):
                raise RuntimeError(answer.reason)
            done(*answer)
    finally:
        # First the processes: threads wait for them.
        processes.end()
        found.close()


class _Processes:
    """The processes, and the tasks that wait for one."""

    def __init__(self, tasks: Sequence[Task], module: str, limit: float, started: Callable[[Task], None]) -> None:
        self.waiting, self.module, self.limit, self.started = iter(tasks), module, limit, started
        self.all: list[_Worker] = []
        self.idle: list[_Worker] = []
        self.over = False
        self._lock = threading.Lock()

    def work(self, number: int) -> tuple[Task, Any, str]:
        """The next task, its answer, and why there is none; called by several threads."""
        with self._lock:
            # Tasks begin in their order, whichever thread comes first.
            task = next(self.waiting)
            if self.over:
                return task, None, "the run is over"
            worker = self.idle.pop() if self.idle else self._new()
            self.started(task)
        answer, reason = worker.answer(task, self.limit)
        with self._lock:
            if reason:
                worker.end()
            else:
                self.idle.append(worker)
        return task, answer, reason

    def end(self) -> None:
        """End all processes; no further one begins."""
        with self._lock:
            self.over = True
            for worker in self.all:
                worker.end()

    def _new(self) -> _Worker:
        worker = _Worker(self.module)
        self.all.append(worker)
        return worker


class _Worker:
    """One process, and the task that it works on."""

    def __init__(self, module: str) -> None:
        # The package may have been found in a way that a new process does not know of.
        found = str(Path(benchmarks.__file__).parents[1])
        path = os.pathsep.join([found, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.harness.workers", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path} | dict.fromkeys(_ONE_THREAD, "1"),
            # Ctrl-C is the parent's to answer.
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout.fileno()
        self.ready, self._pending = False, b""

    def answer(self, task: Task, limit: float) -> tuple[Any, str]:
        """The answer to a task and an empty text, or None and a sentence on why there is none.

        A process says first that it is ready, and from then on its time counts.
        """
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.input.write((json.dumps(task) + "\n").encode())
            self.input.flush()
        if not self.ready:
            _, reason = self._line(_LOADING)
            if reason:
                return None, reason
            self.ready = True
        return self._line(limit)

    def _line(self, seconds: float) -> tuple[Any, str]:
        """The next line of the process as JSON, or why none came in time."""
        began = time.monotonic()
        while b"\n" not in self._pending:
            left = began + seconds - time.monotonic()
            if left <= 0:
                return None, f"it was ended after {time.monotonic() - began:.0f} s"
            try:
                if not select.select([self.output], [], [], left)[0]:
                    continue
                data = os.read(self.output, 1 << 16)
            except (OSError, ValueError):
                # It was ended meanwhile.
                data = b""
            if not data:
                return None, self.last_words()
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line), ""

    def last_words(self) -> str:
        status = self.process.wait()
        return f"its process ended by signal {-status}" if status < 0 else f"its process ended with status {status}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.input.close()
        if self.process.stdout:
            self.process.stdout.close()


@contextlib.contextmanager
def _private_output() -> Iterator[TextIO]:
    """Where answers are written; whatever else is printed, by compiled code too, goes nowhere."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers, open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        yield answers


def main() -> None:
    """Answer tasks until there are no more, by the function ``answer`` of the module that the command line names."""
    answer_to = importlib.import_module(sys.argv[1]).answer
    with _private_output() as answers:
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            answer = answer_to(json.loads(line))
            print(json.dumps(answer, allow_nan=False), file=answers, flush=True)


if __name__ == "__main__":
    main()
