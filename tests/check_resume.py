"""Kill runs of ``superpose fit`` at random moments (SIGKILL), resume them, and compare with runs left alone.

By hand, since it takes minutes: ``python tests/check_resume.py --kills 10``. A run whose end depends on the clock may
end otherwise each time, so the time limit has to be one that the runs do not need.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy

from superpose.files import load

RUNS: dict[str, list[str]] = {
    "law": ["--target", "f"],
    "network": ["--target", "f", "--shape", "1,1"],
    "network alone": ["--target", "f", "--no-formula", "--parameters", "60"],
    "classes": ["--target", "class", "--features", "x,y", "--task", "classification", "--shape", "2,1"],
}


def tables(folder: Path) -> None:
    """One table for each run, from a fixed seed."""
    x, y = 2 * numpy.random.default_rng(0).random((2, 300)) - 1
    f = {"law": x + y**2, "network": numpy.exp(numpy.sin(numpy.pi * x) + y**2), "network alone": x * y, "classes": x}
    for name, values in f.items():
        # Some labels are wrong: of classes without any overlap the score has no largest likelihood.
        inside = (x**2 + y**2 < 0.5) != (numpy.random.default_rng(2).random(300) < 0.1)
        rows = zip(x, y, values, numpy.where(inside, "in", "out"), strict=True)
        lines = [f"{float(a)!r},{float(b)!r},{float(c)!r},{d}" for a, b, c, d in rows]
        (folder / f"{name}.csv").write_text("\n".join(["x,y,f,class", *lines]), encoding="utf-8")


def start(folder: Path, name: str, out: str, time_limit: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "superpose", "fit", f"{name}.csv", *RUNS[name], "--out", out, "--json", *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "SUPERPOSE_STRICT": "1"}
    command += ["--time-limit", time_limit]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def stages(folder: Path, out: str) -> int:
    return len(list((folder / out / "checkpoint").glob("[0-9]*.safetensors")))


def answer(folder: Path, out: str) -> tuple[dict[str, Any], numpy.ndarray]:
    points = 2 * numpy.random.default_rng(1).random((200, 2)) - 1
    model = load(folder / out / "model.safetensors")
    metrics = json.loads((folder / out / "metrics.json").read_text(encoding="utf-8"))
    return metrics, model.predict(points[:, : len(model.feature_names)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="of each run")
    parser.add_argument("--time-limit", default="120", help="of each run, in seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--runs", default=",".join(RUNS), help="some of these, with commas")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tables(folder)
        for name in options.runs.split(","):
            began = time.perf_counter()
            alone = start(folder, name, f"{name}-alone", options.time_limit)
            while alone.poll() is None and not stages(folder, f"{name}-alone"):
                time.sleep(0.02)
            # A short run takes most of its time for importing torch, and being killed then is no test.
            first = time.perf_counter() - began
            alone.communicate()
            seconds = time.perf_counter() - began
            metrics, values = answer(folder, f"{name}-alone")
            print(f"{name}: alone {seconds:.1f} s, {metrics['formula']}", flush=True)
            equal = resumed = 0
            worst = 0.0
            for number in range(options.kills):
                out, moment, killed = f"{name}-{number}", 0.0, False
                while not killed:
                    # On a machine whose load changes the run may be over before that.
                    moment = moments.uniform(0.9 * first, seconds)
                    run = start(folder, name, out, options.time_limit)
                    try:
                        run.communicate(timeout=moment)
                    except subprocess.TimeoutExpired:
                        run.send_signal(signal.SIGKILL)
                        run.communicate()
                        killed = True
                finished = stages(folder, out)
                again = start(folder, name, out, options.time_limit, "--resume")
                said = json.loads(again.communicate()[0])
                other, predicted = answer(folder, out)
                apart = float(numpy.abs(predicted - values).max() / numpy.abs(values).max())
                same = other["formula"] == metrics["formula"]
                left = (folder / out / "checkpoint").exists()
                equal, resumed, worst = equal + same, resumed + said["resumed"], max(worst, apart)
                print(
                    f"  killed after {moment:5.1f} s with {finished} stages, resumed: "
                    f"{said['resumed']}, same formula: {same}, predictions apart: {apart:.1e}, seconds "
                    f"{other['seconds']:.1f} of {metrics['seconds']:.1f}, checkpoint left: {left}",
                    flush=True,
                )
            print(
                f"{name}: {equal} of {options.kills} equal, {resumed} went on from a stage, worst {worst:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
