"""Memory for the bodies of requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from tfdl.serving.errors import OVERLOADED, RequestError


class BodyRoom:
    """Counts the bytes of all bodies that are being read or converted. Only the event loop uses it.

    Args:
        most_bytes: at a time, over all requests.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes = most_bytes
        self._num_bytes = 0

    @property
    def num_bytes(self) -> int:
        """Bytes that are held now."""
        return self._num_bytes

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """A place for one body, which is free again after the block."""
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def take(self, num_bytes: int) -> None:
        """Counts bytes that have arrived. Those that a client only promises do not count, since it could wait.

        Args:
            num_bytes: of a piece.

        Raises:
            RequestError: there is no room for them.
        """
        if self._num_bytes + num_bytes > self._most_bytes:
            raise RequestError(
                OVERLOADED, "the bodies of other requests take all the room; try again later", 1, closes=True
            )
        self._num_bytes += num_bytes

    def give_back(self, num_bytes: int) -> None:
        """Ends the use of bytes.

        Args:
            num_bytes: that were taken.
        """
        self._num_bytes -= num_bytes


class Place:
    """The bytes of one body.

    Args:
        room: of all bodies.
    """

    def __init__(self, room: BodyRoom):
        self._room = room
        self._num_bytes = 0

    def take(self, num_bytes: int) -> None:
        """Counts bytes that have arrived; see ``BodyRoom``.

        Args:
            num_bytes: of a piece.
        """
        self._room.take(num_bytes)
        self._num_bytes += num_bytes

    def leave(self) -> None:
        """Ends the use of all bytes."""
        self._room.give_back(self._num_bytes)
        self._num_bytes = 0
