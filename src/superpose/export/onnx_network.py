"""A network as an ONNX file of standard operators.

A curve is a sum over the intervals of its grid. With ``u_p = clip((x - centre_p) * scale_p, -1, 1)``, which stands
still outside the interval ``p``, a continuous piecewise polynomial is a constant plus the sum over ``p`` of polynomials
in ``u_p``: the clipped variables and their powers are computed for all intervals at once, and matrix products add them
up for all curves. No interval has to be looked up. In float32 each polynomial has a variable from -1 to 1 and
contributes no more than the change of the curve in its interval, so nothing large cancels. Jumps, as splines of degree
0 have them, are steps at the ends of the intervals.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from superpose.atomic_write import write_atomically
from superpose.export.onnx_graph import IR_VERSION, OPSET, Graph, required_onnx
from superpose.export.tables import LayerTable, NetworkTable, PolynomialTable, cut_points, network_table
from superpose.nn.likelihood import GAUSSIAN_EDGE, Head
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import argument

# A jump between two intervals below this share of the curve's largest coefficient is rounding, far below float32.
_ROUNDING = 1e-9


def onnx(model: KAN, path: str | os.PathLike[str]) -> None:
    """Write a network to an ONNX file.

    The file takes ``x [N, n_in]`` in float32 in the user's units, columns in the order of ``model.feature_names``, and
    gives ``y [N, n_out]``, for any ``N``. A classifier also gives ``probabilities [N, K]`` and ``label [N]``, a text.
    The names of the columns are in the file's metadata. Only standard operators of version 18 are used.

    Args:
        model: any, with splines, symbolic edges, products and a head. It computes in float32 in the file.
        path: the file; one that is there already is replaced once the new one is complete.

    Raises:
        OptionError: if onnx is not installed, if the model holds a NaN, or a function that is no standard operator.
        FileError: if the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     onnx(KAN([2, 3, 1]), f"{folder}/model.onnx")
    ...     len(open(f"{folder}/model.onnx", "rb").read()) > 1000
    True
    """
    package = required_onnx()
    table = network_table(model)
    graph = Graph()
    x = "x"
    if np.any(table.input_center != 0):
        x = graph.add("Sub", x, graph.constant(table.input_center))
    if np.any(table.input_scale != 1):
        x = graph.add("Div", x, graph.constant(table.input_scale))
    for layer in table.layers:
        x = _layer(graph, layer, x)
    x = graph.add("Mul", x, graph.constant(table.output_scale))
    graph.add("Add", x, graph.constant(table.output_center), output="y")
    if table.head is not None:
        _classes(graph, table.head, "y")
    write_atomically(path, _finished(package, graph, table).SerializeToString())


def _finished(package: Any, graph: Graph, table: NetworkTable) -> Any:
    """The model of a graph, checked."""
    helper, kinds = package.helper, package.TensorProto
    inputs, outputs = len(table.feature_names), len(table.target_names)
    results = [helper.make_tensor_value_info("y", kinds.FLOAT, ["rows", outputs])]
    facts = {"features": json.dumps(table.feature_names), "targets": json.dumps(table.target_names)}
    if table.head is not None:
        classes = len(table.head.classes)
        results.append(helper.make_tensor_value_info("probabilities", kinds.FLOAT, ["rows", classes]))
        results.append(helper.make_tensor_value_info("label", kinds.STRING, ["rows"]))
        facts["classes"] = json.dumps(table.head.classes)
    made = helper.make_graph(
        graph.nodes,
        "superpose",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["rows", inputs])],
        results,
        graph.initializers,
    )
    versions = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=versions, ir_version=IR_VERSION, producer_name="superpose")
    helper.set_model_props(model, facts)
    package.checker.check_model(model)
    return model


def _layer(graph: Graph, layer: LayerTable, x: str) -> str:
    """The nodes ``[N, O]`` of a layer at ``x [N, I]``."""
    sums = _splines(graph, layer, x)
    if layer.silu is not None:
        sums = graph.product(graph.add("Mul", x, graph.add("Sigmoid", x)), layer.silu, sums)
    if layer.symbolic:
        symbolic = _symbolic(graph, layer, x)
        sums = symbolic if sums is None else graph.add("Add", sums, symbolic)
    if sums is None:
        sums = graph.add("MatMul", x, graph.constant(np.zeros((layer.inputs, layer.sums))))
    return sums if all(arity == 1 for arity in layer.arities) else _products(graph, layer.arities, sums)


def _products(graph: Graph, arities: Sequence[int], sums: str) -> str:
    """The nodes of sums ``[N, S]``: neighbours of equal arity are multiplied together."""
    groups = [(arity, len(list(same))) for arity, same in itertools.groupby(arities)]
    parts = graph.split(sums, [arity * count for arity, count in groups])
    for n, (arity, count) in enumerate(groups):
        if arity > 1:
            apart = graph.add("Reshape", parts[n], graph.constant([-1, count, arity], np.int64))
            parts[n] = graph.add("ReduceProd", apart, graph.constant([2], np.int64), keepdims=0)
    return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)


def _splines(graph: Graph, layer: LayerTable, x: str) -> str | None:
    """The sums ``[N, S]`` of the curves of a layer; None if it has none."""
    found = [(i, *curve) for i, curve in enumerate(layer.curves) if curve is not None]
    if not found:
        return None
    degree = max(table.coefficients.shape[2] for _, _, table in found) - 1
    pieces = sum(len(table.ends) - 1 for _, _, table in found)
    place, shift = np.zeros((layer.inputs, pieces)), np.zeros(pieces)
    weights = np.zeros((degree, pieces, layer.sums))
    low, high = np.zeros(layer.inputs), np.zeros(layer.inputs)
    outside = np.zeros((2, layer.inputs, layer.sums))
    constant = np.zeros(layer.sums)
    steps: list[tuple[int, float, np.ndarray]] = []
    at = 0
    for i, sums, table in found:
        own, chosen = slice(at, at + len(table.ends) - 1), list(sums)
        place[i, own] = table.scales[1:-1]
        shift[own] = -table.centres[1:-1] * table.scales[1:-1]
        for power in range(1, table.coefficients.shape[2]):
            weights[power - 1][own, chosen] = table.coefficients[1:-1, :, power]
        low[i], high[i] = table.ends[0], table.ends[-1]
        slopes = table.coefficients[[0, -1], :, 1] * table.scales[[0, -1], None]
        outside[0, i, chosen], outside[1, i, chosen] = slopes[0], slopes[1] - slopes[0]
        start, jumps = _start_and_jumps(table)
        constant[chosen] += start
        for n, jump in jumps:
            wide = np.zeros(layer.sums)
            wide[chosen] = jump
            steps.append((i, float(table.ends[n]), wide))
        at = own.stop
    u = graph.add("Gemm", x, graph.constant(place), graph.constant(shift))
    u = graph.add("Clip", u, graph.constant(-1.0), graph.constant(1.0))
    total = graph.product(u, weights[0], graph.constant(constant))
    raised = u
    for matrix in weights[1:]:
        raised = graph.add("Mul", raised, u)
        total = graph.product(raised, matrix, total)
    # Beyond the ends; x less itself clipped is NaN where x is, and so is every curve of it.
    inside = graph.add("Max", graph.add("Min", x, graph.constant(high)), graph.constant(low))
    beyond = graph.add("Sub", x, inside)
    both = graph.add("Concat", beyond, graph.add("Relu", beyond), axis=1)
    total = graph.product(both, outside.reshape(2 * layer.inputs, layer.sums), total)
    if steps:
        inputs, ends, heights = (list(part) for part in zip(*steps, strict=True))
        passed = graph.add("GreaterOrEqual", graph.columns(x, inputs), graph.constant(ends))
        total = graph.product(graph.add("Cast", passed, to=1), np.array(heights), total)
    return total


def _start_and_jumps(table: PolynomialTable) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """What the sum over all intervals lacks ``[S]``, and the jumps ``[S]`` at ends, by the number of the end."""
    inner = table.coefficients[1:-1]
    signs = (-1.0) ** np.arange(inner.shape[2])
    left, right = inner @ signs, inner.sum(2)
    # At the left end every clipped variable is -1.
    start = left[0] - (inner[:, :, 1:] @ signs[1:]).sum(0)
    jumps = left[1:] - right[:-1]
    limit = _ROUNDING * np.abs(inner).max(initial=1e-300)
    return start, [(n + 1, jump) for n, jump in enumerate(jumps) if bool((np.abs(jump) > limit).any())]


def _symbolic(graph: Graph, layer: LayerTable, x: str) -> str:
    """The sums ``[N, S]`` of the symbolic edges of a layer; an edge that is undefined leaves other sums alone."""
    kinds: dict[str, list[int]] = {}
    for n, entry in enumerate(layer.symbolic):
        kinds.setdefault(entry.function.name, []).append(n)
    values = []
    for places in kinds.values():
        entries = [layer.symbolic[n] for n in places]
        a, b, c, d = (graph.constant(column) for column in zip(*(one.constants for one in entries), strict=True))
        inner = graph.columns(x, [one.source for one in entries])
        inner = graph.add("Add", graph.add("Mul", inner, a), b)
        expression = entries[0].function.expression
        value = graph.expression(expression, argument(), inner)
        if expression.is_number:
            value = graph.add("Add", graph.zeros(inner), value)
        values.append(graph.add("Add", graph.add("Mul", value, c), d))
    order = [n for places in kinds.values() for n in places]
    wanted = sorted(range(len(order)), key=lambda n: layer.symbolic[order[n]].sum)
    joined = values[0] if len(values) == 1 else graph.add("Concat", *values, axis=1)
    joined = joined if wanted == sorted(wanted) else graph.columns(joined, wanted)
    counts = [sum(entry.sum == o for entry in layer.symbolic) for o in range(layer.sums)]
    if all(count == 1 for count in counts):
        return joined
    parts = iter(graph.split(joined, [count for count in counts if count]))
    totals = []
    for count in counts:
        if count == 0:
            totals.append(graph.zeros(graph.columns(x, [0])))
        else:
            axes = graph.constant([1], np.int64)
            totals.append(next(parts) if count == 1 else graph.add("ReduceSum", next(parts), axes, keepdims=1))
    return totals[0] if len(totals) == 1 else graph.add("Concat", *totals, axis=1)


def _classes(graph: Graph, head: Head, y: str) -> None:
    """The outputs ``probabilities`` and ``label`` of scores ``y [N, n_scores]``."""
    if head.kind == "softmax":
        graph.add("Softmax", y, axis=-1, output="probabilities")
        index = graph.add("ArgMax", y, axis=1, keepdims=0)
    elif head.kind == "ordinal":
        cuts, scale = graph.constant(cut_points(head)), graph.constant(head.scale)
        below = graph.add("Sigmoid", graph.add("Div", graph.add("Sub", cuts, y), scale))
        zeros = graph.zeros(y)
        upper = graph.add("Concat", below, graph.add("Add", zeros, graph.constant(1.0)), axis=1)
        graph.add("Sub", upper, graph.add("Concat", zeros, below, axis=1), output="probabilities")
        passed = graph.add("Cast", graph.add("Greater", y, cuts), to=7)
        index = graph.add("ReduceSum", passed, graph.constant([1], np.int64), keepdims=0)
    else:
        if head.kind == "sigmoid":
            pair = graph.add("Sigmoid", graph.add("Neg", y)), graph.add("Sigmoid", y)
            second = graph.add("Greater", y, graph.constant(0.0))
        else:
            # 1 - exp(-g^2) = 2 t / (1 + t) with t = tanh(g^2 / 2), which keeps its digits where g is small.
            square = graph.add("Mul", y, y)
            t = graph.add("Tanh", graph.add("Mul", square, graph.constant(0.5)))
            above = graph.add("Mul", t, graph.constant(2.0))
            first = graph.add("Div", above, graph.add("Add", t, graph.constant(1.0)))
            pair = first, graph.add("Exp", graph.add("Neg", square))
            second = graph.add("Less", graph.add("Abs", y), graph.constant(GAUSSIAN_EDGE))
        graph.add("Concat", *pair, axis=1, output="probabilities")
        index = graph.add("Squeeze", graph.add("Cast", second, to=7), graph.constant([1], np.int64))
    undefined = graph.add("Cast", graph.add("IsNaN", y), to=1)
    undefined = graph.add("ReduceMax", undefined, graph.constant([1], np.int64), keepdims=0)
    index = graph.add("Where", graph.add("Cast", undefined, to=9), graph.constant(len(head.classes), np.int64), index)
    graph.add("Gather", graph.constant([*head.classes, ""], object), index, output="label")
