"""Inputs of every kind that tfdl reads, wrong in one place or everywhere, and what must become of each.

Each check takes an example and a folder that it may write to. It passes if the input is read, or refused by one line.
``tests/test_hostile_inputs.py`` tries some hundreds of each kind, ``tests/soak`` a hundred thousand.
"""

import contextlib
import hashlib
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from tests.data.files.encoded_images import noise, smooth
from tfdl.cli.main import main
from tfdl.config import choose_tokenizer, compose, load_yaml
from tfdl.data.files.image_description import look_at_content
from tfdl.data.files.image_rules import image_rules
from tfdl.data.files.readers import READERS
from tfdl.data.files.rows import ReadOptions
from tfdl.data.images import CURRENT_RULES
from tfdl.data.tokenizers import fit_tokenizer
from tfdl.errors import RunError, UserError
from tfdl.interop.tensor_file import TensorFile
from tfdl.json_files import read_json_object
from tfdl.reporting import list_runs
from tfdl.runs import Progress, RunDirectory, load_callbacks, load_carried
from tfdl.runs.checkpoint import verify
from tfdl.runs.load import load_task
from tfdl.runs.variables import shapes_of_variables

MOST_SECONDS = 10.0
"""No input may take longer."""

_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 1, 2**31, 2**63, 10**30, 1e308, 10**400, True, False])
)
_TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["../x", "/etc/passwd", "\x1b[2J", "\ud800", "nan", "cnn", ""]))
_LEAVES = st.one_of(st.none(), _NUMBERS, _TEXTS)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


def damaged(content: bytes, place: int, piece: bytes, cut: bool) -> bytes:
    """Content with a piece in another place, or cut off there."""
    place %= len(content) + 1
    return content[:place] + piece + (b"" if cut else content[place + len(piece) :])


