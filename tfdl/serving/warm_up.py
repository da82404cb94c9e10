"""Calls every function of a model once, so that the first request does not wait for TensorFlow's preparations."""

import io
import logging
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tfdl.errors import UserError, first_line
from tfdl.serving.program import Program
from tfdl.serving.signature import STRING, Arrays, Signature, TensorInfo
from tfdl.serving.text_writer import TextSettings
from tfdl.tasks.classify_signature import example_of_bytes
from tfdl.tasks.image_serving import example

_LOGGER = logging.getLogger("tfdl.serving")
_TEXT = b"a"
# Settings of the signature `generate`.
_SETTINGS = {"max_new_tokens": 2, "temperature": 1.0, "top_k": 2, "top_p": 0.9, "seed": 0}
_EXAMPLES = ("examples", "inputs")


def warm_up(program: Program) -> None:
    """Calls each signature with a sample, and writes a short text. What fails is skipped: a sample is only a guess.

    Args:
        program: the model.
    """
    for name, signature in program.signatures.items():
        try:
            program.call(name, sample_of(signature, program.description))
        except Exception as error:
            _LOGGER.debug("%s was not called before the first request: %s", name, first_line(error))
    if program.writer is not None:
        try:
            settings = TextSettings(max_new_tokens=2)
            program.writer.write(_TEXT.decode(), settings, lambda _: None, lambda: True)
        except UserError:
            pass  # the tokenizer has no such letter


def sample_of(signature: Signature, description: Any) -> Arrays:
    """Inputs that the function probably takes: one row, of zeros or of a short string.

    Args:
        signature: the function.
        description: of the model.
    """
    return {name: _sample(name, info, description) for name, info in signature.inputs.items()}


def _sample(name: str, info: TensorInfo, description: Any) -> np.ndarray:
    sizes = info.shape or ()
    image_shape = description.get("image_shape")
    shape = tuple(1 if size is None else size for size in sizes)
    if image_shape and len(sizes) == 4:
        shape = (1, *image_shape)
    if info.dtype == STRING:
        value = _string(name, image_shape)
        return np.full(shape, value, object)
    dtype = tf.as_dtype(info.dtype).as_numpy_dtype
    return np.full(shape, _SETTINGS.get(name, 0) if shape == () else 0, dtype)


def _string(name: str, image_shape: Any) -> bytes:
    if not image_shape:
        return example_of_bytes("text", _TEXT) if name in _EXAMPLES else _TEXT
    height, width, channels = image_shape
    pixels = np.zeros((height, width) if channels == 1 else (height, width, channels), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return example(stream.getvalue()) if name in _EXAMPLES else stream.getvalue()
