"""Session: a network taken in hand, step by step, with its history."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.edit.pruning import surviving_edges
from superpose.errors import DataError, OptionError
from superpose.files import to_bytes
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.studio.history import State
from superpose.studio.saved import restore_session, save_session
from superpose.studio.script import Origin, script_of
from superpose.studio.session_result import result_of
from superpose.studio.shown import Shown
from superpose.studio.state_errors import errors_of
from superpose.studio.steps import Step
from superpose.studio.training import Listener
from superpose.studio.verbs import Done, described, perform
from superpose.tasks.classification import ClassificationDataset
from superpose.tasks.result import TaskResult

AnyStep = Step | Mapping[str, Any]


class Session(Shown):
    """A network and its table, changed step by step by functions of :mod:`superpose.edit` and :func:`superpose.fit`.

    Each step makes a new state; earlier states stay, so that every step can be undone, and several ways can be tried
    from one state. What the methods return holds numbers, texts and lists only, ready for JSON.

    Args:
        model: the first state; it is copied.
        data: its table; of a classifier one of scores or of classes.

    Raises:
        DataError: if the model does not take and give the columns of the table.

    >>> import torch
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> session = Session(KAN([1, 1], seed=0), Dataset.from_arrays(x, x**2))
    >>> entry = session.do({"verb": "replace", "arguments": {"edge": [0, 0, 0], "function": "x^2"}})
    >>> entry["id"], entry["text"], entry["error_train"] < 1e-10
    (1, 'set x1 → y to x^2, fitted to the targets', True)
    >>> [state["current"] for state in (session.undo(), *session.history())]
    [True, True, False]
    """

    def __init__(self, model: KAN, data: Dataset | ClassificationDataset) -> None:
        if not isinstance(model, KAN):
            raise OptionError(f"a session begins with a superpose.KAN, not a {type(model).__name__}")
        if isinstance(data, ClassificationDataset):
            if model.head is None:
                raise OptionError("the table has classes, and the model has no head that reads them; set model.head")
            data = data.scored(model.head)
        if not isinstance(data, Dataset):
            raise DataError(f"a session takes a Dataset, not a {type(data).__name__}")
        _check_columns(model, data)
        super().__init__(data)
        self.origin: Origin | None = None
        model = model.copy()
        if not bool(model.scaled):
            model.feature_names, model.target_names = data.feature_names, data.target_names
        self.tree.add(State(0, None, None, model, "the network at the start", errors_of(model, data)))
        # The last step that was tried, from which state, and what it made.
        self._tried: tuple[Step, int, Done] | None = None

    @classmethod
    def start(
        cls, data: Dataset | ClassificationDataset, widths: Sequence[Any], *, head: str | None = None, **options: Any
    ) -> Session:
        """A session that begins with a new network, as yet untrained; its script makes it without a file.

        Args:
            data: the table.
            widths: see :class:`~superpose.KAN`, and so are the ``options`` ``grid_size``, ``degree``, ``base`` and
                ``seed``.
            head: of a classifier, see :class:`~superpose.nn.Head`; by default sigmoid for two classes, else softmax.

        Raises:
            OptionError: for widths or options that are not allowed.
        """
        origin = Origin(tuple(widths), options)
        model = KAN(list(widths), **options)
        if isinstance(data, ClassificationDataset):
            kind = head or ("sigmoid" if len(data.classes) == 2 else "softmax")
            model.head = Head(kind, data.classes, name=data.target)
        session = cls(model, data)
        session.origin = origin
        return session

    # -- the history

    @property
    def in_training(self) -> KAN | None:
        """Within a listener of :meth:`do` the network in training, which goes on changing; else None."""
        return self._in_training

    @property
    def model(self) -> KAN:
        """The network of the present state; a copy."""
        return self.tree.state.model.copy()

    def history(self) -> list[dict[str, Any]]:
        """All states in the order in which they were made.

        Each has ``id``, ``parent``, ``text``, ``verb``, ``arguments``, ``measure`` with ``error_train`` and
        ``error_validation`` (``"RMSE"``; of classifiers ``"share of wrong classes"``, and the cross-entropies
        ``loss_train`` and ``loss_validation``), ``shape``, ``edges``, ``symbolic``, ``parameters``, ``note``, ``name``,
        and whether it is the ``current`` one.
        """
        return [state.json(state.id == self.tree.current) for state in self.tree.states]

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of the present state in the history."""
        return self.tree.state.json(True)

    def do(self, step: AnyStep, *, listener: Listener | None = None) -> dict[str, Any]:
        """Do a step to the present state; returns the entry of the new one.

        Args:
            step: a :class:`Step`, or ``{"verb": ..., "arguments": {...}}``.
            listener: called with every :class:`~superpose.train.Record` of a training; while it waits, the training
                does, and where it raises :class:`Stopped`, the training ends with the best state so far.

        Raises:
            SuperposeError: if the step cannot be done; the session stays as it was.
        """
        step = Step.of(step)
        before = self.tree.state
        text = described(step, before.model)
        done = self._done(step, listener)
        made = done.model
        self.tree.add(
            State(len(self.tree.states), before.id, done.step, made, text, errors_of(made, self.data), done.note)
        )
        return self.entry

    def put(self, model: KAN, text: str = "changed in Python") -> dict[str, Any]:
        """Make a state of a network that was changed elsewhere; the script will load it from a file. Returns its entry.

        Raises:
            DataError: if the network has other columns.
        """
        _check_columns(model, self.data)
        parent, made = self.tree.current, model.copy()
        self.tree.add(State(len(self.tree.states), parent, None, made, text, errors_of(made, self.data)))
        return self.entry

    def preview(self, step: AnyStep) -> dict[str, Any]:
        """What a step would do: the errors after it, the numbers of edges and constants, and the ``removed`` edges.

        Trainings have no preview.

        Raises:
            SuperposeError: if the step cannot be done.
        """
        step = Step.of(step)
        if step.verb == "train":
            raise OptionError("a training has no preview; do it, and undo it if it does not help")
        before = self.tree.state
        done = self._done(step, None)
        self._tried = step, before.id, done
        made = State(-1, before.id, step, done.model, described(step, before.model), errors_of(done.model, self.data))
        return {**made.json(False), "before": before.json(True), "removed": _removed(before.model, self.data, step)}

    def _done(self, step: Step, listener: Listener | None) -> Done:
        state = self.tree.state
        if self._tried is not None and self._tried[:2] == (step, state.id):
            return self._tried[2]

        def training(model: KAN) -> None:
            self._in_training = model

        try:
            return perform(step, state.model, self.data, listener, training)
        finally:
            self._in_training = None

    def undo(self) -> dict[str, Any]:
        """Go to the state before; returns its entry.

        Raises:
            OptionError: at the first state.
        """
        self.tree.undo()
        return self.entry

    def redo(self) -> dict[str, Any]:
        """Go to the state that was undone last; returns its entry.

        Raises:
            OptionError: if nothing was undone here.
        """
        self.tree.redo()
        return self.entry

    def go(self, id: int) -> dict[str, Any]:
        """Go to any state; a step from there begins a branch. Returns its entry.

        Raises:
            OptionError: if there is no such state.
        """
        self.tree.go(id)
        return self.entry

    def name(self, id: int, text: str) -> dict[str, Any]:
        """Give a state a name; returns its entry.

        Raises:
            OptionError: if there is no such state, or the name is no text of at most 200 letters.
        """
        state = self.tree.find(id)
        if not isinstance(text, str) or len(text) > _LONGEST_NAME:
            raise OptionError(f"the name of a state is a text of at most {_LONGEST_NAME} letters")
        state.name = text.strip()
        self.tree.changed()
        return state.json(state.id == self.tree.current)

    # -- taken away

    def script(self, table: str | None = None, target: Any = None, **options: Any) -> str:
        """A Python script that makes the present network, step by step, by public functions.

        Without :meth:`start` it loads the first network from ``start.safetensors``; see :meth:`start_file`.

        Args:
            table: the path of the table; by default where the data came from.
            target: the column to be learnt; by default that of the data.
            options: by which :func:`superpose.read_csv` read the table.

        Raises:
            OptionError: for a table without a path, and for options that no script can hold.
        """
        return script_of(self.tree.since_made(), self.data, self._made(), table, target, options)

    def _made(self) -> Origin | None:
        """How the first of them was made, if not elsewhere."""
        return self.origin if self.tree.since_made()[0].id == 0 else None

    def start_file(self) -> bytes | None:
        """The model file that the script loads; None if it needs none."""
        return None if self._made() is not None else to_bytes(self.tree.since_made()[0].model)

    def result(self) -> TaskResult:
        """The present state as a result, of which ``superpose.report.write`` makes a page and files.

        The formula stands in it where all edges are symbolic.
        """
        state = self.tree.state
        return result_of(state.model, self.data, self._formula(state))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the session to a folder: a JSON text, and safetensors files for the table and each network.

        Raises:
            FileError: if it cannot be written.
        """
        save_session(folder, self.data, self.tree, self.origin)

    @classmethod
    def restore(cls, folder: str | os.PathLike[str]) -> Session:
        """The session that :meth:`save` wrote.

        Raises:
            FileError: if the folder holds no session, or a damaged one.
        """
        data, tree, origin = restore_session(folder)
        session = cls(tree.states[0].model, data)
        session.tree, session.origin = tree, origin
        return session


# Rows by which edges are marked that pruning would remove; scores hardly change with more. A round number.
_MARKING_ROWS = 10_000
# Of the name of a state. A round number.
_LONGEST_NAME = 200


def _check_columns(model: KAN, data: Dataset) -> None:
    if [model.widths[0], model.widths[-1]] != [data.n_features, data.n_targets]:
        raise DataError(
            f"the model takes {model.widths[0]} features and gives {model.widths[-1]} targets, but the data have "
            f"{data.n_features} features and {data.n_targets} targets; they must be those of one table"
        )


def _removed(model: KAN, data: Dataset, step: Step) -> list[list[int]]:
    """The edges that a step removes, as the model counts them; none for steps that are not there to remove any.

    Of a large table some rows decide which are marked, all rows which are removed.
    """
    rows = data.features(data.train[evenly(len(data.train), _MARKING_ROWS)])
    if step.verb == "remove":
        stay = surviving_edges(model, rows, edges=[step.arguments["edge"]])
    elif step.verb == "prune":
        stay = surviving_edges(model, rows, **step.arguments)
    else:
        return []
    return [list(edge) for edge in model.active_edges() if edge not in stay]