def damaged_bytes(contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that are wrong in one place, or any bytes."""
    return st.one_of(
        st.builds(damaged, contents, st.integers(0, 2**20), st.binary(max_size=4), st.booleans()),
        st.binary(max_size=60),
    )


def changed_json(values: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """A JSON object of which some values are others, or that is damaged."""
    keys = st.sampled_from([*sorted(values), "other"])
    changed = st.dictionaries(keys, _VALUES, max_size=2).map(lambda changes: {**values, **changes})
    texts = changed.map(lambda changed: json.dumps(changed).encode())
    return st.one_of(texts, damaged_bytes(texts), st.just(b"[" * 5000), st.just(b"[1]"))


@contextlib.contextmanager
def refused_in_one_line() -> Iterator[None]:
    """Errors for the user are no failures, if they have one line and come soon; all others are."""
    begin = time.monotonic()
    try:
        yield
    except (UserError, RunError) as error:
        message = str(error)
    else:
        message = ""
    assert "Traceback" not in message
    assert "\n" not in message, message
    assert time.monotonic() - begin < MOST_SECONDS


# Configurations

_YAML_WORDS = st.sampled_from(
    ["model", "name", "cnn", "units", "epochs", "dataset", "optimizer", "&a", "*a", "<<", "{", "}", "[", "]", ": ",
     "\n", "  ", "- ", ",", "!!int ", "!!python/name:os.system ", "? ", "|\n", "1", "1e3", "0x1f", "1:2", "null", "~",
     "'", '"',
     "#", "%YAML 1.1\n", "---\n", "2020-01-01", ".inf", "\t"]
)  # fmt: skip
YAML = st.one_of(st.lists(_YAML_WORDS, max_size=25).map("".join), st.text(max_size=60)).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def check_yaml(content: bytes, folder: Path) -> None:
    """A configuration."""
    path = folder / "config.yaml"
    path.write_bytes(content)
    with refused_in_one_line():
        compose(load_yaml(path))


_FIELDS = st.sampled_from(
    ["model", "model.name", "model.units", "model.filters", "task", "dataset", "dataset.image_size", "epochs", "steps",
     "batch_size", "optimizer.schedule", "optimizer.learning_rate", "seed", "freeze", "plugins", "tokenizer", "monitor",
     "dataset.augmentation", "dataset.encoding", "model.no", ""]
)  # fmt: skip
VALUES = st.dictionaries(_FIELDS, _VALUES, max_size=4)


def check_values(values: dict[str, Any], folder: Path) -> None:  # noqa: ARG001
    """The values of a configuration."""
    with refused_in_one_line():
        compose(values)


# Command lines. Only what neither trains nor listens nor builds, nor asks the hub, as `tfdl import` does.

_COMMANDS = st.sampled_from(
    [["train", "--print-config"], ["models"], ["datasets"], ["runs"], ["evaluate"], ["predict"], ["generate"],
     ["export"], ["report"], []]
)  # fmt: skip
_ARGUMENTS = st.one_of(
    st.sampled_from(
        ["--set", "--model", "--epochs", "--dataset", "--task", "--batch-size", "--image-size", "--optimizer", "--sort",
         "--columns", "--checkpoint", "--split", "--json", "--state", "cnn", "digits", "run", "file", "epochs=1", "-1",
         "--", "-", "--set=model.units=0", "no", "lora", "--format", "--precision", "--config", "--help"]
    ),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=6),
)  # fmt: skip
COMMAND_LINES = st.builds(list.__add__, _COMMANDS, st.lists(_ARGUMENTS, max_size=4))


def check_command_line(arguments: list[str], folder: Path) -> None:
    """A command in an empty folder."""
    out, err = io.StringIO(), io.StringIO()
    begin = time.monotonic()
    standard_input = io.TextIOWrapper(io.BytesIO())
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        patch("sys.stdin", standard_input),
        pytest.raises(SystemExit) as ended,
    ):
        main(list(arguments))
    shown = err.getvalue()
    assert ended.value.code in (None, 0, 2), (arguments, shown)
    assert "Traceback" not in shown, arguments
    assert "internal error" not in shown, (arguments, shown)
    assert time.monotonic() - begin < MOST_SECONDS, arguments


# Runs and checkpoints

_RUN_FILES = (
    "config.yaml", "status.json", "summary.json", "metrics.jsonl", "assets/image_classification.json",
    "assets/samples.json", "checkpoints/last/progress.json", "checkpoints/last/manifest.json",
)  # fmt: skip


def run_files(run: RunDirectory) -> st.SearchStrategy[tuple[str, bytes]]:
    """The name of a file of a run, and other content of it."""
    choices = []
    for name in _RUN_FILES:
        content = (run.path / name).read_bytes()
        is_object = name.endswith(".json")
        contents = changed_json(json.loads(content)) if is_object else damaged_bytes(st.just(content))
        choices.append(st.tuples(st.just(name), contents))
    return st.one_of(choices)


def run_checker(run: RunDirectory) -> Callable[[tuple[str, bytes], Path], None]:
    """A function that puts the content in a copy of a run, reads the run in every way that needs no model, and puts
    the old content back."""

    def check(changed: tuple[str, bytes], folder: Path) -> None:
        copy = RunDirectory(folder / "run")
        if not copy.path.exists():
            shutil.copytree(run.path, copy.path, symlinks=True)
        name, content = changed
        (copy.path / name).write_bytes(content)
        try:
            begin = time.monotonic()
            assert len(list_runs(folder)) == 1
            assert time.monotonic() - begin < MOST_SECONDS
            with refused_in_one_line():
                load_task(copy, copy.read_config())
            with refused_in_one_line():
                copy.read_summary()
            with refused_in_one_line():
                verify(copy.checkpoint())
        finally:
            (copy.path / name).write_bytes((run.path / name).read_bytes())

    return check


PROGRESS = changed_json({"step": 1, "epoch": 1, "running": [1.0], "validation": {"loss": 1.0}, "best_value": None})
TENSORS = damaged_bytes(st.just(save({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.int8)}, {"order": "[]"})))
STATES = changed_json({"mine": {"a": [1, {"__array__": "0"}]}})
CHECKPOINTS = st.tuples(PROGRESS, TENSORS, STATES)


def check_checkpoint(contents: tuple[bytes, bytes, bytes], folder: Path) -> None:
    """The files of a checkpoint, each of which has the SHA-256 of its manifest."""
    progress, tensors, states = contents
    names = ("model.safetensors", "optimizer.safetensors", "random.safetensors", "carried.safetensors",
             "callbacks.safetensors")  # fmt: skip
    files = {"progress.json": progress, "callbacks.json": states, **dict.fromkeys(names, tensors)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "manifest.json").write_text(json.dumps({"sha256": manifest}))
    verify(folder)
    for read in (load_callbacks, load_carried):
        with refused_in_one_line():
            read(folder)
    with refused_in_one_line():
        shapes_of_variables(folder / "model.safetensors")
    with refused_in_one_line():
        file = TensorFile(folder / "model.safetensors")
        for name in file.tensors:
            file.read(name)
    with refused_in_one_line():
        Progress.from_json(read_json_object(folder / "progress.json", "use another one"))


# Data


def _image(kind: str, pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


_IMAGES = st.sampled_from(
    [_image(kind, noise()) for kind in ("PNG", "BMP", "WEBP", "TIFF", "PPM")]
    + [_image("JPEG", smooth()), _image("GIF", noise()[..., 0]), _image("PNG", noise(channels=4))]
)
IMAGES = damaged_bytes(_IMAGES)


def check_image(content: bytes, folder: Path) -> None:  # noqa: ARG001
    """An image: its description, and its pixels."""
    begin = time.monotonic()
    look_at_content(content)
    # Damaged files fail in many ways, and each caller turns these into a bad row; none may end the process.
    with contextlib.suppress(Exception):
        image_rules(CURRENT_RULES).look(content)
    assert time.monotonic() - begin < MOST_SECONDS


_CELLS = st.sampled_from(["a", '"', '""', ",", "\t", "\n", "\r\n", "\r", ";", "\0", "text", "label", "é", " ", "{", "}",
                          '{"text": "a"}', "[", "]", ":", "1", "\ufeff", "null", "\\", "1e999"])  # fmt: skip
_LINES = st.lists(_CELLS, max_size=40).map(lambda cells: "".join(cells).encode())
TABLES = st.tuples(
    st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".tfrecord", ".parquet", ".array_record"]),
    st.one_of(_LINES, damaged_bytes(_LINES), st.binary(max_size=80)),
)


def check_table(table: tuple[str, bytes], folder: Path) -> None:
    """A file of rows, of whichever format its name says."""
    ending, content = table
    path = folder / f"a{ending}"
    path.write_bytes(content)
    reader = READERS.get(ending)
    if reader is None:
        return
    with refused_in_one_line():
        list(reader(path, ReadOptions()))


_TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "[END]": 1, "a": 2}, "unk_token": "[UNK]"},
}  # fmt: skip
_STEPS = st.sampled_from(
    [{"type": name} for name in ("Whitespace", "ByteLevel", "Metaspace", "Sequence", "BertNormalizer", "NFC", "Digits")]
    + [{"type": "Replace", "pattern": {"Regex": "a*"}, "content": "b"}, {"type": "Prepend", "prepend": "x"}]
)
TOKENIZERS = st.tuples(
    st.one_of(
        changed_json(_TOKENIZER),
        st.dictionaries(st.sampled_from(["normalizer", "pre_tokenizer", "decoder", "model"]), _STEPS, max_size=2).map(
            lambda steps: json.dumps({**_TOKENIZER, **steps}).encode()
        ),
    ),
    changed_json({"eos_token": "[END]", "pad_token": "[UNK]", "bos_token": {"content": "[END]"}}),
)


def check_tokenizer(files: tuple[bytes, bytes], folder: Path) -> None:
    """The files of a published tokenizer."""
    described, settings = files
    (folder / "tokenizer.json").write_bytes(described)
    (folder / "tokenizer_config.json").write_bytes(settings)
    with refused_in_one_line():
        tokenizer = fit_tokenizer(choose_tokenizer({"name": "huggingface", "folder": str(folder)}), ())
        tokenizer.decode(tokenizer.encode("a b é"))


KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, Path], None]]] = {
    "command lines": (COMMAND_LINES, check_command_line),
    "YAML": (YAML, check_yaml),
    "values": (VALUES, check_values),
    "checkpoints": (CHECKPOINTS, check_checkpoint),
    "images": (IMAGES, check_image),
    "tables": (TABLES, check_table),
    "tokenizers": (TOKENIZERS, check_tokenizer),
}
"""Every kind but run directories, which need a run."""
