"""Two hundred requests of somebody who means no good, and a thousand connections."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path

from helpers import is_one_sentence
from studio.conftest import Running

Request = tuple[str, str, bytes | None, dict[str, str]]
JSON = {"Content-Type": "application/json"}
NAMES = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "....//x",
    "%00",
    "a%0d%0aX:%20y",
)
PLACES = ("/static/{}", "/api/tables/{}", "/api/runs/{}", "/api/runs/{}/network", "/api/runs/x/files/{}", "/{}")


def hostile(studio: Running, table: str) -> Iterator[Request]:
    good = studio.headers | JSON
    paths = (
        "/",
        "/api/state",
        "/api/events",
        "/static/studio.js",
        "/api/runs",
        "/api/uploads",
        "/api/runs/x/files/script.py",
    )
    without = {name: value for name, value in good.items() if name != "Cookie"}
    wrong = [
        without,
        good | {"Cookie": f"{studio.guard.cookie}={studio.guard.token}"},
        good | {"Cookie": f"{studio.guard.cookie}=" + "x" * 5000},
        good | {"Host": f"rebound.example:{studio.guard.port}"},
        good | {"Host": "169.254.169.254"},
        good | {"Origin": "https://evil.example"},
        good | {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ]
    for path, headers, method in itertools.product(paths, wrong, ("GET", "POST")):
        yield method, path, b"{}" if method == "POST" else None, headers
    for place, name in itertools.product(PLACES, NAMES):
        yield "GET", place.format(name), None, studio.headers
        yield "POST", place.format(name), b'{"action": "stop"}', good
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        yield method, "/api/runs", b"{}", good
    secret = "/etc/passwd"
    for options in (
        {"test": secret}, {"weights": secret}, {"split": f"time:{secret}"}, {"query": "ATTACH '/etc/passwd' AS x"},
        {"query": "SELECT * FROM read_csv('/etc/passwd')"}, {"sheet": secret}, {"where": f"open('{secret}')"},
        {"encoding": "../x"}, {"encoding": "zlib"}, {"dates": [secret]}, {"features": [secret]}, {"missing": secret},
        {"target": "<script>alert(1)</script>"}, {"target": "$\\input{/etc/passwd}$"}, {"exclude": ["x"] * 20_000},
        {"folder": "/", "name": "etc/passwd"}, {"a": {"b": {}}}, {"target": {"$ne": 0}},
        {"hidden": [-1]}, {"grid": 10**12},
    ):  # fmt: skip
        yield "POST", f"/api/tables/{table}", json.dumps({"options": {"target": "f"} | options}).encode(), good
    for size in (2**30, 2**40, 10**30):
        yield "POST", "/api/uploads", b"x", studio.headers | {"Content-Length": str(size)}


def test_two_hundred_hostile_requests_are_refused_or_answered_with_a_sentence(
    studio: Running, hello: bytes, tmp_path: Path
) -> None:
    table = studio.dropped("hello.csv", hello)
    count = 0
    for method, path, body, headers in hostile(studio, table):
        try:
            status, _, answer = studio.request(method, path, body, headers)
        except (OSError, ValueError):
            # A header or a path that no client can send, or a connection that the server ended.
            continue
        count += 1
        what = f"{method} {path} {body!r} {headers}"
        assert b"root:" not in answer, what
        if method == "OPTIONS" or not answer:
            assert status >= 400, what
            continue
        found = json.loads(answer) if answer.startswith(b"{") else {"error": answer.decode()}
        refused = found.get("error") or found.get("mistake")
        sentence = refused["sentence"] if isinstance(refused, dict) else refused
        assert status >= 400 or refused, what
        assert is_one_sentence(sentence or ""), (what, sentence)
    assert count >= 200
    # The page goes on.
    assert studio.post(f"/api/tables/{table}", {"options": {"target": "f"}})[1]["error"] is None


def test_a_thousand_idle_connections_keep_nobody_out(studio: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", studio.guard.port), 10)))
        assert "examples" in studio.get("/api/state")
        # Half a request, of somebody who sends the rest one day.
        stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", studio.guard.port), 10))).sendall(
            b"POST /api/uploads HTTP/1.1\r\nHost: x\r\nX-Slow: "
        )
        assert "examples" in studio.get("/api/state")


def test_the_server_listens_on_the_loopback_address_only(studio: Running) -> None:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:] if Path("/proc/net/tcp").exists() else []
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    own = [address for address in listening if int(address.split(":")[1], 16) == studio.guard.port]
    assert not lines or own == [f"0100007F:{studio.guard.port:04X}"]
