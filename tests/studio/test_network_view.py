"""The network view in Chromium: the ways to change a network, by mouse and keyboard, on a page and as a widget."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import superpose
from superpose import KAN, Dataset
from superpose.studio import Session
from superpose.studio.actions import CHANGES, answer
from superpose.studio.bundle import STATIC, bundled

CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
# Milliseconds; far more than any step takes on a slow machine.
PATIENCE = 60_000
HOSTILE = "<img src=x onerror=alert(1)>"
# The page of the test: the view over a session in Python, as a component, or as anywidget would show it.
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>view</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="network_view.css"></head>
<body style="margin:0"><main id="view" style="height:100vh"></main><script type="module">%s</script></body></html>"""
COMPONENT = """
import { NetworkView } from "./network_view.js";
const send = async (request) => JSON.parse(await window.ask(JSON.stringify(request)));
const view = new NetworkView(document.getElementById("view"), { send });
const parts = await Promise.all([view.ask("network"), view.ask("history")]);
view.update({ network: parts[0].network, history: parts[1].history });
"""
WIDGET = """
import widget from "./bundle.js";
const heard = { "msg:custom": [], "change:state": [] };
let clicks = 0;
let state = JSON.parse(await window.ask("{}"));
const model = {
  get: (name) => (name === "clicks" ? clicks : state),
  set: (name, value) => { clicks = value; },
  save_changes: () => {},
  on: (name, call) => heard[name].push(call),
  off: () => {},
  send: async (request) => {
    const { state: next, ...found } = JSON.parse(await window.ask(JSON.stringify(request)));
    for (const call of heard["msg:custom"]) call(found);
    if (next) { state = next; for (const call of heard["change:state"]) call(); }
  },
};
widget.render({ model, el: document.getElementById("view") });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def trained() -> tuple[KAN, Dataset]:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(200, 2, dtype=torch.float64, generator=generator) - 1
    y = torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2)
    data = Dataset.from_arrays(x, y, feature_names=["x", HOSTILE], target_names=["f"], validation=0.2)
    model = KAN([2, 1, 1], seed=0)
    superpose.fit(model, data, grids=(5,), steps=30, progress=False)
    return model, data


@pytest.fixture
def session(trained: tuple[KAN, Dataset]) -> Session:
    return Session(*trained)


def shown(session: Session) -> dict[str, Any]:
    return {"network": session.network(), "history": session.history(), "busy": None, "message": ""}


@pytest.fixture
def opened(browser: Any, session: Session) -> Iterator[Any]:
    """Opens the view of a session; its console has to stay silent."""
    contexts = []
    said: list[str] = []

    def ask(text: str) -> str:
        request = json.loads(text)
        if not request:
            return json.dumps(shown(session))
        found = answer(session, request)
        if request["action"] in CHANGES and "error" not in found:
            found["state"] = shown(session)
        return json.dumps(found, allow_nan=False)

    def serve(route: Any) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        kinds = {"js": "text/javascript", "css": "text/css"}
        if name in ("", "widget"):
            route.fulfill(body=PAGE % (WIDGET if name else COMPONENT), content_type="text/html")
        elif name == "bundle.js":
            route.fulfill(body=bundled(), content_type="text/javascript")
        else:
            route.fulfill(body=(STATIC / name).read_text(encoding="utf-8"), content_type=kinds[name.split(".")[1]])

    def open_view(path: str = "") -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.expose_function("ask", ask)
        page.route("http://view.test/**", serve)
        page.goto(f"http://view.test/{path}")
        page.wait_for_selector(".sp-edge")
        return page

    yield open_view
    for context in contexts:
        context.close()
    assert said == []


@needs_chromium
def test_functions_are_set_by_clicks(opened: Any, session: Session) -> None:
    page = opened()
    assert page.locator(".sp-edge").count() == 3
    for edge, function in (("0,0,0", "sin"), ("0,1,0", "x^2"), ("1,0,0", "exp")):
        page.click(f'[data-edge="{edge}"]')
        row = page.locator(f'[data-function="{function}"]')
        row.hover()
        assert page.locator(".sp-candidate").get_attribute("d") != ""
        row.click()
        page.locator(f'.sp-symbolic[data-edge="{edge}"]').wait_for()
    # One more click frees an edge, and undo brings the function back.
    page.locator("button", has_text="Free").click()
    page.locator('[data-edge="1,0,0"]:not(.sp-symbolic)').wait_for()
    page.keyboard.press("Control+z")
    page.locator('.sp-symbolic[data-edge="1,0,0"]').wait_for()
    page.get_by_role("tab", name="Tools").click()
    page.get_by_role("button", name="Refit").click()
    page.get_by_role("tab", name="Formula").click()
    page.locator(".sp-formula math").wait_for()
    page.locator(".sp-formula math mi", has_text="π").wait_for()
    assert session.entry["error_validation"] < 1e-10
    assert [entry["verb"] for entry in session.history()] == [None, "fix", "fix", "fix", "release", "refit"]
    assert page.locator("img").count() == 0


@needs_chromium
def test_pruning_shows_its_effect_before_it_is_done(opened: Any, session: Session) -> None:
    page = opened()
    page.get_by_role("tab", name="Tools").click()
    slider = page.get_by_label("Score below")
    slider.focus()
    slider.press("End")
    page.get_by_text(re.compile("edges go")).wait_for()
    assert page.locator(".sp-edge.sp-doomed").count() == 1
    assert len(session.history()) == 1
    page.get_by_role("button", name="Prune", exact=True).click()
    page.locator('[data-edge="0,1,0"]').wait_for(state="detached")
    assert session.entry["verb"] == "prune" and session.entry["edges"] == 2
    # A step that cannot be done is told, and nothing else happens.
    page.get_by_label("Intervals").fill("2")
    page.get_by_role("button", name="Refine").click()
    page.get_by_role("alert").wait_for()
    assert "refine to more" in page.get_by_role("alert").inner_text()


@needs_chromium
def test_a_curve_is_dragged_and_the_history_branches(opened: Any, session: Session) -> None:
    page = opened()
    page.click('[data-edge="0,0,0"]')
    page.get_by_label("Drag the curve").check()
    plot = page.locator(".sp-plot").bounding_box()
    middle = plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 3
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] + 30, steps=3)
    page.mouse.up()
    page.get_by_text(re.compile("Error .RMSE.: training")).wait_for()
    assert len(session.history()) == 1
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("tab", name="History").click()
    page.locator(".sp-state", has_text="drag").wait_for()
    page.locator('[data-state="0"]').click()
    page.locator('[data-state="0"][aria-current]').wait_for()
    session.do({"verb": "refit", "arguments": {"steps": 1}})
    page.get_by_role("button", name="Undo").wait_for()
    page.get_by_label("Name step 1").click()
    page.get_by_label("Name of step 1").fill(HOSTILE)
    page.keyboard.press("Enter")
    page.locator("strong", has_text=HOSTILE).wait_for()
    for number in (0, 1):
        page.get_by_label(f"Compare step {number}:").check()
    page.locator(".sp-beside .sp-formula math").nth(1).wait_for()
    assert [entry["parent"] for entry in session.history()] == [None, 0, 0]
    assert page.locator("img").count() == 0


@needs_chromium
def test_by_keyboard_and_as_a_widget(opened: Any, session: Session) -> None:
    page = opened("widget")
    page.locator('[data-edge="0,0,0"]').focus()
    page.get_by_role("tooltip").wait_for()
    assert HOSTILE not in page.get_by_role("tooltip").inner_html()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.edge") == "0,1,0"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.edge") == "1,0,0"
    before = page.locator(".sp-diagram > g").get_attribute("transform")
    page.keyboard.press("+")
    assert page.locator(".sp-diagram > g").get_attribute("transform") != before
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.locator("h3", has_text="node 1 of layer 1 → f").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H3"
    page.locator(".sp-candidate-row").first.focus()
    page.keyboard.press("Enter")
    page.locator('.sp-symbolic[data-edge="1,0,0"]').wait_for()
    assert session.entry["verb"] == "fix"
    page.keyboard.press("Control+z")
    page.locator('[data-edge="1,0,0"]:not(.sp-symbolic)').wait_for()
    page.keyboard.press("Control+Shift+Z")
    page.locator('.sp-symbolic[data-edge="1,0,0"]').wait_for()


def test_names_in_the_bundle_do_not_collide() -> None:
    declared = re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", bundled(), re.MULTILINE)
    assert len(declared) > 30 and len(set(declared)) == len(declared)
