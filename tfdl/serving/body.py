"""Reads the body of a request, up to a limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request

from tfdl.serving.body_room import Place
from tfdl.serving.errors import BAD_REQUEST, TOO_LARGE, RequestError

_UNSUPPORTED = 415
# A client that still sends when its connection is closed often loses the answer. So a body that is too large is read
# and dropped, up to these limits.
_MOST_DROPPED = 256 * 2**20
_DROPPING_SECONDS = 10.0
# What clients of TensorFlow Serving send: curl -d sends the second one.
_CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/plain")
_UTF_8 = ("utf-8", "utf8", "us-ascii")


async def read_body(request: Request, most_bytes: int, place: Place) -> bytes:
    """The body of a request.

    Args:
        request: the request.
        most_bytes: its largest size.
        place: counts its bytes.

    Raises:
        RequestError: it is too large, has no place, or is of a type or encoding that is not JSON in UTF-8.
    """
    _check_headers(request)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        if request.headers.get("expect", "").lower() != "100-continue":  # such a client waits for the answer first
            await _drop(request.stream())
        raise _too_large(f"has {length} bytes", most_bytes)
    pieces: list[bytes] = []
    size = 0
    arriving = request.stream()
    async for piece in arriving:
        size += len(piece)
        if size > most_bytes:
            pieces.clear()
            await _drop(arriving)
            raise _too_large("is larger than that", most_bytes)
        place.take(len(piece))
        pieces.append(piece)
    if not size:
        raise RequestError(BAD_REQUEST, 'the body is empty, expected JSON such as {"instances": ...}')
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _drop(pieces: AsyncIterator[bytes]) -> None:
    """Reads the rest of a body that nobody uses."""
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DROPPING_SECONDS):
            async for piece in pieces:
                size += len(piece)
                if size > _MOST_DROPPED:
                    return


def _too_large(found: str, most_bytes: int) -> RequestError:
    message = f"the body {found}, expected at most {most_bytes} bytes (--max-body of the server)"
    return RequestError(TOO_LARGE, message, closes=True)


def _check_headers(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise RequestError(_UNSUPPORTED, f"Content-Encoding {encoding[:40]!a}, expected a body that is not compressed")
    kind, _, parameters = request.headers.get("content-type", _CONTENT_TYPES[0]).partition(";")
    if kind.strip().lower() not in _CONTENT_TYPES:
        raise RequestError(_UNSUPPORTED, f"Content-Type {kind[:40]!a}, expected {_CONTENT_TYPES[0]}")
    name, _, charset = parameters.strip().partition("=")
    if name.lower() == "charset" and charset.strip('"').lower() not in _UTF_8:
        raise RequestError(_UNSUPPORTED, f"Content-Type with charset {charset[:40]!a}, expected UTF-8")
