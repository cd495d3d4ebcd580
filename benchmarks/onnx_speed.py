"""Measures exported networks in onnxruntime beside MLPs of as many parameters, in the same run.

    python -m benchmarks onnx                  all networks, at 1 to 10,000 rows
    python -m benchmarks onnx --repeats 20     fewer runs of each

Each network is exported by ``superpose.export.onnx``. The MLP has as many hidden layers (one at least), all of one
width, tanh between them, and at least as many parameters; it is written by hand as products of matrices. Both run in
turns on one thread, and the fastest of the repeats counts. Prints a table for a page.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from superpose.errors import OptionError
from superpose.export import onnx
from superpose.export.onnx_graph import IR_VERSION, OPSET, required_onnx
from superpose.nn import KAN

# Widths and grid size, from a formula-sized network to fine grids and wide layers.
NETWORKS: tuple[tuple[list[int], int], ...] = (
    ([2, 5, 1], 5),
    ([4, 10, 1], 20),
    ([10, 10, 1], 20),
    ([4, 16, 16, 1], 10),
    ([20, 20, 5], 5),
    ([8, 1], 50),
    ([2, 5, 1], 200),
)
ROWS = (1, 100, 1000, 10_000)
# From so many rows on a call takes longer than reading the clock of the processor.
_LONG = 1000


def main(arguments: Sequence[str]) -> int:
    """Run the program; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks onnx", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100, help="runs of each at 1,000 rows; the fastest counts")
    parser.add_argument("--only", type=int, nargs="*", help="networks of the list, by their number from 0")
    options = parser.parse_args(arguments)
    try:
        import onnxruntime
    except ImportError:
        raise OptionError("the benchmark needs onnxruntime; pip install onnxruntime") from None
    print(f"{platform.machine()}, onnxruntime {onnxruntime.__version__}, one thread, {options.repeats} repeats\n")
    print(f"| widths | grid | parameters | MLP | {' | '.join(f'{rows:,} rows' for rows in ROWS)} |")
    print("|---" * (4 + len(ROWS)) + "|")
    for n, (widths, grid_size) in enumerate(NETWORKS):
        if options.only and n not in options.only:
            continue
        print(_row(onnxruntime, widths, grid_size, options.repeats), flush=True)
    return 0


def _row(runtime: Any, widths: list[int], grid_size: int, repeats: int) -> str:
    """One line of the table: milliseconds of the network and of the MLP, and their ratio."""
    model = KAN(widths, grid_size=grid_size, seed=0)
    peer = mlp_widths(widths, model.parameter_count())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx(model, path)
        sessions = [_session(runtime, path.read_bytes()), _session(runtime, mlp(peer))]
    cells = []
    for rows in ROWS:
        own, other = _milliseconds(
            sessions,
            rows,
            widths[0],
            max(3, 10 * repeats if rows < _LONG else repeats if rows < 10_000 else repeats // 5),
        )
        cells.append(f"{own:.3f} / {other:.3f} = {own / other:.1f}")
    return f"| {widths} | {grid_size} | {model.parameter_count():,} | {peer} | {' | '.join(cells)} |"


def mlp_widths(widths: Sequence[int], parameters: int) -> list[int]:
    """Widths of the smallest MLP of equal hidden layers with at least as many parameters.

    >>> mlp_widths([2, 5, 1], 135)
    [2, 34, 1]
    """
    hidden = 0
    while True:
        hidden += 1
        found = [widths[0], *[hidden] * max(1, len(widths) - 2), widths[-1]]
        if sum((before + 1) * after for before, after in itertools.pairwise(found)) >= parameters:
            return found


def mlp(widths: Sequence[int]) -> bytes:
    """An MLP with random weights as an ONNX file."""
    package = required_onnx()
    generator, helper = numpy.random.default_rng(0), package.helper
    nodes, constants, at = [], [], "x"
    for n, (before, after) in enumerate(itertools.pairwise(widths)):
        for name, shape in ((f"w{n}", (before, after)), (f"b{n}", (after,))):
            values = generator.standard_normal(shape).astype(numpy.float32)
            constants.append(package.numpy_helper.from_array(values, name))
        last = n == len(widths) - 2
        nodes.append(helper.make_node("Gemm", [at, f"w{n}", f"b{n}"], ["y" if last else f"z{n}"]))
        if not last:
            nodes.append(helper.make_node("Tanh", [f"z{n}"], [f"h{n}"]))
        at = f"h{n}"
    kind = package.TensorProto.FLOAT
    x = helper.make_tensor_value_info("x", kind, ["rows", widths[0]])
    y = helper.make_tensor_value_info("y", kind, ["rows", widths[-1]])
    graph = helper.make_graph(nodes, "mlp", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    data: bytes = model.SerializeToString()
    return data


def _session(runtime: Any, data: bytes) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _milliseconds(sessions: Sequence[Any], rows: int, inputs: int, repeats: int) -> list[float]:
    """The fastest run of each session.

    The sessions take turns, so that a busy moment of the machine hits all. Long calls are measured in time of the
    thread on its processor, since they are interrupted where other programs run; reading that clock would be a tenth of
    a short call.
    """
    x = numpy.random.default_rng(1).standard_normal((rows, inputs)).astype(numpy.float32)
    clock = time.thread_time if rows >= _LONG else time.perf_counter
    best = [float("inf")] * len(sessions)
    for _ in range(repeats):
        for n, session in enumerate(sessions):
            began = clock()
            session.run(None, {"x": x})
            best[n] = min(best[n], 1e3 * (clock() - began))
    return best
