"""The sizes of images in requests, before a model decodes them: a small file can have very many pixels."""

import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.signature import STRING, Arrays, Signature

MOST_PIXELS = 64 * 2**20
"""Of all images of a request together."""
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_EXAMPLES = ("examples", "inputs")
# What decoders skip before the code of a JPEG's segment.
_SEGMENT = re.compile(rb"\xff+([\x01-\xfe])")
_MOST_SEGMENTS = 10_000
# Codes that no length follows.
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
# Codes of the segments that have the size: all kinds of frames.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def check_image_sizes(arrays: Arrays, signature: Signature) -> None:
    """Checks that a request's images have not too many pixels, by the sizes in their headers.

    Args:
        arrays: inputs of a model of images.
        signature: the function that takes them.

    Raises:
        RequestError: they have too many.
    """
    pixels = 0
    for name, info in signature.inputs.items():
        if info.dtype != STRING:
            continue
        for value in arrays[name].ravel():
            pixels += sum(map(_num_pixels, _files_of(value, name)))
    if pixels > MOST_PIXELS:
        raise RequestError(
            BAD_REQUEST, f"the images have {pixels:,} pixels together, expected at most {MOST_PIXELS:,} in one request"
        )


def _files_of(value: bytes, name: str) -> Iterator[bytes]:
    """A file, or the files in a tf.Example."""
    if name not in _EXAMPLES or value.startswith((_PNG, _JPEG)):
        yield value
        return
    try:
        features: Any = tf.train.Example.FromString(value).features.feature
    except DecodeError:
        return  # the model says what is wrong
    for feature in features.values():
        yield from feature.bytes_list.value


def _num_pixels(data: bytes) -> int:
    """The pixels of a PNG or JPEG file; 0 for another one."""
    if data.startswith(_PNG):
        return int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
    return _pixels_of_jpeg(data) if data.startswith(_JPEG) else 0


def _pixels_of_jpeg(data: bytes) -> int:
    place = 2
    for _ in range(_MOST_SEGMENTS):
        segment = _SEGMENT.search(data, place)
        if segment is None:
            return 0
        code, place = segment[1][0], segment.end()
        if code in _FRAMES:
            return int.from_bytes(data[place + 3 : place + 5], "big") * int.from_bytes(
                data[place + 5 : place + 7], "big"
            )
        if code not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")
    raise RequestError(BAD_REQUEST, f"a JPEG file has more than {_MOST_SEGMENTS} segments before its size")
