"""The history of a session: a tree of networks, each made of its parent by a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from superpose.errors import OptionError
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.studio.state_errors import Errors
from superpose.studio.steps import Step


@dataclass
class State:
    """One state of the network.

    Attributes:
        id: from 0, in the order in which states were made.
        parent: the state before; None for the first.
        step: what made it of its parent; None for the first.
        model: the network.
        text: the step in words.
        errors: of the network.
        note: a sentence on how the step ended; may be empty.
        name: by a person; may be empty.
    """

    id: int
    parent: int | None
    step: Step | None
    model: KAN
    text: str
    errors: Errors
    note: str = ""
    name: str = ""

    def json(self, current: bool) -> dict[str, Any]:
        """The entry of the history."""
        step = {"verb": None, "arguments": {}} if self.step is None else self.step.json()
        symbolic = sum(len(layer.symbolic_table()) for layer in self.model.kan_layers())
        return {
            "id": self.id,
            "parent": self.parent,
            "text": self.text,
            **step,
            **self.errors.json(),
            "shape": self.model.shape,
            "edges": len(self.model.active_edges()),
            "symbolic": symbolic,
            "parameters": self.model.parameter_count(),
            "note": self.note,
            "name": self.name,
            "current": current,
        }


@dataclass
class Tree:
    """The states of a session, the one that is shown, and where redo leads from each.

    Attributes:
        states: by their ids.
        current: the id of the state that is shown.
        later: by id, the child that was left last; redo goes there.
        watchers: called after every change.
    """

    states: list[State] = field(default_factory=list)
    current: int = 0
    later: dict[int, int] = field(default_factory=dict)
    watchers: list[Callable[[], None]] = field(default_factory=list, repr=False)

    def changed(self) -> None:
        """Tell those who watch."""
        for watcher in self.watchers:
            watcher()

    @property
    def state(self) -> State:
        """The state that is shown."""
        return self.states[self.current]

    def add(self, state: State) -> None:
        """Add a state after the present one, and show it."""
        self.states.append(state)
        self.go(state.id)

    def find(self, id: Any) -> State:
        """The state of that id.

        Raises:
            OptionError: if there is none.
        """
        if isinstance(id, bool) or not isinstance(id, int) or not 0 <= id < len(self.states):
            raise OptionError(f"the history has no state {id!r}; it has {counted(len(self.states), 'state')}, from 0")
        return self.states[id]

    def go(self, id: int) -> None:
        """Show a state; redo will lead along the path to it."""
        state = self.find(id)
        self.current = state.id
        while state.parent is not None:
            self.later[state.parent] = state.id
            state = self.states[state.parent]
        self.changed()

    def undo(self) -> None:
        """Show the state before.

        Raises:
            OptionError: at the first state.
        """
        if self.state.parent is None:
            raise OptionError("there is nothing to undo: this is the first state of the network")
        self.current = self.state.parent
        self.changed()

    def redo(self) -> None:
        """Show the state that was undone last.

        Raises:
            OptionError: if nothing was undone here.
        """
        if self.current not in self.later:
            raise OptionError("there is nothing to redo: no step was undone here")
        self.current = self.later[self.current]
        self.changed()

    def path(self) -> Iterator[State]:
        """The states from the first to the present one."""
        found = [self.state]
        while found[-1].parent is not None:
            found.append(self.states[found[-1].parent])
        return reversed(found)

    def since_made(self) -> list[State]:
        """The states to the present one, from the last that no step has made: the first, or one changed elsewhere."""
        path = list(self.path())
        return path[max(n for n, state in enumerate(path) if state.step is None) :]
