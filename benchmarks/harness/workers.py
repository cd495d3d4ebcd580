"""Separate processes that work off tasks, so that one that crashes or hangs costs its own result and nothing else.

Run as a program, this module is such a process: it reads tasks as lines of JSON and answers each with one line.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import benchmarks

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

    Args:
        tasks: ready for JSON.
        module: its function ``answer(task)``, which runs in the processes, gives the answer, ready for JSON.
        jobs: how many processes.
        limit: seconds for a task, after which its process is ended.
        started: called with each task as a process gets it.
        done: called with the task and its answer and an empty text, or None and a sentence on why there is none.
    """
    waiting = iter(tasks)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        workers: dict[int, _Worker] = {}

        def give(worker: _Worker | None) -> None:
            """The next task to a process, a new one if there is none; an end to the process if there is no task."""
            task = next(waiting, None)
            if task is None:
                if worker is not None:
                    worker.end()
                return
            if worker is None:
                worker = _Worker(module)
                stack.callback(worker.end)
                workers[worker.output] = worker
                selector.register(worker.output, selectors.EVENT_READ)
            started(task)
            worker.give(task, limit)

        def take(worker: _Worker, answer: Any, reason: str) -> None:
            task = worker.task
            if reason:
                selector.unregister(worker.output)
                del workers[worker.output]
                worker.end()
            assert task is not None
            worker.task = None
            done(task, answer, reason)
            give(None if reason else worker)

        for _ in range(min(jobs, len(tasks))):
            give(None)
        while busy := [worker for worker in workers.values() if worker.task is not None]:
            nearest = min(worker.deadline for worker in busy)
            for key, _ in selector.select(max(0.0, nearest - time.monotonic())):
                worker = workers[key.fd]
                answers = worker.read(limit)
                if worker.ended:
                    take(worker, None, worker.last_words())
                for answer in answers:
                    take(worker, answer, "")
            for worker in [one for one in workers.values() if one.task and time.monotonic() > one.deadline]:
                take(worker, None, f"it was ended after {worker.seconds:.0f} s")


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
        self.task: Task | None = None
        self.ready, self.ended, self._pending = False, False, b""
        self.began = self.deadline = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def give(self, task: Task, limit: float) -> None:
        self.task, self.began = task, time.monotonic()
        self.deadline = self.began + (limit if self.ready else _LOADING)
        with contextlib.suppress(BrokenPipeError):
            self.input.write((json.dumps(task) + "\n").encode())
            self.input.flush()

    def read(self, limit: float) -> list[Any]:
        """Answers that have come. A process says first that it is ready, and from then on its time counts."""
        data = os.read(self.output, 1 << 16)
        self.ended = not data
        *lines, self._pending = (self._pending + data).split(b"\n")
        answers = [json.loads(line) for line in lines]
        if answers and not self.ready:
            self.ready, self.began = True, time.monotonic()
            self.deadline = self.began + limit
            del answers[0]
        return answers

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
