"""Tables, runs and engines, as the page's requests meet them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from urllib.parse import quote

import pytest

from helpers import is_one_sentence
from studio.conftest import Running
from superpose.studio.server.files import PrivateFolder, safe_name


def test_a_table_is_shown_with_ranges_histograms_and_first_rows(studio: Running, hello: bytes) -> None:
    key = studio.dropped("hello.csv", hello)
    status, found = studio.post(f"/api/tables/{key}", {"options": {"target": "f"}})
    assert status == 200 and found["error"] is None and found["guess"] == "f"
    assert [column["name"] for column in found["columns"]] == ["x", "y", "f"]
    assert [column["role"] for column in found["columns"]] == ["feature", "feature", "target"]
    assert all(sum(column["histogram"]["counts"]) == 1000 for column in found["columns"])
    assert found["head"][0] == ["0.273923", "-0.973985", "5.51158"]
    assert found["facts"]["rows"] == "700 rows for training, 150 rows for validation, 150 rows for the test"


BROKEN = {
    "empty": (b"", "file", {}),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(20), "file", {}),
    "ragged": (b"x,f\n1,2,3\n4,5\n", "file", {}),
    "a name twice": (b"a,a,f\n1,2,3\n1,2,3\n", "file", {}),
    "a gap": (b"x,f\n1,2\n,3\n4,5\n6,7\n", "missing", {"target": "f"}),
    "text as a target": (b"x,f\n1,a\n2,b\n3,c\n4,d\n", "task", {"target": "f"}),
    "a condition on nothing": (b"x,f\n1,2\n2,3\n3,4\n", "where", {"where": "q > 1"}),
    "an encoding that there is not": (b"x,f\n1,2\n2,3\n", "encoding", {"encoding": "cp9"}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_mistake_of_a_table_is_a_sentence_at_its_place(studio: Running, what: str) -> None:
    content, place, options = BROKEN[what]
    key = studio.dropped("table.csv", content)
    status, found = studio.post(f"/api/tables/{key}", {"options": options})
    mistake = found["mistake"] if "mistake" in found else found["error"]
    assert status == 200
    assert is_one_sentence(mistake["sentence"]) and mistake["place"]["option"] == place
    # A person knows the table by its name, and no path of the server is anyone's business.
    assert "/" not in mistake["sentence"]


def test_names_of_tables_and_columns_are_text(studio: Running) -> None:
    name = "<img src=x onerror=alert(1)>"
    key = studio.dropped(quote(f"../../{name}.csv"), f'"{name}",f\n1,2\n2,3\n3,4\n'.encode())
    found = studio.post(f"/api/tables/{key}", {"options": {}})[1]
    assert found["columns"][0]["name"] == name
    assert found["label"] == "_img src_x onerror_alert(1)_.csv"


def test_no_name_leaves_its_folder() -> None:
    folder = PrivateFolder()
    try:
        for name in (
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            "-",
            "a/..",
            "..\\..\\x",
            "\0",
            "con\n.csv",
            "é" * 300,
        ):
            safe = safe_name(name)
            assert (folder.path / safe).resolve().parent == folder.path.resolve(), name
            assert 0 < len(safe.encode()) <= 255 and safe not in (".", "..", "-")
        assert folder.path.stat().st_mode & 0o077 == 0
    finally:
        folder.close()
    assert not folder.path.exists()


HOSTILE = (
    ("GET", "/static/../../../../etc/passwd", 404),
    ("GET", "/static/..%2f..%2fetc%2fpasswd", 404),
    ("GET", "/static/%2fetc%2fpasswd", 404),
    ("GET", "/etc/passwd", 404),
    ("GET", "/static/session.py", 404),
    ("GET", "/api/tables/../../etc", 404),
    ("GET", "/api/runs", 405),
    ("POST", "/api/state", 405),
)


@pytest.mark.parametrize(("method", "path", "status"), HOSTILE)
def test_no_path_of_the_browser_reaches_the_file_system(studio: Running, method: str, path: str, status: int) -> None:
    headers = studio.headers | {"Content-Type": "application/json"}
    found, _, body = studio.request(method, path, b"{}" if method == "POST" else None, headers)
    assert found == status and b"root:" not in body and b"error" in body


WRONG = (
    ("/api/tables/nowhere", {"options": {}}),
    ("/api/tables/%2e%2e", {"options": {}}),
    ("/api/examples", {"name": "../../pyproject.toml"}),
    ("/api/examples", {}),
    ("/api/runs", {"table": "nowhere"}),
    ("/api/runs/nowhere", {"action": "stop"}),
)


@pytest.mark.parametrize(("path", "content"), WRONG)
def test_what_is_not_there_is_a_sentence(studio: Running, path: str, content: object) -> None:
    status, found = studio.post(path, content)
    assert status == 422 and is_one_sentence(found["error"])


@pytest.mark.parametrize(
    "options",
    [
        *({"target": 3}, {"target": None}, {"shell": "x"}, {"test": "/etc/passwd"}, {"hidden": [10**9]}),
        *({"time_limit": "1"}, {"features": "f"}, [], {"target": "x" * 20_000}, {"where": "__import__('os')"}),
    ],
)
def test_options_that_make_no_sense_are_refused(studio: Running, hello: bytes, options: object) -> None:
    key = studio.dropped("hello.csv", hello)
    found = studio.post("/api/runs", {"table": key, "options": options})[1]
    if "id" in found:
        sentence = studio.until(found["id"], "sentence")
        studio.post(f"/api/runs/{found['id']}", {"action": "close"})
    else:
        sentence = found["error"]
    assert is_one_sentence(sentence)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_json_are_refused(studio: Running, body: bytes) -> None:
    headers = studio.headers | {"Content-Type": "application/json"}
    status, _, answer = studio.request("POST", "/api/runs", body, headers)
    assert status == 422 and b"JSON" in answer
    headers = studio.headers | {"Content-Type": "text/plain"}
    assert studio.request("POST", "/api/runs", b"{}", headers)[0] == 422


def test_a_run_is_held_goes_on_and_survives_the_end_of_its_process(studio: Running, hello: bytes) -> None:
    key = studio.dropped("hello.csv", hello)
    options = {"target": "f", "time_limit": 60, "hidden": [20, 20], "sparsity": 0.001}
    run = studio.post("/api/runs", {"table": key, "kind": "train", "options": options})[1]["id"]
    pid = studio.until(run, "process")
    studio.until(run, "points")
    assert studio.post(f"/api/runs/{run}", {"action": "pause"})[1] == {"status": "paused"}
    assert studio.post(f"/api/runs/{run}", {"action": "pause"})[0] == 422
    assert studio.post(f"/api/runs/{run}", {"action": "extend", "seconds": 30})[0] == 200
    assert studio.post(f"/api/runs/{run}", {"action": "extend", "seconds": -1})[0] == 422
    assert studio.post(f"/api/runs/{run}", {"action": "resume"})[1] == {"status": "running"}
    assert studio.until(run, "seconds") >= 0
    os.kill(pid, signal.SIGKILL)
    assert studio.until(run, "status", "dead") == "dead"
    sentence = studio.until(run, "sentence")
    assert "killed by signal 9" in sentence and is_one_sentence(sentence)
    # What it had shown is still there, and it can be opened again.
    assert studio.until(run, "points") and studio.until(run, "picture")
    assert studio.post(f"/api/runs/{run}", {"action": "reopen"})[1] == {"status": "running"}
    assert next(news["process"] for news in studio.events(run) if news.get("process", pid) != pid)
    # The points of before, and then new ones.
    assert len([news for news, _ in zip((n for n in studio.events(run) if "points" in n), range(2), strict=False)]) == 2
    studio.post(f"/api/runs/{run}", {"action": "stop"})
    assert studio.until(run, "status", "done", "failed") == "done"
    assert Path(f"/proc/{pid}").exists() is False
    studio.post(f"/api/runs/{run}", {"action": "close"})
    assert run not in [one["id"] for one in studio.get("/api/state")["runs"]]


def test_settings_of_a_training_are_changed_while_it_is_paused(studio: Running, hello: bytes) -> None:
    key = studio.dropped("hello.csv", hello)
    options = {"target": "f", "time_limit": 60, "hidden": [4, 4]}
    run = studio.post("/api/runs", {"table": key, "kind": "train", "options": options})[1]["id"]
    studio.until(run, "points")
    change = {"action": "change", "options": {"sparsity": 0.01, "steps": 2}}
    assert studio.post(f"/api/runs/{run}", change)[0] == 422
    studio.post(f"/api/runs/{run}", {"action": "pause"})
    for wrong in ({"optimizer": "sgd"}, {"functions": ["sin"]}):
        found = studio.post(f"/api/runs/{run}", {"action": "change", "options": wrong})[1]
        assert is_one_sentence(found["mistake"]["sentence"])
    for wrong in ({"seed": 1}, {}, {"steps": "many"}):
        assert studio.post(f"/api/runs/{run}", {"action": "change", "options": wrong})[0] == 422
    assert studio.until(run, "status") == "paused"
    assert studio.post(f"/api/runs/{run}", change)[1] == {"status": "running"}
    assert studio.until(run, "status", "done", "failed") == "done"
    # What was trained before is a step, and the script does both.
    _, first, second = stepped(studio, run, "history")["history"]  # type: ignore[misc]
    assert "records" in first["arguments"] and "sparsity" not in first["arguments"]
    assert second["arguments"] | change["options"] == second["arguments"]  # type: ignore[operator]
    assert second["arguments"]["grids"] == [5] and second["parent"] == first["id"]
    studio.post(f"/api/runs/{run}", {"action": "close"})


def test_functions_of_a_search_are_changed_while_it_is_paused(studio: Running) -> None:
    # A law that no search finds at once.
    rows = "".join(f"{k % 17},{k % 23},{(k % 17) ** 2 * 0.1 + (k * k * 7919) % 101}\n" for k in range(300))
    key = studio.dropped("table.csv", f"x,y,f\n{rows}".encode())
    options = {"target": "f", "time_limit": 30}
    run = studio.post("/api/runs", {"table": key, "kind": "search", "options": options})[1]["id"]
    assert studio.until(run, "settings")["kind"] == "search"
    studio.post(f"/api/runs/{run}", {"action": "pause"})
    found = studio.post(f"/api/runs/{run}", {"action": "change", "options": {"functions": ["sine"]}})[1]
    assert is_one_sentence(found["mistake"]["sentence"]) and "sine" in found["mistake"]["sentence"]
    change = {"action": "change", "options": {"functions": ["exp"], "time_limit": 1}}
    assert studio.post(f"/api/runs/{run}", change)[1] == {"status": "running"}
    assert studio.until(run, "status", "done", "failed") == "done"
    said = [entry["text"] for entry in studio.until(run, "log")]
    assert "goes on with other settings: functions exp; 1 seconds" in said
    shown = [row["formula"] for row in studio.until(run, "result")["front"]]
    assert not any(name in formula for formula in shown for name in ("sin", "log", "tanh"))
    studio.post(f"/api/runs/{run}", {"action": "close"})


def stepped(studio: Running, run: str, action: str, **more: object) -> dict[str, object]:
    """The answer of the network view's request."""
    status, found = studio.post(f"/api/runs/{run}/network", {"id": 1, "action": action, **more})
    assert status == 200 and "error" not in found, found
    return found


