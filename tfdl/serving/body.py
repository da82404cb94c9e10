"""Reads the body of a request, up to a limit."""

from starlette.requests import Request

from tfdl.serving.errors import BAD_REQUEST, TOO_LARGE, RequestError

_UNSUPPORTED = 415
# What clients of TensorFlow Serving send: curl -d sends the second one.
_CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/plain")
_UTF_8 = ("utf-8", "utf8", "us-ascii")


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request.

    Args:
        request: the request.
        most_bytes: its largest size.

    Raises:
        RequestError: it is too large, or of a type or encoding that is not JSON in UTF-8.
    """
    _check_headers(request)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise _too_large(f"has {length} bytes", most_bytes)
    pieces = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most_bytes:
            raise _too_large("is larger than that", most_bytes)
        pieces.append(piece)
    if not size:
        raise RequestError(BAD_REQUEST, 'the body is empty, expected JSON such as {"instances": ...}')
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


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
