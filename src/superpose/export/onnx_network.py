"""A network as an ONNX file of standard operators."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from superpose.atomic_write import write_atomically
from superpose.export.onnx_curves import curve_sums
from superpose.export.onnx_graph import FAR, IR_VERSION, OPSET, Graph, required_onnx
from superpose.export.tables import LayerTable, NetworkTable, PolynomialTable, cut_points, network_table
from superpose.nn.likelihood import GAUSSIAN_EDGE, Head
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import argument


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
    ...     os.listdir(folder)
    ['model.onnx']
    """
    package = required_onnx()
    table = _in_units_of_the_target(network_table(model))
    graph = Graph()
    x = "x"
    if np.any(table.input_center != 0) or np.any(table.input_scale != 1):
        x = graph.affine(x, table.input_center, table.input_scale)
    for layer in table.layers:
        x = _layer(graph, layer, x)
    if not np.any(table.output_center != 0) and not np.any(table.output_scale != 1):
        graph.nodes[-1].output[0] = "y"
    elif len(table.target_names) == 1:
        # A product of matrices, which is faster than a sum with a single number for each row.
        graph.add("Gemm", x, graph.constant(table.output_scale[None]), graph.constant(table.output_center), output="y")
    else:
        # An output that is undefined leaves the others alone.
        x = graph.add("Mul", x, graph.constant(table.output_scale))
        graph.add("Add", x, graph.constant(table.output_center), output="y")
    if table.head is not None:
        _classes(graph, table.head, "y")
    write_atomically(path, _finished(package, graph, table).SerializeToString())


def _in_units_of_the_target(table: NetworkTable) -> NetworkTable:
    """The same network without scaling of its outputs, which the last layer does instead if it can do it exactly."""
    last = table.layers[-1]
    center, scale = table.output_center, table.output_scale
    led = [next((i for i, curve in enumerate(last.curves) if curve and o in curve[0]), None) for o in range(last.sums)]
    # Sums that grow upon a large number would lose digits.
    exact = all(arity == 1 for arity in last.arities) and np.all(np.abs(center) <= FAR * np.abs(scale))
    if not exact or any(i is None and c != 0 for i, c in zip(led, center, strict=True)):
        return table
    curves: list[tuple[tuple[int, ...], PolynomialTable] | None] = []
    for i, curve in enumerate(last.curves):
        if curve is not None:
            sums = list(curve[0])
            coefficients = curve[1].coefficients * scale[sums, None]
            coefficients[:, :, 0] += np.where([led[o] == i for o in sums], center[sums], 0.0)
            curve = curve[0], replace(curve[1], coefficients=coefficients)
        curves.append(curve)
    symbolic = []
    for entry in last.symbolic:
        a, b, c, d = entry.constants
        symbolic.append(replace(entry, constants=(a, b, c * scale[entry.sum], d * scale[entry.sum])))
    silu = None if last.silu is None else last.silu * scale
    layer = replace(last, curves=tuple(curves), silu=silu, symbolic=tuple(symbolic))
    layers = (*table.layers[:-1], layer)
    return replace(table, layers=layers, output_center=np.zeros_like(center), output_scale=np.ones_like(scale))


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
    sums = curve_sums(graph, layer, x)
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
