"""All connections of one rank: to the coordinators and, on a coordinator, to all other ranks."""

import contextlib
import hmac
import os
import selectors
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.wire import Connection

_CONNECT_SECONDS = 20.0
_PIPE_READ_BYTES = 4096
# Python's C signal handler writes signal numbers into the same pipe, and no signal has the number 0.
_WAKE_BYTE = b"\0"


@dataclass(frozen=True)
class Arrival:
    """A message, or the end of a connection (``message`` is ``None``)."""

    rank: int
    """The rank at the other end."""
    from_coordinator: bool
    """Whether a coordinator sent it to this rank; otherwise a rank sent it to this coordinator."""
    message: dict[str, Any] | None


class Links:
    """A rank's connections. Only the watchdog's thread may use them, but any thread may call ``wake``.

    Args:
        listener: where the other ranks connect; ``None`` on a rank that is no coordinator.
        token: what a rank must send first. A connection that starts with anything else is closed.
    """

    def __init__(self, listener: socket.socket | None, token: str):
        self._listener = listener
        self._token = token
        self.coordinators: dict[int, Connection] = {}
        self.members: dict[int, Connection] = {}
        self.signals: set[int] = set()
        """Numbers of the signals that were received through the wake-up descriptor."""
        self._wake_read, self.wake_descriptor = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self.wake_descriptor, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        if listener is not None:
            self._selector.register(listener, selectors.EVENT_READ, "listener")

    def connect(self, coordinators: Sequence[Member], rank: int) -> None:
        """Opens this rank's connections to the coordinators.

        Args:
            coordinators: the coordinators, without this rank.
            rank: this rank.

        Raises:
            OSError: a coordinator cannot be reached; the message names it.
        """
        for coordinator in coordinators:
            address = (coordinator.address, coordinator.port)
            try:
                sock = socket.create_connection(address, timeout=_CONNECT_SECONDS)
            except OSError as error:
                raise OSError(
                    f"{coordinator.address}:{coordinator.port} of rank {coordinator.rank} on {coordinator.host}:"
                    f" {error}"
                ) from error
            connection = Connection(sock)
            connection.send(hello=self._token, rank=rank)
            self.coordinators[coordinator.rank] = connection
            self._selector.register(connection, selectors.EVENT_READ, (connection, coordinator.rank, True))

    def wake(self) -> None:
        """Ends a ``poll`` that is waiting."""
        with contextlib.suppress(OSError):
            os.write(self.wake_descriptor, _WAKE_BYTE)

    def poll(self, seconds: float) -> list[Arrival]:
        """Waits up to ``seconds`` and returns as soon as anything has arrived."""
        arrivals: list[Arrival] = []
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                self._read_wake_pipe()
            elif key.data == "listener":
                self._accept()
            else:
                arrivals += self._receive(*key.data)
        for connection in self._connections():
            connection.flush()
        return arrivals

    def send_to_coordinators(self, **message: Any) -> None:
        """Sends a message to all coordinators."""
        for connection in self.coordinators.values():
            connection.send(**message)

    def send_to_members(self, **message: Any) -> None:
        """Sends a message to all ranks that are connected to this coordinator."""
        for connection in self.members.values():
            connection.send(**message)

    def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections():
            connection.close()
        if self._listener is not None:
            self._listener.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self.wake_descriptor)

    def _connections(self) -> Iterator[Connection]:
        yield from self.coordinators.values()
        yield from self.members.values()

    def _read_wake_pipe(self) -> None:
        with contextlib.suppress(OSError):
            data = os.read(self._wake_read, _PIPE_READ_BYTES)
            self.signals.update(set(data) - set(_WAKE_BYTE))

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            sock, _ = self._listener.accept()
            connection = Connection(sock)
            # The rank is not known until the other end has sent the token.
            self._selector.register(connection, selectors.EVENT_READ, (connection, None, False))

    def _receive(self, connection: Connection, rank: int | None, from_coordinator: bool) -> list[Arrival]:
        arrivals = []
        for message in connection.receive():
            if rank is None:
                rank = self._identify(connection, message)
                if rank is None:
                    break
            else:
                arrivals.append(Arrival(rank, from_coordinator, message))
        if connection.is_closed:
            self._selector.unregister(connection)
            connection.close()
            if rank is not None:
                connections = self.coordinators if from_coordinator else self.members
                connections.pop(rank, None)
                arrivals.append(Arrival(rank, from_coordinator, None))
        return arrivals

    def _identify(self, connection: Connection, message: dict[str, Any]) -> int | None:
        """The rank that sent the first message, if it has the token. Otherwise the connection is closed."""
        token = message.get("hello")
        rank = message.get("rank")
        if isinstance(token, str) and isinstance(rank, int) and self._is_token(token):
            self.members[rank] = connection
            self._selector.modify(connection, selectors.EVENT_READ, (connection, rank, False))
            return rank
        connection.is_closed = True
        return None

    def _is_token(self, text: str) -> bool:
        # As bytes, because compare_digest raises for text that is not ASCII.
        return hmac.compare_digest(text.encode(errors="replace"), self._token.encode())
