"""What is shown of the present state of a session, as numbers and texts that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from superpose.data import Dataset
from superpose.export import code
from superpose.formulas.expressions.formula import Formula
from superpose.nn.model import KAN
from superpose.studio.edge_panel import edge_panel
from superpose.studio.formula_panel import formula_of, formula_panel
from superpose.studio.history import State, Tree
from superpose.studio.network_numbers import network_numbers
from superpose.studio.prediction import calibrated, prediction

# Values that are kept: an edge close up is some 30 kB, so that all of them are a few megabytes. A round number.
_MOST_KEPT = 100


class Shown:
    """The reading half of a session; :class:`superpose.studio.Session` adds what changes it."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.tree = Tree()
        self._in_training: KAN | None = None
        # What takes long to compute, by what it is and its state.
        self._kept: dict[tuple[Any, ...], Any] = {}

    def network(self) -> dict[str, Any]:
        """The diagram: nodes and edges with their places, curves, functions and scores.

        Within a listener of :meth:`do` it is that of the network in training.
        """
        if self._in_training is not None:
            return network_numbers(self._in_training, self.data, live=True)
        found: dict[str, Any] = self._once(
            ("network", self.tree.current), lambda: network_numbers(self.tree.state.model, self.data)
        )
        return found

    def edge(self, edge: Sequence[int], *, candidates: bool = True) -> dict[str, Any]:
        """One edge close up: its curve, slope, band of two standard errors, knots, density of the rows, candidates.

        Args:
            edge: ``(layer, input, output)``.
            candidates: whether the functions that are closest to the curve are sought, which takes about a second.

        Raises:
            OptionError: for an edge that is not there.
        """
        state = self.tree.state
        found: dict[str, Any] = self._once(
            ("edge", state.id, str(edge), candidates),
            lambda: edge_panel(state.model, self.data, edge, candidates=candidates),
        )
        return found

    def formula(self, id: int | None = None) -> dict[str, Any]:
        """The formula of a state, by default the present one.

        It has ``texts``, ``short`` (six digits), ``latex`` and ``mathml`` of each target, ``constants`` with standard
        errors, and ``errors`` on each split.

        It is simplified if all edges are symbolic; curves that are splines are named functions in it. ``mathml`` is a
        tree of elements, ``[name, attributes, children...]``.

        Raises:
            OptionError: if there is no such state.
        """
        state = self.tree.find(self.tree.current if id is None else id)
        return formula_panel(state.model, self.data, self._formula(state))

    def code(self, language: str) -> str:
        """The formula as code; see :func:`superpose.export.code`.

        Raises:
            OptionError: for a language that does not exist or cannot hold the formula.
        """
        return code(self._formula(self.tree.state), language)

    def predict(self, inputs: Mapping[str, float | str | None] | None = None) -> dict[str, Any]:
        """The prediction for values of the inputs, and how each moves it.

        Args:
            inputs: values by the names of the columns, those of the table (a category, a date, None for a missing cell)
                or those of numbers that are made of them. What is left out is what training rows usually have: the
                median, of a category the level of most rows.

        Returns:
            ``outputs`` with ``value`` and an interval of 90% (``low``, ``high``; None with a ``note`` why); the
            probabilities of ``classes``; of each of the ``inputs`` its range, whether the value is ``outside``, and a
            ``curve``: places ``x``, outputs ``y`` with all other inputs as given, and their ``mean`` over the table;
            of ``columns`` of the table from which numbers are made, the ``value``, the ``choices`` with the output of
            each as ``outcomes``, whether it may be ``missing``, and the ``inputs`` that it becomes;
            ``warnings`` where the prediction is an extrapolation.

        Raises:
            OptionError: for a column that is not there, or a value that it cannot have.
        """
        state = self.tree.state
        model, without = self._once(("calibrated", state.id), lambda: calibrated(state.model, self.data))
        return prediction(model, self.data, inputs or {}, without)

    def _formula(self, state: State) -> Formula:
        found: Formula = self._once(("formula", state.id), lambda: formula_of(state.model, self.data))
        return found

    def _once(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        """A value that was computed before, or now; of many values the oldest is forgotten."""
        if key not in self._kept:
            self._kept[key] = compute()
            if len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]
