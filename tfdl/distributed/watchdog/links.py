"""All connections of one rank: to the judges, and, on a judge, to everybody else."""

import contextlib
import hmac
import os
import selectors
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.wire import Connection

_CONNECT_SECONDS = 20.0
_WAKE = b"\0"  # no signal's number


@dataclass(frozen=True)
class Arrival:
    """A message, or the end of a connection (no message), from a judge to this rank or from a rank to this judge."""

    rank: int
    from_judge: bool
    message: dict[str, Any] | None


class Links:
    """Polled by the watchdog's thread alone; ``wake`` may be called by any.

    Args:
        listener: where the other ranks connect; closed on a rank that is no judge.
        token: what they must say first. Connections that say anything else are dropped.
    """

    def __init__(self, listener: socket.socket | None, token: str):
        self._listener, self._token = listener, token
        self.judges: dict[int, Connection] = {}
        self.members: dict[int, Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_read, self.wake_descriptor = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self.wake_descriptor, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self.signals: set[int] = set()
        """Numbers of the signals that came in through the wake-up descriptor."""
        if listener is not None:
            self._selector.register(listener, selectors.EVENT_READ, "listener")

    def connect(self, judges: Sequence[Member], rank: int) -> None:
        """Opens this rank's connections to the judges; ``OSError`` names the one that cannot be reached."""
        for judge in judges:
            try:
                sock = socket.create_connection((judge.address, judge.port), timeout=_CONNECT_SECONDS)
            except OSError as error:
                raise OSError(f"{judge.address}:{judge.port} of rank {judge.rank} on {judge.host}: {error}") from error
            connection = Connection(sock)
            connection.send(hello=self._token, rank=rank)
            self.judges[judge.rank] = connection
            self._selector.register(connection, selectors.EVENT_READ, (connection, judge.rank, True))

    def wake(self) -> None:
        """Ends a ``poll`` that waits."""
        with contextlib.suppress(OSError):
            os.write(self.wake_descriptor, _WAKE)

    def poll(self, seconds: float) -> list[Arrival]:
        """What arrives within this time; returns with the first of it."""
        arrivals: list[Arrival] = []
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                with contextlib.suppress(OSError):
                    self.signals.update(set(os.read(self._wake_read, 4096)) - set(_WAKE))
            elif key.data == "listener":
                self._accept()
            else:
                arrivals += self._receive(*key.data)
        for connection in (*self.judges.values(), *self.members.values()):
            connection.flush()
        return arrivals

    def to_judges(self, **message: Any) -> None:
        """Sends to every judge."""
        for connection in self.judges.values():
            connection.send(**message)

    def to_members(self, **message: Any) -> None:
        """Sends to every rank that is connected to this judge."""
        for connection in self.members.values():
            connection.send(**message)

    def close(self) -> None:
        """Ends all connections."""
        for connection in (*self.judges.values(), *self.members.values()):
            connection.close()
        if self._listener is not None:
            self._listener.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self.wake_descriptor)

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            sock, _ = self._listener.accept()
            connection = Connection(sock)
            self._selector.register(connection, selectors.EVENT_READ, (connection, None, False))

    def _receive(self, connection: Connection, rank: int | None, from_judge: bool) -> list[Arrival]:
        arrivals = []
        for message in connection.receive():
            if rank is None:
                rank = self._introduced(connection, message)
                if rank is None:
                    break
            else:
                arrivals.append(Arrival(rank, from_judge, message))
        if connection.is_closed:
            self._selector.unregister(connection)
            connection.close()
            if rank is not None:
                (self.judges if from_judge else self.members).pop(rank, None)
                arrivals.append(Arrival(rank, from_judge, None))
        return arrivals

    def _introduced(self, connection: Connection, message: dict[str, Any]) -> int | None:
        """The rank at the other end, if it knows the token; a stranger's connection ends."""
        hello, rank = message.get("hello"), message.get("rank")
        if isinstance(hello, str) and isinstance(rank, int) and hmac.compare_digest(hello, self._token):
            self.members[rank] = connection
            self._selector.modify(connection, selectors.EVENT_READ, (connection, rank, False))
            return rank
        connection.is_closed = True
        return None
