"""Answers in JSON."""

import json
from typing import Any

from starlette.responses import Response

from tfdl.serving.errors import RequestError

JSON = "application/json"


def json_response(values: Any, status: int = 200) -> Response:
    """An answer for people and programs, in many lines.

    Args:
        values: plain data.
        status: of HTTP.
    """
    return Response(json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n", status, media_type=JSON)


def compact_response(values: Any) -> Response:
    """An answer for programs, in one line.

    Args:
        values: plain data.
    """
    return Response(json.dumps(values, ensure_ascii=False).encode() + b"\n", media_type=JSON)


def error_response(error: RequestError) -> Response:
    """An error as TensorFlow Serving writes it.

    Args:
        error: what is wrong.
    """
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.closes:
        headers["Connection"] = "close"
    if error.allowed:
        headers["Allow"] = error.allowed
    content = json.dumps({"error": error.message}).encode() + b"\n"
    return Response(content, error.status, headers, media_type=JSON)
