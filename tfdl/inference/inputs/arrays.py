"""Numbers as inputs: files of arrays, JSON lines, and numbers in the columns of tables."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.files.bad_rows import BadRow, place_of_row, printable
from tfdl.data.files.encodings import open_text
from tfdl.data.files.readers import columns_of_file, reader_of
from tfdl.data.files.rows import GoodRow, Reader, ReadOptions
from tfdl.data.labels import shown
from tfdl.errors import UserError
from tfdl.inference.inputs.arguments import STANDARD_INPUT, lines_of_standard_input, paths_of
from tfdl.inference.inputs.json_lines import json_values, kept_values
from tfdl.inference.inputs.kept_columns import check_kept, refuse_kept
from tfdl.inference.inputs.options import InputOptions
from tfdl.inference.items import BadItem, Item
from tfdl.memory import available_bytes

_JSON_LINES = (".jsonl", ".ndjson")
_SHARE_OF_MEMORY = 4
_WHAT = "files of arrays (.npy, .npz), JSON lines or tables"
Signature = Mapping[str, tf.TensorSpec]


def array_items(arguments: Sequence[str], signature: Signature, options: InputOptions) -> Iterator[Item | BadItem]:
    """The samples, in the order of the arguments.

    Args:
        arguments: what the user gave.
        signature: input name -> shape and dtype, with the samples as the first axis.
        options: how tables are read.

    Raises:
        UserError: no such file, a file of another kind, or other arrays or columns than the signature's.
    """
    sources = [_source(argument, signature, options) for argument in arguments]
    return (item for source in sources for item in source)


def items_of_arrays(where: str, arrays: Mapping[str, Any], signature: Signature) -> Iterator[Item | BadItem]:
    """The rows of arrays.

    Args:
        where: where they come from; empty if unknown.
        arrays: input name -> array with the samples as the first axis.
        signature: as for ``array_items``.

    Raises:
        UserError: other names than the signature's, or arrays of unequal lengths.
    """
    prefix = f"{where}: " if where else ""
    if set(arrays) != set(signature):
        raise UserError(f"{prefix}arrays {shown(sorted(arrays))}, expected {shown(list(signature))}")
    single = [name for name, array in arrays.items() if not np.ndim(array)]
    if single:
        raise UserError(f"{prefix}{single[0]} is one number, expected an array with the samples as its first axis")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"{prefix}arrays of {lengths} samples, expected equally many in each")
    (count,) = set(lengths.values())
    return (
        Item(f"{where} row {number + 1}" if where else "", {name: array[number] for name, array in arrays.items()})
        for number in range(count)
    )


def _source(argument: str, signature: Signature, options: InputOptions) -> Iterator[Item | BadItem]:
    if argument == STANDARD_INPUT:
        lines = lines_of_standard_input(options.encoding)
        return _json_rows("standard input", lines, signature, options)
    sources = [_of_file(path, signature, options) for path in paths_of(argument, _WHAT)]
    return (item for source in sources for item in source)


def _of_file(path: Path, signature: Signature, options: InputOptions) -> Iterator[Item | BadItem]:
    ending = path.suffix.lower()
    if ending in (".npy", ".npz"):
        refuse_kept(printable(path), options.kept)
        return items_of_arrays(printable(path), _loaded(path, signature), signature)
    if ending in _JSON_LINES:
        return _json_file(path, signature, options)
    read = None if path.is_dir() else reader_of(path)
    if read is None:
        raise UserError(f"{printable(path)} is of another kind, expected {_WHAT}")
    return _table(path, read, signature, options)


def _loaded(path: Path, signature: Signature) -> Mapping[str, Any]:
    """The arrays of a file, without running code: pickled objects are refused."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if len(signature) > 1:
                raise UserError(f"{printable(path)} is one array, expected a .npz with {shown(list(signature))}")
            return {next(iter(signature)): loaded}
        with loaded:
            _check_memory(path)
            return {name: loaded[name] for name in loaded.files}
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{printable(path)} has arrays that do not fit in memory ({error})") from error
    except (ValueError, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{printable(path)} cannot be read as arrays ({error}); write it with numpy.save") from error


def _check_memory(path: Path) -> None:
    """Refuses packed arrays that do not fit in memory: a small file may hold very large ones."""
    with zipfile.ZipFile(path) as archive:
        needed = sum(member.file_size for member in archive.infolist())
    available = available_bytes()
    if needed > available // _SHARE_OF_MEMORY:
        raise UserError(
            f"{printable(path)} has arrays of {needed:,} bytes, expected at most a quarter of the free memory"
            f" of {available:,} bytes; give a .npy file, which is read in parts, or several smaller files"
        )


def _json_file(path: Path, signature: Signature, options: InputOptions) -> Iterator[Item | BadItem]:
    with open_text(path, options.encoding, newline=None) as file:
        yield from _json_rows(printable(path), enumerate(file, 1), signature, options)


def _json_rows(where: str, lines: Any, signature: Signature, options: InputOptions) -> Iterator[Item | BadItem]:
    """A JSON object on each line, which has each input by its name; or the only input itself, as a list."""
    names = list(signature)
    for name, value in json_values(where, lines, options.encoding):
        if isinstance(value, BadItem):
            yield value
            continue
        if not isinstance(value, dict) and len(names) > 1:
            yield BadItem(name, f"a JSON {type(value).__name__}, expected an object with {shown(names)}")
            continue
        values = value if isinstance(value, dict) else {names[0]: value}
        missing = [key for key in names if key not in values]
        if missing:
            yield BadItem(name, f"no {missing[0]!r} in it, expected {shown(names)}")
            continue
        yield Item(name, {key: values[key] for key in names}, kept_values(values, options.kept))


def _table(path: Path, read: Reader, signature: Signature, options: InputOptions) -> Iterator[Item | BadItem]:
    """Numbers in columns: an input of one number has a column of its name, one of n numbers has n columns."""
    read_options = ReadOptions(options.encoding, options.delimiter)
    known = columns_of_file(path, read, read_options)
    check_kept(path, known, options.kept)
    columns = _columns_of_inputs(path, known.names, signature, options)
    return (_table_item(path, row, columns, signature, options.kept) for row in read(path, read_options))


def _table_item(
    path: Path, row: GoodRow | BadRow, columns: Mapping[str, list[str]], signature: Signature, kept: Sequence[str]
) -> Item | BadItem:
    if isinstance(row, BadRow):
        return BadItem.of_row(row)
    number, values = row
    name = place_of_row(path, number)
    inputs = {}
    for key, group in columns.items():
        missing = [column for column in group if column not in values]
        if missing:
            return BadItem(name, f"no {missing[0]!r} in it")
        cells = [values[column] for column in group]
        inputs[key] = cells if signature[key].shape.rank == 2 else cells[0]
    return Item(name, inputs, {column: values.get(column, "") for column in kept})


def _columns_of_inputs(
    path: Path, names: Sequence[str], signature: Signature, options: InputOptions
) -> dict[str, list[str]]:
    """Input name -> its columns."""
    if all(name in names and _width(spec) == 1 for name, spec in signature.items()):
        return {name: [name] for name in signature}
    left = [name for name in names if name not in options.kept]
    if len(signature) == 1:
        (name, spec) = next(iter(signature.items()))
        if options.column is not None:
            left = [column.strip() for column in options.column.split(",")]
        if _width(spec) == len(left) and set(left) <= set(names):
            return {name: left}
    widths = ", ".join(f"{name} of the shape {tuple(spec.shape[1:])}" for name, spec in signature.items())
    raise UserError(
        f"{printable(path)} has the columns {shown(list(names))}, expected the inputs {widths}; leave out other columns"
        " with --keep-column, name those to read with --column A,B,C, or give JSON lines or a .npz file"
    )


def _width(spec: tf.TensorSpec) -> int | None:
    """The numbers of a sample's input; None for more than one axis, or an axis of any length."""
    if spec.shape.rank == 1:
        return 1
    if spec.shape.rank == 2:
        width: int | None = spec.shape[1]
        return width
    return None
