"""Refuses requests that other web sites make through a user's browser."""

from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from tfdl.serving.errors import RequestError
from tfdl.serving.responses import error_response

_FORBIDDEN = 403
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names that a server of this machine alone has."""


class Guard:
    """Checks the headers ``Host`` and ``Origin`` of every request.

    A web site can make its own name mean this machine, and then a browser lets its scripts read the answers. Such
    requests have the site's name as their host. Other sites can send requests without reading the answers. Such
    requests have the site as their origin.

    Args:
        app: answers the requests that pass.
        hosts: names that this server has; ``None`` stands for any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = LOOPBACK):
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await error_response(RequestError(_FORBIDDEN, problem, closes=True))(scope, receive, send)

    def _problem(self, scope: Scope) -> str | None:
        headers: dict[bytes, Any] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and host and _without_port(host) not in self._hosts:
            expected = ", ".join(sorted(self._hosts))
            return f"the header Host is {host[:80]!a}, expected one of {expected}"
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return f"the header Origin is {origin[:80].decode('latin-1')!a}, expected requests of this server's page"
        return None


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return (name if separator and port.isdecimal() else host).lower()
