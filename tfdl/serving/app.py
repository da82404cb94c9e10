"""The web application: addresses, and what answers them."""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tfdl.serving.access_log import AccessLog
from tfdl.serving.api import PREFIX, Api
from tfdl.serving.errors import FAILED, NOT_FOUND, OVERLOADED, RequestError
from tfdl.serving.guard import LOOPBACK, Guard
from tfdl.serving.responses import error_response, json_response
from tfdl.serving.state import ServerState

_LOGGER = logging.getLogger("tfdl.serving")
_PAGE = Path(__file__).parent / "page"
# The page's own policy, and what only a header can say: no other site may show the page in a frame.
_POLICY = "frame-ancestors 'none'"
_PROMETHEUS = "text/plain; version=0.0.4"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def make_app(state: ServerState, *, hosts: Collection[str] | None = LOOPBACK) -> Starlette:
    """The application.

    Args:
        state: of the server.
        hosts: names that the server has; ``None`` stands for any.
    """
    api = Api(state)
    routes: list[BaseRoute] = [
        Route("/v1/models", api.list_models),
        Route(f"{PREFIX}{{path:path}}", api.answer, methods=_METHODS),
        Route("/healthz", _health),
        Route("/readyz", _readiness(state)),
        Route("/metrics", _metrics(state)),
    ]
    if _PAGE.is_dir():
        routes.append(Mount("/", _Page(directory=_PAGE, html=True)))
    middleware = [Middleware(Guard, hosts=hosts)]
    if state.options.log_requests:
        middleware.insert(0, Middleware(AccessLog))
    handlers: Any = {HTTPException: _http_error, RequestError: _request_error, Exception: _unexpected_error}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


class _Page(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = _POLICY
        return response


async def _health(request: Request) -> Response:  # noqa: ARG001
    return json_response({"status": "alive"})


def _readiness(state: ServerState) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:  # noqa: ARG001
        if state.is_draining:
            return error_response(RequestError(OVERLOADED, "the server is ending"))
        missing = [name for name, model in state.models.items() if not model.numbers]
        if missing:
            return error_response(RequestError(OVERLOADED, f"not loaded: {', '.join(missing)}"))
        return json_response({"status": "ready"})

    return answer


def _metrics(state: ServerState) -> Callable[[Request], Any]:
    def queues() -> list[tuple[str, int, int]]:
        return [queue for model in state.models.values() for queue in model.queues()]

    async def answer(request: Request) -> Response:  # noqa: ARG001
        return PlainTextResponse(state.metrics.text(queues), media_type=_PROMETHEUS)

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:80]!a}: {error.detail}"
    if error.status_code == NOT_FOUND:
        message += "; expected an address under /v1/models, /healthz, /readyz or /metrics"
    allowed = (error.headers or {}).get("Allow", "")
    return error_response(RequestError(error.status_code, message, allowed=allowed))


async def _request_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, RequestError)
    return error_response(error)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    _LOGGER.error("%s %a failed", request.method, request.url.path[:80], exc_info=error)
    return error_response(RequestError(FAILED, f"the server failed with {type(error).__name__}; its log has the error"))
