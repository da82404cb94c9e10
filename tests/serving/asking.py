"""Asks a server, as its users do."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Client:
    """Requests to a server of this machine, each over a new connection.

    Args:
        port: of the server.
        host: of the server.
    """

    def __init__(self, port: int, host: str = "127.0.0.1"):
        self.port = port
        self.host = host

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """The status, the body and the headers of an answer."""
        with self.opened(method, path, body, headers) as response:
            return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}

    @contextmanager
    def opened(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that has begun."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            yield connection.getresponse()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        status, content, _ = self.send("GET", path)
        return status, json.loads(content)

    def post(self, path: str, values: Any) -> tuple[int, Any]:
        """As ``get``, for a request with JSON (or bytes)."""
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        status, content, _ = self.send("POST", path, body)
        return status, json.loads(content)

    def ask(self, model: str, values: Any, method: str = "predict") -> Any:
        """The JSON of an answer that is no error."""
        status, answer = self.post(f"/v1/models/{model}:{method}", values)
        assert status == 200, answer
        return answer

    def error(self, path: str, values: Any, status: int = 400) -> str:
        """The message of an error."""
        found, answer = self.post(path, values)
        assert found == status, (found, answer)
        assert list(answer) == ["error"]
        return str(answer["error"])

    def events(self, path: str, values: Any) -> list[Any]:
        """The server-sent events of an answer."""
        status, content, headers = self.send("POST", path, json.dumps(values).encode())
        assert status == 200, content
        assert headers["content-type"].startswith("text/event-stream")
        pieces = content.decode().split("\n\n")
        assert pieces.pop() == ""
        return [json.loads(piece.removeprefix("data: ")) for piece in pieces]


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls, up to the patience of a failing test.

    Args:
        condition: is true at the end.
    """
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
