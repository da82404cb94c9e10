"""Writes safetensors files tensor by tensor, so that no second copy of a model is in memory."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# NumPy's name -> the format's name.
_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_SIZES = {name: np.dtype(dtype).itemsize for dtype, name in _DTYPES.items() if dtype != "bfloat16"} | {"BF16": 2}
_ALIGNMENT = 8


@dataclass(frozen=True)
class Entry:
    """A tensor to write."""

    name: str
    dtype: str
    """In the format's words, such as ``F32``."""
    shape: tuple[int, ...]
    value: Callable[[], np.ndarray]
    """Called when the tensor is written."""

    @property
    def num_bytes(self) -> int:
        """The number of bytes of the values."""
        return math.prod(self.shape) * _SIZES[self.dtype]


def write_entries(path: Path, entries: Iterable[Entry], metadata: Mapping[str, str]) -> None:
    """Writes a file. Python writes the bytes, so a full disk is an ``OSError`` with its number.

    Args:
        path: the file.
        entries: the tensors. Wider numbers come first, so that all are aligned.
        metadata: for the header.
    """
    ordered = sorted(entries, key=lambda entry: (-_SIZES[entry.dtype], entry.name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for entry in ordered:
        end = begin + entry.num_bytes
        header[entry.name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for entry in ordered:
            value = np.ascontiguousarray(entry.value())
            file.write(value.reshape(-1).view(np.uint8).data)


def dtype_name(dtype: str) -> str:
    """The format's name of a dtype.

    Args:
        dtype: NumPy's name.
    """
    return _DTYPES[dtype]
