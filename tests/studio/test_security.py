"""Who is answered, and who is not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from helpers import is_one_sentence
from superpose.studio.server import security
from superpose.studio.server.security import HEADERS, Guard

PORT = 8400
GOOD = {
    "host": f"127.0.0.1:{PORT}",
    "origin": f"http://127.0.0.1:{PORT}",
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
}


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the body and says yes."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


GUARD = Guard(inside, PORT, token="the-token", session="the-session")
COOKIE = f"{GUARD.cookie}=the-session"


def ask(
    method: str = "POST",
    path: str = "/api/runs",
    query: str = "",
    client: str = "127.0.0.1",
    parts: tuple[bytes, ...] = (b"{}",),
    **headers: str | None,
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body of an answer; a header that is None is left out."""
    lines = GOOD | {"cookie": COOKIE} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "client": (client, 50000),
        "headers": [(name.encode(), value.encode()) for name, value in lines.items() if value is not None],
    }
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(GUARD(scope, receive, send))
    answer = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer, json.loads(sent[1]["body"])


def test_requests_of_the_page_are_answered() -> None:
    assert ask()[0] == 200
    assert ask("GET", origin=None)[0] == 200
    assert ask(host=f"localhost:{PORT}", origin=f"http://localhost:{PORT}", client="::1")[0] == 200


def test_the_token_brings_the_cookie_and_nothing_else_does() -> None:
    arriving: dict[str, Any] = {"path": "/", "origin": None, "cookie": None, "sec_fetch_site": "none"}
    status, headers, _ = ask("GET", query="token=the-token", **arriving)
    assert status == 200
    assert headers["set-cookie"] == f"{GUARD.cookie}=the-session; Path=/; HttpOnly; SameSite=Strict"
    assert "the-token" not in headers["set-cookie"]
    for query in ("", "token=", "token=the-session", "token=the-toke", "token=%00", "token=thé-token", "t=the-token"):
        status, headers, _ = ask("GET", query=query, **arriving)
        assert status == 403 and "set-cookie" not in headers
    # It opens the page, and no other address.
    assert ask("GET", path="/api/state", query="token=the-token", origin=None, cookie=None)[0] == 403
    assert ask("POST", path="/", query="token=the-token", cookie=None)[0] == 403


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "no cookie": (403, {"cookie": None}),
    "wrong cookie": (403, {"cookie": f"{GUARD.cookie}=another"}),
    "the token as cookie": (403, {"cookie": f"{GUARD.cookie}=the-token"}),
    "cookie of another port": (403, {"cookie": "superpose-studio-1=the-session"}),
    "empty cookie": (403, {"cookie": f"{GUARD.cookie}="}),
    "broken cookie": (403, {"cookie": "=;;=\x00"}),
    "another origin": (403, {"origin": "http://evil.example"}),
    "origin of another port": (403, {"origin": "http://127.0.0.1:1"}),
    "origin with tls": (403, {"origin": f"https://127.0.0.1:{PORT}"}),
    "null origin": (403, {"origin": "null"}),
    "no origin of a POST": (403, {"origin": None}),
    "another site": (403, {"sec_fetch_site": "cross-site"}),
    "another port's site": (403, {"sec_fetch_site": "same-site"}),
    "rebound host": (421, {"host": f"evil.example:{PORT}"}),
    "host without port": (421, {"host": "127.0.0.1"}),
    "host of another port": (421, {"host": "127.0.0.1:1"}),
    "host that begins alike": (421, {"host": f"127.0.0.1.evil.example:{PORT}"}),
    "no host": (421, {"host": None}),
    "another machine": (403, {"client": "192.168.1.7"}),
    "unknown machine": (403, {"client": "nowhere"}),
    "put": (405, {"method": "PUT"}),
    "delete": (405, {"method": "DELETE"}),
    "options": (405, {"method": "OPTIONS"}),
    "long body": (413, {"content_length": str(2**20 + 1)}),
    "length that is no number": (413, {"content_length": "-1"}),
    "long body that does not say so": (413, {"parts": (b"x" * 2**19,) * 3}),
    "large upload": (413, {"path": "/api/uploads", "content_length": str(2**30)}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_others_are_refused_with_a_sentence(what: str) -> None:
    status, changes = REFUSED[what]
    found, headers, body = ask(**changes)
    assert found == status
    assert is_one_sentence(body["error"])
    assert headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_two_lines_of_a_header_are_one_that_fits_nothing() -> None:
    assert security._headers({"headers": [(b"host", b"a"), (b"Host", b"b")]}) == {"host": "a, b"}


def test_too_many_requests_at_a_time_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GUARD, "active", security.LIMITS.requests)
    assert ask()[0] == 503


def test_every_answer_has_the_headers_and_the_policy_allows_no_inline_script() -> None:
    headers = ask()[1]
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= headers.items()
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and policy["style-src"] == "'self'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"] and policy["frame-ancestors"] == "'none'"


def test_web_sockets_are_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(GUARD({"type": "websocket"}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]
