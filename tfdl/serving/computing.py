"""Waiting for a model, and for conversions of large data."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from tfdl.errors import named_cause
from tfdl.serving.errors import FAILED, error_of_model
from tfdl.serving.signature import Arrays, Signature
from tfdl.serving.version import Version

_LOGGER = logging.getLogger("tfdl.serving")
# Larger bodies and answers are converted by another thread, so that the event loop answers others meanwhile.
_LARGE = 64 * 2**10
# One at a time: Python computes one at a time anyway, and each takes many times its size.
_CONVERTING = ThreadPoolExecutor(1, thread_name_prefix="converting")

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


async def outputs_of(version: Version, signature: Signature, arrays: Arrays) -> Arrays:
    """What a function of a model answers.

    Args:
        version: of the model.
        signature: the function.
        arrays: its inputs.

    Raises:
        RequestError: too many requests wait, or the model failed.
    """
    try:
        return await version.batcher.submit(signature, arrays)
    except Exception as error:
        found = error_of_model(error)
        if found.status == FAILED:
            _LOGGER.error("signature %s failed: %s", signature.name, named_cause(error))
        raise found from error


async def converted(
    size: int, convert: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """Calls a function of Python, in another thread if it will take long. That thread does one after the other.

    Args:
        size: of its data, in bytes.
        convert: the function.
        *arguments: of the function.
        **named: of the function.
    """
    if size <= _LARGE:
        return convert(*arguments, **named)
    return await asyncio.get_running_loop().run_in_executor(_CONVERTING, partial(convert, *arguments, **named))
