"""``superpose studio`` as a command, and what its process loads."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import SOURCE, run_python
from superpose.cli import main
from superpose.studio.server.pages import static_files


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "uvicorn" else real(name, *more)
    )
    assert main(["studio", "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert "pip install 'superpose[studio]'" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "80"], "from 1024 to 65535"),
        (["missing.csv"], "is not there"),
        (["a", "b"], "does not know what to do"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studio", "--no-browser", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_a_port_that_is_taken_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["studio", "--no-browser", "--port", str(port)]) == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err


def test_the_server_does_without_torch() -> None:
    """It answers while engines compute, and stays small."""
    heavy = "{'torch', 'numpy', 'sympy', 'pandas'}"
    code = f"import sys; import superpose.studio.server.serving; print(*({heavy} & set(sys.modules)))"
    found = run_python("-c", code)
    assert found.returncode == 0 and found.stdout.strip() == "", found


def test_every_module_of_the_page_is_there_and_none_reads_markup() -> None:
    found = static_files()
    for name, (content, _) in found.items():
        text = content.decode()
        for imported in re.findall(r'from "\./([\w.]+)"', text) + re.findall(r'(?:src|href)="/static/([\w.]+)"', text):
            assert imported in found, f"{name} wants {imported}"
        if name.endswith(".js"):
            for forbidden in (
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "DOMParser",
                "document.write",
                "eval(",
                "new Function",
            ):
                assert forbidden not in text, f"{name} has {forbidden}"
        assert "http://" not in text.replace("http://www.w3.org/", "") and "https://" not in text, (
            f"{name} loads from elsewhere"
        )
        assert "<script>" not in text and "<style" not in text and " style=" not in text, name


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")
def test_a_server_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "superpose", "studio", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        assert "token=" in server.stdout.readline()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("superpose-studio-")]
        server.terminate()
        server.wait(60)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("superpose-studio-")]
