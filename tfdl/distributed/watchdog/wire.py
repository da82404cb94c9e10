"""The connections between the ranks' watchdogs: JSON objects over TCP, one per line, without blocking.

A rank sends to its coordinators:

- ``hello``, ``rank``: the token and the rank, as the first message;
- ``report``: the fields of ``rank_state.Report``, with every heartbeat;
- ``failed`` or ``broken``: exit code and line of the rank's own error, or of a collective that failed;
- ``stacks``: the rank's Python stacks, when a coordinator has requested them;
- ``bye``: ``done``, or ``asked`` after SIGTERM.

A coordinator sends to the other ranks:

- ``beat``: a heartbeat;
- ``stacks``: a request for the rank's Python stacks;
- ``told``: the rank's own error has been printed;
- ``end``, ``kill``, ``excused``: end with this exit code, after killing those ranks of your host, except that excused
  ranks end by themselves;
- ``kill`` alone: kill those ranks of your host;
- ``bye``: as above.
"""

import contextlib
import fcntl
import json
import os
import socket
import struct
from typing import Any

# Longer than any message: stacks are cut to much less.
_MAX_LINE_BYTES = 1 << 18
_READ_BYTES = 1 << 16
# Linux's request for the IPv4 address of a network interface, and its fields in `struct ifreq`.
_SIOCGIFADDR = 0x8915
_IFREQ_FORMAT = "256s"
_IFREQ_ADDRESS = slice(20, 24)


class Connection:
    """One end of a connection. What the kernel does not accept immediately is kept for the next ``flush``."""

    def __init__(self, sock: socket.socket):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._received = b""
        self._unsent = b""
        self.is_closed = False

    def fileno(self) -> int:
        """The socket's descriptor, for a selector."""
        return self._socket.fileno()

    def send(self, **message: Any) -> None:
        """Sends a message or keeps it for later. If the peer has read nothing for very long, the message is dropped."""
        if len(self._unsent) < _MAX_LINE_BYTES:
            self._unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Sends as much as the kernel accepts."""
        try:
            while self._unsent and not self.is_closed:
                num_sent = self._socket.send(self._unsent)
                self._unsent = self._unsent[num_sent:]
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True

    def receive(self) -> list[dict[str, Any]]:
        """Returns the messages that have arrived.

        Sets ``is_closed`` if the connection has ended or carries anything other than JSON objects.
        """
        self._read()
        *lines, self._received = self._received.split(b"\n")
        messages = []
        for line in lines:
            message = _parse(line)
            if message is None:
                self.is_closed = True
                break
            messages.append(message)
        return messages

    def _read(self) -> None:
        """Reads until the kernel has nothing more, the connection ends, or a line is too long."""
        try:
            while data := self._socket.recv(_READ_BYTES):
                self._received += data
                if len(self._received) > _MAX_LINE_BYTES:
                    break
            self.is_closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True

    def close(self) -> None:
        """Closes the connection."""
        self.is_closed = True
        with contextlib.suppress(OSError):
            self._socket.close()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def listen(address: str, backlog: int) -> socket.socket:
    """Opens a listening socket on a free port.

    Args:
        address: the only address on which it listens.
        backlog: how many connections may wait to be accepted.
    """
    listener = socket.create_server((address, 0), backlog=backlog)
    listener.setblocking(False)
    return listener


def own_address(one_host: bool) -> str:
    """Returns the IPv4 address under which the other ranks reach this one.

    On one host that is the loopback address. On several hosts it is the address of the network interface that
    horovodrun chose; without one, the address from which this host reaches horovodrun; else that of the host's name.
    """
    if one_host:
        return "127.0.0.1"
    address = _address_of_interface(os.environ.get("HOROVOD_GLOO_IFACE", ""))
    launcher = os.environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR")
    if address is None and launcher:
        address = source_towards(launcher)
    return address or socket.gethostbyname(socket.gethostname())


def _address_of_interface(name: str) -> str | None:
    if not name:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack(_IFREQ_FORMAT, name.encode()[:15])
        try:
            reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
        except OSError:
            return None
        return socket.inet_ntoa(reply[_IFREQ_ADDRESS])


def source_towards(address: str) -> str | None:
    """Returns the address from which the kernel would send to ``address``. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
            source: str = probe.getsockname()[0]
        except OSError:
            return None
    return source
