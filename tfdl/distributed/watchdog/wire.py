"""How the ranks' watchdogs talk: JSON objects, one a line, over TCP, without ever waiting."""

import contextlib
import fcntl
import json
import os
import socket
import struct
from typing import Any

# Longer than any message: stacks are cut well below it.
_LONGEST_LINE = 1 << 18
_READ = 1 << 16
_SIOCGIFADDR = 0x8915


class Connection:
    """One end of a connection; what the kernel does not take at once waits for the next ``flush``."""

    def __init__(self, sock: socket.socket):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._in, self._out = sock, b"", b""
        self.is_closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, **message: Any) -> None:
        """Sends, or keeps for later; to a peer that takes nothing for very long, nothing more is sent."""
        if len(self._out) < _LONGEST_LINE:
            self._out += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Gives the kernel what it takes."""
        try:
            while self._out and not self.is_closed:
                self._out = self._out[self._socket.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True

    def receive(self) -> list[dict[str, Any]]:
        """The messages that have arrived. Sets ``is_closed`` at the connection's end, or when it carries nonsense."""
        try:
            while data := self._socket.recv(_READ):
                self._in += data
                if len(self._in) > _LONGEST_LINE:
                    break
            self.is_closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True
        *lines, self._in = self._in.split(b"\n")
        messages = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if not isinstance(message, dict):
                self.is_closed = True
                break
            messages.append(message)
        return messages

    def close(self) -> None:
        """Ends the connection."""
        self.is_closed = True
        with contextlib.suppress(OSError):
            self._socket.close()


def listen(address: str, backlog: int) -> socket.socket:
    """A listening socket on a free port of this address alone."""
    listener = socket.create_server((address, 0), backlog=backlog)
    listener.setblocking(False)
    return listener


def own_address(one_host: bool) -> str:
    """The IPv4 address under which the other ranks reach this one.

    On one host it is the loopback address. Else it is that of the network interface that horovodrun chose, or the one
    from which this host reaches horovodrun, or that of the host's name.
    """
    if one_host:
        return "127.0.0.1"
    found = _address_of_interface(os.environ.get("HOROVOD_GLOO_IFACE", ""))
    if found is None and (launcher := os.environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR")):
        found = source_towards(launcher)
    return found or socket.gethostbyname(socket.gethostname())


def _address_of_interface(name: str) -> str | None:
    if not name:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", name.encode()[:15])
        try:
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
        except OSError:
            return None


def source_towards(address: str) -> str | None:
    """The address that the kernel would send from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
            found: str = probe.getsockname()[0]
        except OSError:
            return None
    return found
