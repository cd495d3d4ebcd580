"""Who may speak to the server: this machine, by its own name, from its own page, with the token.

A page of another site in the same browser can send requests to the loopback address. It is kept out four times: the
cookie does not go with requests of other sites, ``Origin`` and ``Sec-Fetch-Site`` name the site a request is from,
``Host`` names the site it is meant for (against names that are rebound to this address), and the token is secret.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# No script, style or picture but the page's own files, nothing framed, and no text ever read as HTML.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_METHODS = ("GET", "HEAD", "POST")


@dataclass(frozen=True)
class Limits:
    """How much one browser may ask for. Round numbers, far above what a page needs.

    Attributes:
        body: bytes of a request.
        upload: bytes of a table or a model.
        requests: that are being answered at a time, streams of events included.
        header: bytes of all header lines together; the server of HTTP has a limit of its own.
    """

    body: int = 2**20
    upload: int = 200 * 2**20
    requests: int = 100
    header: int = 32 * 2**10


LIMITS = Limits()


class Refused(Exception):
    """A request that is not answered: the status of HTTP, and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(eq=False)
class Guard:
    """Refuses requests before the application sees them, and adds the headers to every answer.

    Attributes:
        app: the application.
        port: of the server.
        token: in the address that the program prints.
        session: what the cookie holds; another secret, so that neither tells the other.
    """

    app: App
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    active: int = 0

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers send those of one host to all of its ports."""
        return f"superpose-studio-{self.port}"

    @property
    def hosts(self) -> set[str]:
        """What ``Host`` may say."""
        return {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        sending = _with_headers(send)
        self.active += 1
        try:
            new = self.check(scope)
            if new:
                set_cookie = f"{self.cookie}={self.session}; Path=/; HttpOnly; SameSite=Strict"
                sending = _with_headers(send, {"Set-Cookie": set_cookie})
            await self.app(scope, _limited(receive, body_limit(scope)), sending)
        except Refused as refused:
            await answer(sending, refused.status, str(refused))
        finally:
            self.active -= 1

    def check(self, scope: Scope) -> bool:
        """Whether the request brings the token, and so gets the cookie.

        Raises:
            Refused: if it may not be answered.
        """
        headers = _headers(scope)
        client = (scope.get("client") or ("",))[0]
        if not _is_loopback(client):
            raise Refused(403, "the studio answers this machine only")
        if self.active > LIMITS.requests:
            raise Refused(503, "too many requests at a time; close other pages of the studio, and try again")
        if scope["method"] not in _METHODS:
            raise Refused(405, "the studio knows GET and POST only")
        if headers.get("host", "").lower() not in self.hosts:
            raise Refused(421, "the studio answers to 127.0.0.1 and localhost only; use the address that it printed")
        origins = {f"http://{host}" for host in self.hosts}
        origin = headers.get("origin")
        if (origin is None and scope["method"] == "POST") or (origin is not None and origin.lower() not in origins):
            raise Refused(403, "a page of another site may not use the studio")
        arriving = scope["path"] == "/" and scope["method"] == "GET"
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") and not arriving:
            raise Refused(403, "a page of another site may not use the studio")
        tokens = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        if arriving and tokens and _same(tokens[0], self.token):
            return True
        if not _same(_cookie(headers.get("cookie", ""), self.cookie), self.session):
            raise Refused(403, "open the studio by the address that 'superpose studio' printed; it holds the key to it")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > body_limit(scope):
            raise Refused(413, f"the studio takes at most {body_limit(scope) // 2**20} MB at once")
        return False


def body_limit(scope: Scope) -> int:
    """The most bytes that a request may bring."""
    return LIMITS.upload if scope["path"] == "/api/uploads" else LIMITS.body


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _same(given: str, secret: str) -> bool:
    # In constant time, so that nobody finds a secret letter by letter.
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def _headers(scope: Scope) -> dict[str, str]:
    """The header lines by their names; two lines of one name are one that fits nothing."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _cookie(line: str, name: str) -> str:
    try:
        morsel = SimpleCookie(line).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _limited(receive: Receive, limit: int) -> Receive:
    """The body of a request, which is refused where it is longer than allowed; not all requests say so before."""
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise Refused(413, f"the studio takes at most {limit // 2**20} MB at once")
        return message

    return receive_some


def _with_headers(send: Send, more: dict[str, str] | None = None) -> Send:
    lines = [(name.lower().encode(), value.encode()) for name, value in {**HEADERS, **(more or {})}.items()]

    async def send_some(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *lines]}
        await send(message)

    return send_some


async def answer(send: Send, status: int, sentence: str) -> None:
    """Send a sentence as JSON."""
    body = json.dumps({"error": sentence}).encode()
    # The rest of a body that was refused is not read, so the connection ends.
    lines = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
