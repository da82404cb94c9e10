"""Tensors of one safetensors file, read one at a time from the mapped file.

The format is https://github.com/huggingface/safetensors: the length of a header in 8 bytes, the header in JSON, and the
bytes of the tensors. Reading it runs no code. The library ``safetensors`` returns no bfloat16 to NumPy, so the bytes
are read here.
"""

import json
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.errors import UserError

_LENGTH_BYTES = 8
# The format allows 100 MB, which would become some GB of Python's objects. A tensor takes about a hundred bytes.
_MOST_HEADER_BYTES = 16 * 2**20
# Bytes of a value.
_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class StoredTensor:
    """Where a file holds a tensor."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    """The first byte in the file."""

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


class TensorFile:
    """A safetensors file. Nothing but its header is read until a tensor is asked for.

    Args:
        path: the file.

    Attributes:
        tensors: name -> where the tensor is.

    Raises:
        UserError: not a safetensors file, or a damaged one.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise UserError(f"cannot read {str(path)!r} ({error}); expected a safetensors file") from error
        self.tensors = self._read_header()

    def read(self, name: str) -> np.ndarray:
        """One tensor as float32 (float16 and bfloat16 are converted exactly, float64 is rounded).

        Args:
            name: of the tensor.

        Raises:
            UserError: the tensor is not of floating-point numbers.
        """
        tensor = self.tensors[name]
        if tensor.dtype == "BF16":
            halves = np.frombuffer(self._bytes, "<u2", tensor.size, tensor.begin)
            values = (halves.astype(np.uint32) << 16).view(np.float32)
        elif tensor.dtype in _FLOATS:
            values = np.frombuffer(self._bytes, _FLOATS[tensor.dtype], tensor.size, tensor.begin)
        else:
            raise UserError(
                f"{str(self.path)!r} holds {name} in {tensor.dtype}, expected F32, F16 or BF16; quantized weights are"
                " not read"
            )
        return values.astype(np.float32, copy=False).reshape(tensor.shape)

    def _read_header(self) -> dict[str, StoredTensor]:
        total = len(self._bytes)
        length = int.from_bytes(self._bytes[:_LENGTH_BYTES], "little")
        if total < _LENGTH_BYTES or length > total - _LENGTH_BYTES:
            raise self._damaged("its header is longer than the file")
        if length > _MOST_HEADER_BYTES:
            raise self._damaged(f"its header has {length:,} bytes, expected at most {_MOST_HEADER_BYTES:,}")
        try:
            header = json.loads(self._bytes[_LENGTH_BYTES : _LENGTH_BYTES + length])
            header.pop("__metadata__", None)
            tensors = {name: self._stored(name, entry, _LENGTH_BYTES + length) for name, entry in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise self._damaged(f"its header cannot be read: {error!r}") from error
        self._check_order(tensors)
        return tensors

    def _check_order(self, tensors: dict[str, StoredTensor]) -> None:
        """Refuses tensors that share bytes: a small file could be a model that fills the memory."""
        end = 0
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
            if tensor.size and tensor.begin < end:
                raise self._damaged(f"{name} has bytes that another tensor has too")
            end = max(end, tensor.begin + tensor.size * _SIZES[tensor.dtype])

    def _stored(self, name: str, entry: dict[str, Any], data_begin: int) -> StoredTensor:
        dtype = entry["dtype"]
        shape = entry["shape"]
        begin, end = entry["data_offsets"]
        numbers = [*shape, begin, end]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise self._damaged(f"{name} has the shape {shape} at {begin} to {end}")
        if dtype not in _SIZES:
            raise UserError(f"{str(self.path)!r} holds {name} in {dtype}, expected F32, F16 or BF16")
        tensor = StoredTensor(dtype, tuple(shape), data_begin + begin)
        fits = end - begin == tensor.size * _SIZES[dtype] and data_begin + end <= len(self._bytes)
        if not fits:
            raise self._damaged(f"{name} of shape {shape} does not fit its bytes {begin} to {end}")
        return tensor

    def _damaged(self, reason: str) -> UserError:
        return UserError(f"{str(self.path)!r} is no safetensors file, or a damaged one: {reason}; download it anew")
