"""A studio that runs, in a thread of the tests, for as long as they do."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from superpose.studio.server.security import Guard
from superpose.studio.server.serving import HOST, made


@dataclass
class Running:
    """A server, and how tests speak to it."""

    guard: Guard

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.guard.port}/?token={self.guard.token}"

    @property
    def headers(self) -> dict[str, str]:
        """What the page's own requests carry."""
        return {
            "Host": f"{HOST}:{self.guard.port}",
            "Origin": f"http://{HOST}:{self.guard.port}",
            "Cookie": f"{self.guard.cookie}={self.guard.session}",
            "Sec-Fetch-Site": "same-origin",
        }

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(HOST, self.guard.port, timeout=60)
        try:
            connection.request(method, path, body, self.headers if headers is None else headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path: str, content: Any) -> tuple[int, Any]:
        headers = self.headers | {"Content-Type": "application/json"}
        status, _, body = self.request("POST", path, json.dumps(content).encode(), headers)
        return status, json.loads(body)

    def get(self, path: str) -> Any:
        return json.loads(self.request("GET", path)[2])

    def dropped(self, name: str, content: bytes) -> str:
        """The key of a table that is dropped on the page."""
        headers = self.headers | {"X-File-Name": name}
        status, _, body = self.request("POST", "/api/uploads", content, headers)
        assert status == 200, body
        key: str = json.loads(body)["id"]
        return key

    def events(self, run: str) -> Iterator[dict[str, Any]]:
        """What the page is sent of a run, for as long as the test asks."""
        connection = http.client.HTTPConnection(HOST, self.guard.port, timeout=60)
        try:
            connection.request("GET", f"/api/events?run={run}", headers=self.headers)
            answer, kind = connection.getresponse(), ""
            while line := answer.fp.readline().decode():
                if line.startswith("event: "):
                    kind = line[7:].strip()
                elif line.startswith("data: ") and kind == "run":
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def until(self, run: str, part: str, *values: Any) -> Any:
        """The first of these values that a part of a run takes, or any value if none is named."""
        for news in self.events(run):
            if part in news and (not values or news[part] in values):
                return news[part]
        raise AssertionError(f"the stream ended without {part}")


# Not for the whole session: tests of other rooms replace the clock of the process, on which the server's loop waits.
@pytest.fixture(scope="package")
def studio() -> Iterator[Running]:
    with made() as (server, listening, guard):
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield Running(guard)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def hello() -> bytes:
    return (Path(__file__).parents[2] / "examples/data/hello.csv").read_bytes()
