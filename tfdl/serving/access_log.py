"""A line of the log for each request."""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOGGER = logging.getLogger("tfdl.serving")
_MOST_SHOWN = 200


class AccessLog:
    """Logs the client, what it asked for, the status and the milliseconds until the answer was sent.

    Args:
        app: answers the requests.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            _log(scope, status, 1000 * (time.perf_counter() - start))


def _log(scope: Scope, status: int, milliseconds: float) -> None:
    client: Any = scope.get("client")
    path = ascii(scope["path"][:_MOST_SHOWN])[1:-1]  # in one line, whatever the client sends
    _LOGGER.info(
        "%s %s %s %s %.1f ms", client[0] if client else "-", scope["method"], path, status or "-", milliseconds
    )