def test_steps_survive_the_end_of_the_process_and_files_are_taken_away(studio: Running, hello: bytes) -> None:
    key = studio.dropped("hello.csv", b"\n".join(hello.splitlines()[:201]) + b"\n")
    options = {"target": "f", "hidden": [1], "sparsity": 0.01}
    run = studio.post("/api/runs", {"table": key, "kind": "train", "options": options})[1]["id"]
    assert studio.until(run, "status", "done", "failed") == "done"
    stepped(studio, run, "do", step={"verb": "fix", "arguments": {"edge": [0, 0, 0], "function": "sin"}})
    wrong = studio.post(f"/api/runs/{run}/network", {"id": 2, "action": "do", "step": {"verb": "drop"}})[1]
    assert wrong["id"] == 2 and is_one_sentence(wrong["error"])
    os.kill(studio.until(run, "process"), signal.SIGKILL)
    studio.until(run, "status", "dead")
    assert studio.post(f"/api/runs/{run}/network", {"action": "undo"})[0] == 422
    assert studio.get(f"/api/runs/{run}/files/script.py")["error"]
    studio.post(f"/api/runs/{run}", {"action": "reopen"})
    studio.until(run, "status", "done", "failed")
    history = stepped(studio, run, "history")["history"]
    assert isinstance(history, list) and [one["verb"] for one in history] == [None, "train", "fix"]
    # Each file is made when it is asked for.
    for name in ("model.safetensors", "formula.py", "predictions.csv", "script.py"):
        status, headers, content = studio.request("GET", f"/api/runs/{run}/files/{name}")
        assert status == 200 and content and headers["content-disposition"].endswith(f"hello_{name}"), name
    assert is_one_sentence(studio.get(f"/api/runs/{run}/files/start.safetensors")["mistake"]["sentence"])
    # The report of what was done by hand, with its steps.
    _, _, content = studio.request("GET", f"/api/runs/{run}/files/report.html")
    assert b"Network trained for f" in content and b"train with lm" in content
    assert studio.request("GET", f"/api/runs/{run}/files/session.json")[0] == 404
    found = studio.get(f"/api/runs/{run}/residuals")
    assert len(found["measured"][0]) == len(found["columns"]["x"]) > 0
    studio.post(f"/api/runs/{run}", {"action": "close"})


def test_the_last_column_of_numbers_is_proposed_with_gaps_too_and_notes_name_what_the_page_has(studio: Running) -> None:
    rows = "".join(f"{-999 if k == 3 else k},{k * k}\n" for k in range(20))
    table = studio.dropped("gap.csv", f"x,y\n{rows}7,\n".encode())
    found = studio.post(f"/api/tables/{table}", {"options": {}})[1]
    assert found["guess"] == "y"
    found = studio.post(f"/api/tables/{table}", {"options": {"target": "y", "missing": "drop"}})[1]
    (note,) = (one for one in json.dumps(found).split('"') if "-999 in 1 row and" in one)
    assert "'Rows to use'" in note and "--where" not in note
