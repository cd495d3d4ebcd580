"""The widget in JupyterLab and in marimo, in Chromium: ``make check-notebooks`` installs both and runs this file.

A notebook is opened as a person opens it. The network is seen, a click on an edge and on a function changes the model
in Python, and a change in Python is seen in the view.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.test_browser import PATIENCE, browser

__all__ = ["browser"]

# The folder of programs of an environment with JupyterLab and marimo.
PROGRAMS = os.environ.get("SUPERPOSE_NOTEBOOKS", "")
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="make check-notebooks says where JupyterLab and marimo are")

MODEL = """\
import torch
import superpose

x = 2 * torch.rand(80, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
data = superpose.Dataset.from_arrays(x, torch.sin(2 * x[:, 0]) + x[:, 1] ** 2, validation=0.25)
model = superpose.KAN([2, 1], seed=0)
superpose.fit(model, data, grids=(4,), steps=5, progress=False)
view = superpose.widget(model, data)"""
READ = 'print("functions:", sorted(name for name, _ in view.model.layer(0).symbolic_table().values()))'
CHANGE = 'entry = view.do("fix", edge=(0, 1, 0), function="x^2")'
MARIMO = f"""\
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
{"".join(f"    {line}" if line else "" for line in MODEL.splitlines(keepends=True))}
    shown = mo.ui.anywidget(view)
    shown
    return mo, shown, view


@app.cell
def _(mo, shown, view):
    shown.value
    mo.md(f"functions: {{sorted(name for name, _ in view.model.layer(0).symbolic_table().values())}}")
    return


@app.cell
def _(mo, view):
    mo.ui.button(label="change in Python", on_click=lambda _: view.do("fix", edge=(0, 1, 0), function="x^2"))
    return


if __name__ == "__main__":
    app.run()
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextlib.contextmanager
def served(arguments: list[str], folder: Path, ready: str) -> Iterator[None]:
    """A server of notebooks in a folder of its own, until the test is over.

    Args:
        arguments: a program of the environment with its options.
        folder: of the notebook, and of all that the server keeps.
        ready: an address that answers as soon as it serves.
    """
    homes = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "XDG_CONFIG_HOME")
    own = {name: str(folder / "home" / name.lower()) for name in homes}
    environment = os.environ | own | {"OMP_NUM_THREADS": "1"}
    with (folder / "server.txt").open("w") as said:
        server = subprocess.Popen(
            [str(Path(PROGRAMS).resolve() / arguments[0]), *arguments[1:]],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
        )
        try:
            for _ in range(PATIENCE // 200):
                with contextlib.suppress(OSError), urllib.request.urlopen(ready):
                    break
                assert server.poll() is None, (folder / "server.txt").read_text()
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    made = context.new_page()
    said: list[str] = []
    made.on("pageerror", lambda error: said.append(str(error)))
    yield made
    made.screenshot(path=tmp_path / "page.png")
    context.close()
    assert said == []


def click_sine(page: Any) -> None:
    """Open the first edge in the view, and set the function that is closest to it by a click."""
    page.locator(".sp-edge").nth(1).wait_for()
    assert page.locator(".sp-edge").count() == 2
    page.locator(".sp-edge").first.click()
    name = page.locator(".sp-function", has_text=re.compile("(^|Set to )sin$"))
    page.locator(".sp-candidate-row", has=name).click()
    page.locator(".sp-edge[aria-label*='sin']").wait_for(state="attached")


def test_jupyterlab(page: Any, tmp_path: Path) -> None:
    cells = [
        {"cell_type": "code", "execution_count": None, "id": f"c{n}", "metadata": {}, "outputs": [], "source": source}
        for n, source in enumerate((f"{MODEL}\nview", READ, CHANGE))
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "view.ipynb").write_text(json.dumps(notebook))
    port, token = free_port(), secrets.token_hex(8)
    options = [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", "--allow-root"]
    address = f"http://127.0.0.1:{port}"
    with served(["jupyter-lab", "--no-browser", "--ip=127.0.0.1", *options], tmp_path, f"{address}/api?token={token}"):
        page.goto(f"{address}/lab/tree/view.ipynb?token={token}")
        run_cell(page, 0)
        click_sine(page)
        run_cell(page, 1)
        page.get_by_text("functions: ['sin']", exact=True).wait_for()
        run_cell(page, 2)
        page.locator(".sp-edge[aria-label*='x^2'], .sp-edge[aria-label*='x²']").wait_for(state="attached")


def run_cell(page: Any, number: int) -> None:
    """Run a cell of JupyterLab by the keyboard."""
    page.locator(".jp-Notebook .jp-Cell .cm-content").nth(number).click()
    page.keyboard.press("Shift+Enter")


def test_marimo(page: Any, tmp_path: Path) -> None:
    (tmp_path / "view.py").write_text(MARIMO)
    port, token = free_port(), secrets.token_hex(8)
    options = [f"--port={port}", "--host=127.0.0.1", f"--token-password={token}", "--skip-update-check"]
    address = f"http://127.0.0.1:{port}"
    with served(["marimo", "edit", "view.py", "--headless", *options], tmp_path, f"{address}/health"):
        page.goto(f"{address}?access_token={token}&file=view.py")
        # A notebook that is opened is run when its reader says so.
        page.locator(".marimo-cell").nth(2).wait_for()
        page.keyboard.press("Control+Shift+R")
        click_sine(page)
        page.get_by_text("functions: ['sin']", exact=True).wait_for()
        page.get_by_role("button", name="change in Python").click()
        page.locator(".sp-edge[aria-label*='x^2'], .sp-edge[aria-label*='x²']").wait_for(state="attached")
