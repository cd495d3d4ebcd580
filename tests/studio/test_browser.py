"""The page as a person uses it, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.conftest import Running

CHROMIUM = Path("/usr/bin/chromium")
HELLO = Path(__file__).parents[2] / "examples/data/hello.csv"
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
    assert "column 'x' is empty" in field.locator(".mistake").inner_text()
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
