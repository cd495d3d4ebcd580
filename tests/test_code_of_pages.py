"""The code of each page of the documentation runs and prints what stands below it."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from helpers import EXAMPLES, ROOT
from superpose.deadline import counted_time

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECKER = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Pages that show a part of what is printed, or leave out spaces and empty lines at its end.
LOOSE = {"docs/coming_from", "docs/export", "docs/first_steps", "docs/own_law", "docs/stepping_in", "docs/torch"}
# Below the code of these stands no output: it is above, or its digits differ from machine to machine.
UNSHOWN = {"docs/forms", "docs/tables", "docs/training", "docs/units"}
# What a page leaves in its folder.
LEFT = {
    "docs/first_steps": ("network.svg", "edge.png", "training.png", "formula.py", "model.safetensors"),
    "docs/plain_words": ("network.png",),
}


def blocks(page: Path) -> list[tuple[str, str | None]]:
    """Return each block of Python with what it prints, if that stands right below it."""
    found: list[tuple[str, str | None]] = []
    end = 0
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        language, body = match.groups()
        if language == "python":
            found.append((body, None))
        elif language == "text" and found and not text[end : match.start()].strip():
            found[-1] = found[-1][0], body
        end = match.end()
    return found


PAGES = {
    str(page.relative_to(ROOT).with_suffix("")): shown
    for page in sorted(ROOT.glob("docs/**/*.md"))
    if (shown := blocks(page))
}


@pytest.fixture
def printed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_functions: None,
    untouched_globals: None,
    few_compositions: None,
) -> Iterator[Callable[[list[str]], list[str]]]:
    """Runs blocks one after another as one module, in a folder of its own, and returns what each printed."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    # A page imports what it has written.
    monkeypatch.syspath_prepend(tmp_path)
    page = ModuleType("page")
    monkeypatch.setitem(sys.modules, page.__name__, page)

    def run(codes: list[str]) -> list[str]:
        outputs = []
        with counted_time(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # torch warns of its own deprecated parts when it first differentiates forward.
            warnings.simplefilter("ignore", DeprecationWarning)
            for number, code in enumerate(codes):
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    # The documentation's own code.
                    exec(compile(code, f"block {number} of the page", "exec"), page.__dict__)  # noqa: S102
                outputs.append(output.getvalue())
        return outputs

    yield run
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES)
def test_code_of_a_page_prints_what_it_says(page: str, printed: Callable[[list[str]], list[str]]) -> None:
    outputs = printed([code for code, _ in PAGES[page]])
    for (code, expected), output in zip(PAGES[page], outputs, strict=True):
        wanted = expected or ""
        same = CHECKER.check_output(wanted, output, FLAGS if page in LOOSE else 0)
        assert same or page in UNSHOWN, f"{code}\nprints\n{output}\ninstead of\n{wanted}"
    for name in LEFT.get(page, ()):
        assert Path(name).stat().st_size > (5000 if page == "docs/plain_words" else 100)


def test_the_first_page_finds_the_formula_it_shows(printed: Callable[[list[str]], list[str]]) -> None:
    ((code, _),) = blocks(ROOT / "README.md")
    formula, error = printed([code])[0].splitlines()
    assert f"prints `{formula}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert float(error) < 1e-9


def test_all_pages_with_code_are_known() -> None:
    assert len(PAGES) > 15 and len(PAGES["docs/first_steps"]) > 5
