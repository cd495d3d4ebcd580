"""What the documentation links to and names is there; what its code prints is tested by test_code_of_pages.py."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import superpose
from helpers import ROOT, SOURCE

PLACES = ("*.md", "docs/*.md", "docs/lab/*.md", "docs/results/*.md", "examples/**/*.md")
PAGES = sorted(page for place in PLACES for page in ROOT.glob(place))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Files that are named in running text, from the root of the project: `examples/data/hello.csv`.
FILE = re.compile(r"`((?:benchmarks|csrc|docs|examples|src|tests)/[\w./-]*\w)`")
# Source files that are named by the end of their path: `optim/damping.py`.
SOURCE_FILE = re.compile(r"`([\w./]+\.(?:py|hpp|cpp))`")
# The modules whose `__all__` is the interface.
PUBLIC = (
    "superpose",
    "superpose.checkpoint",
    "superpose.data",
    "superpose.edit",
    "superpose.errors",
    "superpose.export",
    "superpose.files",
    "superpose.formulas",
    "superpose.nn",
    "superpose.optim",
    "superpose.partial",
    "superpose.plot",
    "superpose.report",
    "superpose.sklearn",
    "superpose.spline",
    "superpose.tasks",
    "superpose.tasks.classification",
    "superpose.tasks.comparison",
    "superpose.tasks.pde",
    "superpose.tasks.regression",
    "superpose.tasks.relations",
    "superpose.tasks.sweeps",
    "superpose.train",
)


def test_the_page_on_installing_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    rows = "\n".join(line.partition(" | ")[0] for line in text.splitlines() if line.startswith("| `"))
    assert set(project["optional-dependencies"]) <= set(re.findall(r"`(\w+)`", rows))
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in text


def test_the_page_on_the_output_names_the_keys_and_the_files_of_a_run() -> None:
    text = (ROOT / "docs/reading_output.md").read_text(encoding="utf-8")
    x = [[n / 4] for n in range(12)]
    y = [3 * row[0] + 0.3 * (-1) ** n for n, row in enumerate(x)]
    metrics = superpose.discover(superpose.Dataset.from_arrays(x, y), superpose.DiscoverOptions(time_limit=2)).metrics
    assert {"law", "stability", "alternatives", "cross_validation"} & set(metrics)
    named = set(re.findall(r"`([\w.]+)`", text))
    assert set(metrics) <= named
    assert set(superpose.report.FILES) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = FENCE.sub("", text)
    missing = [
        target
        for target in LINK.findall(prose)
        if not target.startswith(("https://", "#")) and not (page.parent / target.partition("#")[0]).exists()
    ]
    named = [name for name in FILE.findall(prose) if not name.startswith("docs/_build")]
    missing += [name for name in named if not (ROOT / name).exists()]
    folders = [path for path in ROOT.iterdir() if path.name in {"benchmarks", "csrc", "examples", "src", "tests"}]
    files = [f"/{file.relative_to(ROOT)}" for folder in folders for file in folder.rglob("*.*")]
    missing += [name for name in SOURCE_FILE.findall(prose) if not any(file.endswith(f"/{name}") for file in files)]
    assert missing == []


@pytest.mark.parametrize("folder", ["docs", "docs/lab", "docs/results"])
def test_every_page_is_in_the_contents(folder: str) -> None:
    contents = (ROOT / folder / "index.md").read_text(encoding="utf-8")
    listed = {name for tree in contents.split("{toctree}")[1:] for name in tree.split("```")[0].split()}
    assert {page.stem for page in (ROOT / folder).glob("*.md")} - {"index"} <= listed


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    """Each name of a public module's `__all__` has an entry, under that module or at the top of the package."""
    module = importlib.import_module(name)
    reference = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    entries = set(re.findall(r"^\.\. (?:auto\w+|py:\w+):: (superpose[\w.]*)$", reference, re.MULTILINE))
    missing = []
    for public in getattr(module, "__all__", ()):
        at_top = getattr(superpose, public, None) is getattr(module, public)
        if not entries & ({f"{name}.{public}"} | ({f"superpose.{public}"} if at_top else set())):
            missing.append(public)
    assert missing == []


@pytest.mark.parametrize("page", ["docs/glossary.md", "docs/design.md"])
def test_places_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"`(superpose(?:\.\w+)+)`", (ROOT / page).read_text(encoding="utf-8")))
    assert len(named) > 15
    missing = []
    for name in sorted(named):
        try:
            pkgutil.resolve_name(name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert missing == []


def test_files_that_the_guide_names_define_what_it_names_in_them() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`(\w+)`\s+in\s+`((?:src|benchmarks)/[\w./]+\.py)`", text)
    assert len(pairs) > 5
    defined = r"^\s*(?:def |class )?{}\b"
    missing = [(n, f) for n, f in pairs if not re.search(defined.format(n), (ROOT / f).read_text("utf-8"), re.M)]
    assert missing == []


def test_pages_that_the_source_names_exist() -> None:
    """Reasons in the code lead to the pages that hold the measurements."""
    sources = [*SOURCE.rglob("*.py"), *(ROOT / "csrc").rglob("*.hpp"), *(ROOT / "benchmarks").rglob("*.py")]
    named = {name for file in sources for name in re.findall(r"docs/[\w/]+\.md", file.read_text(encoding="utf-8"))}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_first_page_shows_the_commands_that_exist() -> None:
    from superpose.cli import program

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^ +superpose (\w+) ", text, re.MULTILINE)) == set(program._COMMANDS)
