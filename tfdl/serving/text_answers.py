"""Answers the method ``generate``: a text at once, or piece by piece in server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from tfdl.errors import UserError
from tfdl.inference.generation.generated_text import GeneratedText
from tfdl.inference.generation.served_generation import GENERATE
from tfdl.serving.computing import outputs_of
from tfdl.serving.errors import BAD_REQUEST, RequestError, error_of_model
from tfdl.serving.model import Model
from tfdl.serving.responses import compact_response
from tfdl.serving.state import ServerState
from tfdl.serving.streams import Item
from tfdl.serving.text_request import TextRequest, inputs_of_text
from tfdl.serving.version import Version

_EVENTS = "text/event-stream"
# Proxies must not hold events back.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def answer_text(
    state: ServerState, model: Model, version: Version, wanted: TextRequest, request: Request
) -> Response:
    """Writes a text.

    Args:
        state: of the server.
        model: the model.
        version: of the model.
        wanted: what the client asks for.
        request: the request, whose client may go away.

    Raises:
        RequestError: the model writes no texts, or not this one.
    """
    if version.program.writer is None:
        result = await _text_of_saved_model(version, wanted)
        state.metrics.count_tokens(model.name, version.number, result["tokens"])
        return _single_event(result) if wanted.is_streamed else compact_response(result)
    items = _counted(state, model, version, wanted)
    if wanted.is_streamed:
        first = await anext(items)  # what is wrong with the request is found before the answer begins
        return StreamingResponse(_events(first, items), headers=_HEADERS, media_type=_EVENTS)
    async with aclosing(items):
        text = await _until_disconnect(request, _whole(items))
    return compact_response(_result(text))


async def _counted(
    state: ServerState, model: Model, version: Version, wanted: TextRequest
) -> AsyncGenerator[Item, None]:
    """The pieces of a text. The version stays loaded until the text ends, and its tokens are counted."""
    writer = version.program.writer
    assert writer is not None
    version.take_again()  # a stream goes on when the request has been answered with its first piece
    try:
        async with aclosing(state.streams.pieces(writer, wanted)) as items:
            async for item in items:
                if isinstance(item, GeneratedText):
                    state.metrics.count_tokens(model.name, version.number, len(item.tokens))
                yield item
    finally:
        version.give_back()


async def _whole(items: AsyncGenerator[Item, None]) -> GeneratedText:
    async for item in items:
        if isinstance(item, GeneratedText):
            return item
    raise AssertionError("the text did not end")


async def _until_disconnect(request: Request, text: Coroutine[Any, Any, GeneratedText]) -> GeneratedText:
    """The text, if it is ready before the client goes away."""
    writing = asyncio.ensure_future(text)
    leaving = asyncio.ensure_future(_disconnect(request))
    try:
        done, _ = await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if writing in done:
            return writing.result()
        raise ClientDisconnect
    finally:
        for task in (writing, leaving):
            task.cancel()
        await asyncio.gather(writing, leaving, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(first: Item, items: AsyncGenerator[Item, None]) -> AsyncGenerator[bytes, None]:
    """Server-sent events: the pieces, and at the end the whole text. An error is the last event."""
    async with aclosing(items):
        yield _event_of(first)
        try:
            async for item in items:
                yield _event_of(item)
        except UserError as error:
            yield _event({"error": str(error)})
        except Exception as error:
            yield _event({"error": error_of_model(error).message})


def _event_of(item: Item) -> bytes:
    if isinstance(item, GeneratedText):
        return _event({"done": True, **_result(item)})
    return _event({"piece": item})


def _single_event(result: dict[str, Any]) -> Response:
    """A SavedModel writes the whole text in one call, so there is one event."""
    return Response(_event({"done": True, **result}), headers=_HEADERS, media_type=_EVENTS)


def _event(values: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(values, ensure_ascii=False).encode() + b"\n\n"


def _result(text: GeneratedText) -> dict[str, Any]:
    return {
        "generated": text.text,
        "tokens": len(text.tokens),
        "finish": text.finish,
        "log_probability": text.log_probability,
    }


async def _text_of_saved_model(version: Version, wanted: TextRequest) -> dict[str, Any]:
    signature = version.program.signatures.get(GENERATE)
    if signature is None:
        raise RequestError(BAD_REQUEST, "the model has no signature 'generate', so it writes no texts; use :predict")
    outputs = await outputs_of(version, signature, inputs_of_text(wanted, signature))
    return {
        "generated": outputs["generated"][0].decode(errors="replace"),
        "tokens": int(outputs["tokens"][0]),
        "log_probability": float(outputs["log_probability"][0]),
    }
