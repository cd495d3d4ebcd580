"""Memory of the studio's server over a long time of runs, each followed as a page follows it, and closed.

    nice -n 15 python -m benchmarks studio --minutes 60

``superpose studio`` is started as a process of its own. Four kinds of runs follow each other: the search for the law of
``examples/data/hello.csv``, a network trained on it and edited by hand, and both on ``examples/data/knots.csv``. A
stream of events is read for as long as a run goes on, and its pages are asked for what they show. A line is printed
every few minutes, with the resident memory of the server's process alone: engines end with their runs.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from superpose.deadline import Deadline

Json = dict[str, Any]

# Seconds of a search, and of silence after which a server is taken for dead; round numbers.
SEARCH, SILENCE = 20, 300
_KNOTS = {"target": "cusp_volume", "features": ["meridian_re", "meridian_im", "longitude", "volume", "chern_simons"]}
# What runs, again and again: a table, the kind of run, its options, and the steps by hand after it.
RUNS: Sequence[tuple[str, str, Json, Sequence[Json]]] = (
    ("hello.csv", "search", {"target": "f", "time_limit": SEARCH}, ()),
    (
        "hello.csv",
        "train",
        {"target": "f", "time_limit": SEARCH, "hidden": [5], "sparsity": 0.01},
        (
            {"verb": "straighten", "arguments": {}},
            {"verb": "prune", "arguments": {"threshold": 0.1}},
            {"verb": "refit", "arguments": {}},
        ),
    ),
    ("knots.csv", "search", {**_KNOTS, "time_limit": SEARCH}, ()),
    (
        "knots.csv",
        "train",
        {**_KNOTS, "time_limit": SEARCH, "hidden": [5]},
        ({"verb": "prune", "arguments": {"threshold": 0.05}},),
    ),
)
# What the pages ask of a run that is done.
ASKED: Sequence[Json] = (
    {"action": "network"},
    {"action": "history"},
    {"action": "formula"},
    {"action": "predict", "inputs": {}},
)


class Page:
    """The server, asked as a page does.

    Args:
        address: that the server printed, with its key.
    """

    def __init__(self, address: str) -> None:
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/\?token=.+)", address)
        if found is None:
            raise SystemExit(f"no address of a studio: {address!r}")
        self.port = int(found[1])
        host = f"127.0.0.1:{self.port}"
        self.headers = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json"}
        connection = self._sent("GET", found[2], None)
        self.headers["Cookie"] = (connection.getheader("Set-Cookie") or "").partition(";")[0]
        connection.read()

    def _sent(self, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SILENCE)
        connection.request(method, path, body, self.headers)
        return connection.getresponse()

    def post(self, path: str, content: Json) -> Json:
        """The answer to a request; a mistake is an answer too."""
        with self._sent("POST", path, json.dumps(content).encode()) as answer:
            found: Json = json.loads(answer.read())
            return found

    def finished(self, run: str) -> str:
        """How a run ended; its events are read until then."""
        with self._sent("GET", f"/api/events?run={run}", None) as answer:
            kind = ""
            while line := answer.readline().decode():
                if line.startswith("event: "):
                    kind = line[7:].strip()
                elif line.startswith("data: ") and kind == "run":
                    status = json.loads(line[6:]).get("status")
                    if status in ("done", "failed", "dead"):
                        return str(status)
        raise SystemExit("the stream of events ended")


def memory(process: int) -> float:
    """Resident memory of a process in MB."""
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
    return int(found.stdout) / 1024


@dataclass
class Counts:
    """What was done: runs, those of them that failed, and requests that were answered by a mistake."""

    runs: int = 0
    failed: int = 0
    mistakes: int = 0


def one_run(page: Page, tables: dict[str, str], number: int, counts: Counts) -> None:
    """Start a run, follow it, ask for what its pages show, and close it."""
    name, kind, options, steps = RUNS[number % len(RUNS)]
    run = page.post("/api/runs", {"table": tables[name], "kind": kind, "options": options})["id"]
    counts.runs += 1
    counts.failed += page.finished(run) != "done"
    edge: list[int] = []
    for id, request in enumerate([*({"action": "do", "step": step} for step in steps), *ASKED]):
        answer = page.post(f"/api/runs/{run}/network", {"id": id, **request})
        if "error" in answer or "mistake" in answer:
            counts.mistakes += 1
            print(f"{name}, {kind}, {request}: {answer}", flush=True)
        elif request["action"] == "network":
            edge = answer["network"]["edges"][0]["edge"]
    page.post(f"/api/runs/{run}/network", {"id": 99, "action": "edge", "edge": edge})
    page.post(f"/api/runs/{run}", {"action": "close"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studio for some minutes, and print its memory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks studio", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long runs follow each other (default 60)")
    parser.add_argument("--every", type=float, default=5, help="minutes between two lines (default 5)")
    given = parser.parse_args(arguments)
    command = [sys.executable, "-m", "superpose", "studio", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            page = Page(server.stdout.readline().split()[-1])
            names = sorted({name for name, *_ in RUNS})
            tables = {name: str(page.post("/api/examples", {"name": name})["id"]) for name in names}
            counts, taken = Counts(), Deadline(None)
            print("minutes  runs  server MB")
            first = memory(server.pid)
            print(f"{0:7.1f}  {0:4d}  {first:9.1f}", flush=True)
            line = Deadline(60 * given.every)
            for number in itertools.count():
                one_run(page, tables, number, counts)
                over = taken.elapsed() >= 60 * given.minutes
                if line.passed() or over or number + 1 == len(RUNS):
                    line = Deadline(60 * given.every) if line.passed() else line
                    print(f"{taken.elapsed() / 60:7.1f}  {counts.runs:4d}  {memory(server.pid):9.1f}", flush=True)
                if over:
                    break
            grown = memory(server.pid) - first
            print(f"grown by {grown:.1f} MB; {counts.failed} runs failed, {counts.mistakes} requests had no answer")
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
    return int(counts.failed > 0)
