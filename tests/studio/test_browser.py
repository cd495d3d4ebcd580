"""The page as a person uses it, in Chromium."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch

import superpose
from helpers import EXAMPLES, run_python
from studio.conftest import Running
from superpose.studio.bundle import styles

CHROMIUM = Path("/usr/bin/chromium")
HELLO = EXAMPLES / "data/hello.csv"
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
# Nothing but the page: no sandbox for root, no updates, no QUIC, nothing that speaks to anyone.
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
# Milliseconds; far more than any step takes on a slow machine, so that no test depends on its speed.
PATIENCE = 90_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, studio: Running) -> Iterator[Any]:
    """A page of the studio, which may say nothing on its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE)
    made = context.new_page()
    said: list[str] = []
    made.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    made.on("pageerror", lambda error: said.append(f"error: {error}"))
    made.goto(studio.address)
    yield made
    context.close()
    # A page that is opened begins with the last run.
    for run in studio.get("/api/state")["runs"]:
        studio.post(f"/api/runs/{run['id']}", {"action": "close"})
    assert said == []


def dropped(page: Any, name: str, content: bytes) -> None:
    """Drop a file on the page as the mouse does."""
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            return transfer;
        }""",
        [name, list(content)],
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})


def test_from_a_dropped_table_to_its_law_in_one_click(page: Any, studio: Running) -> None:
    dropped(page, "hello.csv", HELLO.read_bytes())
    page.wait_for_selector("table.columns")
    # The key does not stay in the address.
    assert "token" not in page.url
    assert page.locator("#option-target").input_value() == "f"
    page.click("#search")
    page.wait_for_selector(".found math")
    assert page.inner_text(".formula-text") == "exp(y**2 + sin(pi*x))"
    page.wait_for_selector(".status.done")
    assert page.locator(".front tr.recommended").count() == 1
    # A page that is opened later finds the run as it is.
    page.reload()
    page.wait_for_selector(".found math")
    page.wait_for_selector(".status.done")
    assert page.locator(".log li").count() > 0 and page.locator(".network .edge").count() == 3
    page.click("text=Close")
    page.wait_for_selector(".drop")


def test_a_mistake_stands_where_it_can_be_put_right(page: Any) -> None:
    dropped(page, "gap.csv", b"x,f\n1,2\n,3\n4,5\n6,7\n")
    field = page.locator(".field", has=page.locator("#option-missing"))
    field.locator(".mistake").wait_for()
    says = field.locator(".mistake").inner_text()
    assert "column 'x' is empty" in says and "under 'Missing cells'" in says and "--" not in says
    page.select_option("#option-missing", "drop")
    page.locator(".mistake").wait_for(state="detached")
    # A table that cannot be read says so where another is dropped.
    page.click("text=New table")
    dropped(page, "picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(20))
    page.locator(".welcome .mistake", has_text=re.compile("is an image")).wait_for()


def test_names_from_a_table_are_text_on_every_part_of_the_page(page: Any) -> None:
    name = "<img src=x onerror=alert(1)>"
    rows = "".join(f"{k},{k % 7},{k * (k % 7)}\n" for k in range(40))
    dropped(page, f"{name}.csv", f'"{name}","$\\frac{{1}}{{2}}$",f\n{rows}'.encode())
    page.wait_for_selector("table.columns")
    assert page.locator("th", has_text=name).first.inner_text() == name
    page.fill("#option-time_limit", "5")
    page.click("#search")
    page.wait_for_selector(".status.done")
    assert page.locator("img").count() == 0
    page.click("text=Close")
    page.wait_for_selector(".drop")


def test_everything_is_reached_by_the_keyboard(page: Any) -> None:
    page.wait_for_selector(".examples button")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(20):
        page.keyboard.press("Tab")
        if "hello.csv" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#search")
    page.focus("#search")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "option-time_limit"


def test_a_network_is_trained_pruned_and_read_by_hand(page: Any, tmp_path: Path) -> None:
    dropped(page, "hello.csv", HELLO.read_bytes())
    page.wait_for_selector("#search")
    page.click("text=Train a network of my own shape")
    page.locator("#option-sparsity").evaluate("s => { s.value = 6; s.dispatchEvent(new Event('input')); }")
    page.click("#train")
    page.wait_for_selector(".status.done")
    tab(page, "Network")
    assert page.locator(".sp-edge").count() == 15
    step = functools.partial(done, page)
    page.click("role=tab[name=Tools]")
    step(lambda: page.click("role=button[name=Straighten]"), 3)
    slider = page.get_by_label("Score below")
    slider.evaluate("s => { s.value = 0.67; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    # The effect is shown before anything is done.
    page.get_by_text("12 of 15 edges go, [2, 1, 1] stays").wait_for()
    assert page.locator(".sp-edge").count() == 15
    step(lambda: page.click("role=button[name=Prune]"), 4)
    assert page.locator(".sp-edge").count() == 3
    for number, (edge, function) in enumerate((("x to", "sin"), ("y to", "x²"), ("to f", "exp")), start=5):
        set_function(page, edge, function, number)
    page.click("role=tab[name=Tools]")
    step(lambda: page.click("role=button[name=Refit]"), 8)
    assert "e-" in page.locator(".sp-history li.sp-current .sp-state-numbers").inner_text().replace("× 10⁻", "e-")
    undone_and_redone(page, 8)
    tab(page, "Formula")
    page.wait_for_selector(".sp-formula math")
    text = page.locator(".sp-formula").text_content()
    assert text.replace("\u2062", "") == "f=ey2+sin(πx)"
    (tmp_path / "hello.csv").write_bytes(HELLO.read_bytes())
    assert script_says(page, tmp_path) == "exp(y**2 + sin(pi*x))"


def test_classes_by_hand(page: Any, tmp_path: Path) -> None:
    lines = (EXAMPLES / "data/knots.csv").read_text(encoding="utf-8").splitlines()
    # A part of the rows: the way is the same, and quick.
    knots = "\n".join([lines[0], *lines[1::40]]).encode()
    dropped(page, "knots.csv", knots)
    page.wait_for_selector("#search")
    page.select_option("#option-target", "signature")
    page.select_option("#option-task", "classification")
    for name in ("crossings", "volume", "chern_simons", "cusp_volume", "symmetry_order"):
        page.get_by_label(f"Use of {name}", exact=True).select_option("out")
    train(page, hidden="1", sparsity=4)
    tab(page, "Network")
    assert page.locator(".sp-edge").count() == 4
    page.click("role=tab[name=Tools]")
    done(page, lambda: page.click("role=button[name=Straighten]"), 3)
    set_function(page, "meridian_im to", "x²", 4)
    page.click("role=tab[name=Tools]")
    done(page, lambda: page.click("role=button[name=Refit]"), 5)
    assert page.locator(".sp-edge[aria-label*='x²']").count() == 1
    undone_and_redone(page, 5)
    tab(page, "Formula")
    page.get_by_text("signature is the class nearest to").wait_for()
    # How often each class was taken for which.
    page.locator(".confusion td").first.wait_for()
    counts = sum(int(cell) for cell in page.locator(".confusion td").all_inner_texts())
    assert counts == len(lines[1::40])
    rule = page.locator(".sp-formula").text_content()
    (tmp_path / "knots.csv").write_bytes(knots)
    assert "spline_1_0_0(" in script_says(page, tmp_path)
    assert same_model(page, tmp_path) and "meridian_im" in rule


def test_a_table_of_twenty_features_by_hand(page: Any, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(200, 20, generator=generator, dtype=torch.float64) - 1
    names = [f"column {k}" for k in range(20)]
    table = superpose.Dataset.from_arrays(x, x[:, 3] ** 2 + torch.sin(2 * x[:, 7]), feature_names=names).to_frame()
    table.to_csv(tmp_path / "table.csv", index=False)
    dropped(page, "table.csv", (tmp_path / "table.csv").read_bytes())
    page.wait_for_selector("#search")
    train(page, hidden="", sparsity=0)
    tab(page, "Network")
    assert page.locator(".sp-edge").count() == 20
    page.click("role=tab[name=Tools]")
    slider = page.get_by_label("Score below")
    slider.evaluate("s => { s.value = 0.6; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    page.get_by_text("18 of 20 edges go").wait_for()
    done(page, lambda: page.click("role=button[name=Prune]"), 3)
    set_function(page, "column 3 to", "x²", 4)
    set_function(page, "column 7 to", "sin", 5)
    page.click("role=tab[name=Tools]")
    done(page, lambda: page.click("role=button[name=Refit]"), 6)
    undone_and_redone(page, 6)
    tab(page, "Formula")
    page.wait_for_selector(".sp-formula math")
    formula = script_says(page, tmp_path)
    assert formula == "`column 3`**2 + sin(2*`column 7`)"
    assert same_model(page, tmp_path)


def test_names_with_blanks_are_not_broken_in_a_long_formula(browser: Any) -> None:
    names = ["longitude", "score of signature"]
    x = torch.linspace(1, 2, 20, dtype=torch.float64)[:, None]
    data = superpose.Dataset.from_arrays(x, x, feature_names=names[:1], target_names=names[1:])
    (column,) = sympy.symbols("longitude,", real=True)
    terms = [sympy.Float(f"0.{k}32231") * sympy.sinh(sympy.Float(f"2.{k}667") * column) for k in range(1, 6)]
    formula = superpose.Formula.from_expressions([sympy.Add(*terms)], data)
    shown = browser.new_page(viewport={"width": 400, "height": 300})
    shown.set_content(f"<style>{styles()}</style><div class='sp-formula'>{formula.mathml()}</div>")
    equals, number = (shown.locator(f".sp-formula {tag}").first.bounding_box() for tag in ("mo", "mn"))
    shown.close()
    assert equals["x"] + equals["width"] <= number["x"] + 1


def train(page: Any, *, hidden: str, sparsity: int) -> None:
    """Train a network of these hidden nodes; sparsity is a place of the slider."""
    page.click("text=Train a network of my own shape")
    page.fill("#option-hidden", hidden)
    page.locator("#option-sparsity").evaluate(f"s => {{ s.value = {sparsity}; s.dispatchEvent(new Event('input')); }}")
    page.click("#train")
    page.wait_for_selector(".status.done")


def set_function(page: Any, edge: str, function: str, states: int) -> None:
    """Open an edge of the diagram, and click one of the functions that are like it."""
    page.locator(f".sp-edge[aria-label*='{edge}']").click()
    name = page.locator(".sp-function", has_text=re.compile(f"(^|Set to ){function}$"))
    row = page.locator(".sp-candidate-row", has=name)
    row.wait_for()
    done(page, row.click, states)


def undone_and_redone(page: Any, states: int) -> None:
    """Undo all steps, and do them again."""
    ways = [("Undo (Ctrl+Z)", number) for number in range(states - 1, 0, -1)]
    for name, number in [*ways, *(("Redo (Ctrl+Shift+Z)", number) for number in range(2, states + 1))]:
        page.click(f"role=button[name='{name}']")
        page.locator(f".sp-history li:nth-child({number}).sp-current").wait_for(state="attached")


def taken(page: Any, title: str, path: Path) -> None:
    """Take a file away."""
    tab(page, "Take away")
    with page.expect_download() as download:
        page.click(f"role=button[name='{title}']")
    shutil.copy(download.value.path(), path)


def script_says(page: Any, folder: Path) -> str:
    """The formula that the script of the run prints, run in a folder with the table."""
    taken(page, "Python script", folder / "script.py")
    finished = run_python("script.py", cwd=folder)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def same_model(page: Any, folder: Path) -> bool:
    """Whether the script's model is that of the page, number by number."""
    taken(page, "Model", folder / "page.safetensors")
    own, other = (superpose.load(folder / name).state_dict() for name in ("model.safetensors", "page.safetensors"))
    return own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)


def tab(page: Any, name: str) -> None:
    """Go to one of the pages."""
    page.locator("nav").get_by_role("button", name=name, exact=True).click()


def done(page: Any, act: Any, states: int) -> None:
    """Do a step, and wait until the history has so many states."""
    act()
    page.locator(".sp-history li").nth(states - 1).wait_for(state="attached")
