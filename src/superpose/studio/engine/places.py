"""Where on the page a mistake can be put right: the option, or the column, that a sentence names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Sentences name options as the command line does, or as they are written in Python. More telling ones come first.
_OPTIONS = (
    *("task", "missing", "decimal", "encoding", "sheet", "query", "where", "exclude", "categories", "dates"),
    *("weights", "sigma", "split", "linear", "combine", "target", "features", "shape"),
)
_WORDS = {
    "target": r"the target\b|\bfor the target\b",
    "where": r"condition where",
    "linear": r"enter linearly",
    "combine": r"\bpair\b",
    "weights": r"\bweights?\b",
    "shape": r"the shape must",
    "features": r"features?\b",
}


def place_of(sentence: str, request: Mapping[str, Any]) -> dict[str, str]:
    """The option and the column that a sentence names, as far as it does.

    >>> place_of("'t.csv', line 3: column 'y' is empty; ...: --missing drop, median or indicator", {})
    {'option': 'missing', 'column': 'y'}
    >>> place_of("there is no column 'q' to enter linearly", {})
    {'option': 'linear', 'column': 'q'}
    >>> place_of("'t.csv' is empty; a table has a header and rows", {})
    {'option': 'file'}
    """
    place: dict[str, str] = {}
    said = re.compile("|".join(rf"--{name}\b|\b{name}=|^{name} (?=is|must)" for name in _OPTIONS)).findall(sentence)
    option = next((name for name in _OPTIONS if any(name in words for words in said)), None)
    option = option or next((name for name, words in _WORDS.items() if re.search(words, sentence)), None)
    column = re.search(r"columns? '((?:[^'\\]|\\.)*)'", sentence)
    if option is None and column is None:
        option = "file"
    if option is not None:
        place["option"] = option
    if column is not None:
        place["column"] = column[1]
    return place


# How sentences name what the page has under another name than the command line.
_ON_THE_PAGE = (
    (
        r"say what is done with missing cells: --missing [^()]*\(in Python missing=\.\.\.\)",
        "choose under 'Missing cells' what is done with them",
    ),
    (r"\(where, --where\)", "(under 'Rows to use')"),
    (r"\(decimal, --decimal\)", "(under 'Decimal mark')"),
    (r"use --task classification \(in Python [^()]*\)", "choose 'one of some classes' under 'It is'"),
)


def on_the_page(sentence: str) -> str:
    """A sentence of the command line with the names that the page has.

    >>> on_the_page("fill it, or say what is done with missing cells: --missing drop or median (in Python missing=...)")
    "fill it, or choose under 'Missing cells' what is done with them"
    """
    for pattern, words in _ON_THE_PAGE:
        sentence = re.sub(pattern, words, sentence)
    return sentence
