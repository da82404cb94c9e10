"""The socket of a server. It is opened before the models are loaded, which takes longer."""

import errno
import ipaddress
import socket

from tfdl.errors import UserError
from tfdl.serving.guard import LOOPBACK

BACKLOG = 2048
"""Connections that wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Opens a socket.

    Args:
        host: a name or an address of this machine.
        port: its number; 0 chooses a free one.

    Raises:
        UserError: the port is in use, or the host is not of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host!r} is unknown, expected an address of this machine such as 127.0.0.1") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(_problem(host, port, error)) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of a server, such as ``http://127.0.0.1:8501``.

    Args:
        listener: its socket.
    """
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach a server.

    Args:
        listener: its socket.
    """
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def names_of(listener: socket.socket, host: str) -> frozenset[str] | None:
    """The names by which clients may ask a server; ``None`` for any, if other machines can reach it.

    Args:
        listener: its socket.
        host: the name or the address that it was opened with.
    """
    if not is_loopback(listener):
        return None
    return LOOPBACK | {_in_header(name.lower()) for name in (host, listener.getsockname()[0])}


def _in_header(name: str) -> str:
    """A name or an address as the header ``Host`` has it."""
    return f"[{name}]" if ":" in name else name


def _problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; give another with --port, or --port 0 for a free one"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} is only for the administrator, expected a port from 1024 to 65535"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host!r} is not an address of this machine, expected one such as 127.0.0.1"
    return f"cannot listen at port {port} of {host!r}: {error.strerror}"
