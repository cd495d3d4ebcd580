"""Peak memory of one training step, in a process of its own.

The process does this:

1. imports, sets the threads, and makes one step with a tiny layer, so that libraries have loaded their code, started
   their threads and taken their workspaces. What is compiled for its shape (inkan, flashkan, jaxkan) makes this step
   with the full layer instead, since a compiler's own memory is not the layer's; that step is freed before going on.
2. sets the system's high-water mark back to what is in use now (Linux: 5 into ``/proc/self/clear_refs``). Otherwise the
   imports' own peak would hide that of the layer. ``ru_maxrss`` now is the baseline.
3. makes the layer, its input and the gradient at its output: ``ru_maxrss`` less the baseline is ``layer``.
4. makes one step: forward and backward with the gradient to the input, with AdamW or without. ``ru_maxrss`` less the
   baseline is ``peak``.

The bound of the target is counted from the baseline too: parameters, gradients and 6 x batch x (in + out) numbers,
within which the input, the gradient at the output, the output and the gradient to the input have their place. AdamW's
two moments are added where there is AdamW.
"""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.kernels.cases import GRADIENTS, STEP, Contender, LayerCase

COMPILED = ("inkan", "flashkan", "jaxkan")
# A copy of the mark may linger from the process that started this one; more than this above what is in use is wrong.
CLEAN_WITHIN_BYTES = 2**20


def bound_bytes(case: LayerCase, measure: str) -> int:
    """Parameters, gradients, AdamW's moments if any, and six times the numbers that go in and out."""
    copies = 4 if measure == STEP else 2
    return case.item_size * (copies * case.parameters + 6 * case.batch * (case.inputs + case.outputs))


def high_water_bytes() -> int:
    mark = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return mark if sys.platform == "darwin" else 1024 * mark


def resident_bytes() -> int | None:
    file = Path("/proc/self/statm")
    return resource.getpagesize() * int(file.read_text().split()[1]) if file.exists() else None


def reset_high_water() -> bool:
    """Set the mark back to what is in use now; False where the system cannot."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def measure_step(contender: Contender, case: LayerCase, measure: str) -> dict[str, Any]:
    """What the fresh process does; see the head of this module."""
    tiny = replace(case, batch=32, inputs=16, outputs=64, grid=5)
    trial = contender.build(case if contender.name in COMPILED else tiny)
    with trial.inside():
        trial.call(measure)()
    del trial
    reset = reset_high_water()
    baseline, resident = high_water_bytes(), resident_bytes()
    trial = contender.build(case)
    layer = high_water_bytes()
    with trial.inside():
        trial.call(measure)()
    peak = high_water_bytes()
    clean = reset and resident is not None and baseline - resident < CLEAN_WITHIN_BYTES
    return {
        "baseline": baseline,
        "layer": layer - baseline,
        "peak": peak - baseline,
        "bound": bound_bytes(case, measure),
        "parameters": trial.parameters,
        "note": trial.note,
        "clean": clean,
    }


def in_fresh_process(arguments: list[str], name: str, case: LayerCase, measure: str) -> dict[str, Any]:
    """Run :func:`measure_step` in a new interpreter.

    It has to be started by a process that is itself small: Linux hands a parent's high-water mark on to its child.
    """
    job = json.dumps({"contender": name, "case": asdict(case), "measure": measure})
    command = [sys.executable, "-m", "benchmarks", "kernels", "--memory-job", job, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    about = {"contender": name, "measure": measure, **asdict(case)}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return about | {"failed": lines[-1] if lines else f"exit {done.returncode}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return about | result


def memory_cases(dtype: str) -> list[LayerCase]:
    """The target's case, and a coarse grid beside it."""
    return [LayerCase(1024, 128, 128, grid, dtype=dtype) for grid in (5, 100)]


def memory_measures() -> tuple[str, str]:
    return GRADIENTS, STEP
