"""Answers the requests under ``/v1/models``."""

import asyncio
import logging
import time
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tfdl.errors import UserError, named_cause
from tfdl.serving.address import Address, parse_address
from tfdl.serving.body import read_body
from tfdl.serving.body_room import Place
from tfdl.serving.computing import converted, outputs_of
from tfdl.serving.errors import BAD_REQUEST, FAILED, TOO_LATE, RequestError, error_of_model
from tfdl.serving.examples import examples_of, json_of_classes
from tfdl.serving.image_sizes import check_image_sizes
from tfdl.serving.json_body import Body, read_object, shown
from tfdl.serving.model import Model
from tfdl.serving.reports import metadata_report, overview, status_report
from tfdl.serving.responses import JSON, error_response, json_response
from tfdl.serving.signature import CLASSIFY, Arrays, Signature
from tfdl.serving.state import ServerState
from tfdl.serving.tensors_in import inputs_of
from tfdl.serving.tensors_out import json_of_outputs
from tfdl.serving.text_answers import answer_text
from tfdl.serving.text_request import check_new_tokens, text_request
from tfdl.serving.version import Version
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE

PREFIX = "/v1/models/"
"""What the addresses of models begin with."""
_LOGGER = logging.getLogger("tfdl.serving")
_METHOD_NOT_ALLOWED = 405
_BODY_TOO_LATE = 408
# The client has gone, so nobody reads the answer. The number is that of nginx's logs.
_CLIENT_GONE = 499


@dataclass(eq=False)
class Record:
    """What is known of a request, for the metrics."""

    model: str = ""
    version: str = ""
    method: str = ""
    signature: str = ""
    has_body: bool = False
    """Whether the whole body has arrived."""


class Api:
    """The endpoints under ``/v1/models``.

    Args:
        state: of the server.
    """

    def __init__(self, state: ServerState):
        self._state = state

    async def list_models(self, request: Request) -> Response:  # noqa: ARG002
        """All models, for programs that do not know them."""
        return json_response(overview(self._state.models))

    async def answer(self, request: Request) -> Response:
        """Answers a request about one model, with an error if it cannot be served."""
        start = time.perf_counter()
        record = Record()
        try:
            response = await self._answer(request, record)
        except RequestError as error:
            response = error_response(error)
        except UserError as error:
            response = error_response(RequestError(BAD_REQUEST, str(error)))
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_GONE)
        except Exception as error:
            found = error_of_model(error)
            if found.status == FAILED:
                _LOGGER.error("a request for %s failed: %s", record.model, named_cause(error))
            response = error_response(found)
        seconds = time.perf_counter() - start
        self._state.metrics.count_request(
            record.model, record.version, record.method, record.signature, response.status_code, seconds
        )
        return response

    async def _answer(self, request: Request, record: Record) -> Response:
        # The route's own parameter would lack a line's end.
        address = parse_address(str(request.scope["path"]).removeprefix(PREFIX))
        record.method = address.method
        model = self._state.model(address.model)
        record.model = model.name
        if address.is_question:
            _check_method(request, "GET", "HEAD")
            return _report(model, address)
        _check_method(request, "POST")
        seconds = self._state.options.request_timeout
        try:
            async with asyncio.timeout(seconds):
                with self._state.bodies.place() as place:
                    return await self._answer_with(model, address, place, request, record)
        except TimeoutError as error:
            if not record.has_body:
                raise RequestError(_BODY_TOO_LATE, f"no whole body within {seconds:g} s", closes=True) from error
            raise RequestError(TOO_LATE, f"no answer of the model within {seconds:g} s") from error

    async def _answer_with(
        self, model: Model, address: Address, place: Place, request: Request, record: Record
    ) -> Response:
        """Answers a request that has a body."""
        data = await read_body(request, self._state.options.max_body, place)
        record.has_body = True
        body = await converted(len(data), read_object, data)
        del data
        with model.use(address.version) as version:
            record.version = str(version.number)
            if address.method == "generate":
                record.signature = address.method
                wanted = text_request(body, self._state.options.max_new_tokens)
                place.leave()
                return await answer_text(self._state, model, version, wanted, request)
            return await self._compute(version, address.method, body, place, record)

    async def _compute(self, version: Version, method: str, body: Body, place: Place, record: Record) -> Response:
        """Answers ``predict`` and ``classify``."""
        signature = _signature(version, method, body)
        record.signature = signature.name
        if method == "classify":
            examples = await converted(body.num_bytes, examples_of, body, signature)
            _forget(body, place)
            await _check_images(examples, version, signature)
            outputs = await outputs_of(version, signature, examples)
            content = await converted(_size(outputs), json_of_classes, outputs)
        else:
            arrays, is_row = await converted(body.num_bytes, inputs_of, body, signature)
            _forget(body, place)
            await _check_images(arrays, version, signature)
            check_new_tokens(arrays, signature, self._state.options.max_new_tokens)
            outputs = await outputs_of(version, signature, arrays)
            content = await converted(_size(outputs), json_of_outputs, outputs, is_row)
        return Response(content, media_type=JSON)


def _forget(body: Body, place: Place) -> None:
    """Frees a body that has become arrays, which are much smaller. The model may take its time."""
    body.clear()
    place.leave()


def _check_method(request: Request, *allowed: str) -> None:
    if request.method not in allowed:
        expected = " or ".join(allowed)
        raise RequestError(
            _METHOD_NOT_ALLOWED,
            f"{request.method} is not for this address, expected {expected}",
            allowed=", ".join(allowed),
        )


def _report(model: Model, address: Address) -> Response:
    if address.method == "status":
        return json_response(status_report(model.states(address.version)))
    with model.use(address.version) as version:
        return json_response(metadata_report(model, version))


def _signature(version: Version, method: str, body: Body) -> Signature:
    """The signature that a request names. Without a name it is the default one that has the method."""
    signatures = version.program.signatures
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(BAD_REQUEST, f"signature_name is {shown(name)}, expected a string")
    if not name and method == "classify":
        for signature in signatures.values():
            if signature.method == CLASSIFY:
                return signature
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise RequestError(
            BAD_REQUEST, f"the model has no signature {shown(name)}, expected one of {', '.join(signatures)}"
        )
    return signatures[name]


async def _check_images(arrays: Arrays, version: Version, signature: Signature) -> None:
    if version.program.description.get("image_shape"):
        size = sum(len(value) for array in arrays.values() if array.dtype == object for value in array.ravel())
        await converted(size, check_image_sizes, arrays, signature)


def _size(outputs: Arrays) -> int:
    return sum(array.nbytes for array in outputs.values())
