"""Connections that do not wait without end for a request."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol_with(seconds: float) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, which closes a connection whose next request has not begun in time.

    A request has begun when all of its headers have arrived. Uvicorn itself waits for them forever, so that slow
    clients could take all connections.

    Args:
        seconds: from the connection, or from the first byte after an answer, to the last header.
    """

    class Protocol(_TimedProtocol):
        """With this time."""

        header_seconds = seconds

    return Protocol


class _TimedProtocol(H11Protocol):
    header_seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _set_timer(self) -> None:
        """Starts the timer if the connection waits for headers; more bytes of them do not start it again."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self._close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
