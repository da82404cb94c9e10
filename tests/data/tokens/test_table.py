"""Tokens on disk: written while texts are read, complete or absent."""

import errno
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfdl.data.tokenizers import ByteTokenizer, parts
from tfdl.data.tokens import table as table_module
from tfdl.data.tokens.table import TokenColumn, token_table
from tfdl.errors import RunError

TOKENIZER = ByteTokenizer()
ROLES = ("text", "label")
# The folder that each earlier version of tfdl finds the tokens of ``Rows`` in.
NAME = "d4169284a6e20b874cfc4b7e"


class Rows:
    """A split of texts; the label of each is its length."""

    fingerprint = "rows"

    def __init__(self, texts):
        self.texts = texts
        self.num_examples = len(texts)
        self.num_read = 0

    def __iter__(self):
        self.num_read += 1
        for text in self.texts:
            if isinstance(text, BaseException):
                raise text
            yield {"text": text, "label": len(text)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def in_one_piece(texts):
    """The columns as NumPy makes them from all texts at once."""
    encoded = [TOKENIZER.encode_batch([text])[0] for text in texts]
    tokens = np.concatenate([np.zeros(0, np.uint16), *encoded]).astype(np.uint16)
    starts = np.cumsum([0, *map(len, encoded)])
    return tokens, starts, np.array(list(map(len, texts)), np.int32)


def check_columns(columns, texts):
    column = columns["text"]
    assert isinstance(column, TokenColumn)
    for found, expected in zip((column.tokens, column.starts, columns["label"]), in_one_piece(texts), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@given(st.lists(st.text(), min_size=1, max_size=20), st.integers(1, 7), st.integers(1, 30))
def test_chunks_of_any_size_make_the_same_table_on_disk_and_in_memory(texts, most_rows, most_characters):
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(table_module, "_MOST_ROWS", most_rows)
        patch.setattr(table_module, "_MOST_CHARACTERS", most_characters)
        patch.setattr(parts, "_SIZE", most_characters // 2)
        rows = Rows(texts)
        check_columns(token_table(rows, ROLES, TOKENIZER, Path(folder)), texts)
        check_columns(token_table(rows, ROLES, TOKENIZER, None), texts)


def test_a_table_is_what_earlier_versions_wrote_and_where(tmp_path):
    texts = ["ab", "", "cde"]
    token_table(Rows(texts), ROLES, TOKENIZER, tmp_path / "new")
    (tmp_path / "old").mkdir()
    tokens, starts, labels = in_one_piece(texts)
    for name, values in (("text", tokens), ("text-starts", starts), ("label", labels)):
        np.save(tmp_path / "old" / f"{name}.npy", values)
    assert names(tmp_path / "new") == [NAME, f"{NAME}.lock"]
    assert names(tmp_path / "new" / NAME) == names(tmp_path / "old")
    for file in (tmp_path / "old").iterdir():
        assert (tmp_path / "new" / NAME / file.name).read_bytes() == file.read_bytes()


def test_a_table_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    rows = Rows(["ab"])
    token_table(rows, ROLES, TOKENIZER, tmp_path)
    (tmp_path / f"{NAME}.lock").unlink()

    def read_only(*_args, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    check_columns(token_table(rows, ROLES, TOKENIZER, tmp_path), ["ab"])
    assert rows.num_read == 1
    assert names(tmp_path) == [NAME]


def test_a_table_can_be_read_by_all_users(tmp_path):
    token_table(Rows(["ab"]), ROLES, TOKENIZER, tmp_path)
    table = tmp_path / NAME
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (table, *table.iterdir()))


def test_texts_are_tokenized_again_if_a_table_cannot_be_read(tmp_path, monkeypatch):
    rows = Rows(["ab"])
    token_table(rows, ROLES, TOKENIZER, tmp_path)

    def of_another_user(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(np, "load", of_another_user)
    check_columns(token_table(rows, ROLES, TOKENIZER, tmp_path), ["ab"])


def test_of_several_callers_one_reads_the_texts(tmp_path):
    rows = Rows(["ab"] * 10_000)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(token_table, rows, ROLES, TOKENIZER, tmp_path) for _ in range(4)]
        for future in futures:
            check_columns(future.result(), rows.texts)
    assert rows.num_read == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")], ids=repr)
def test_an_error_while_texts_are_read_leaves_nothing(tmp_path, error):
    rows = Rows([*["ab"] * 10_000, error])
    with pytest.raises(type(error)) as raised:
        token_table(rows, ROLES, TOKENIZER, tmp_path)
    assert raised.value is error
    assert rows.num_read == 1  # it is no reason to try again in memory
    assert names(tmp_path) == [f"{NAME}.lock"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / f"{NAME}-abc").mkdir()
    (tmp_path / f"{NAME}-abc" / "text.npy").touch()
    (tmp_path / "another-abc").mkdir()
    token_table(Rows(["ab"]), ROLES, TOKENIZER, tmp_path)
    assert names(tmp_path) == ["another-abc", NAME, f"{NAME}.lock"]


@pytest.mark.parametrize("size", [10, 1000, 100_000], ids=["header", "first chunk", "later chunk"])
def test_a_full_disk_names_the_folder_and_leaves_nothing(tmp_path, size):
    rows = Rows(["0123456789"] * 20_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(RunError) as raised:
            token_table(rows, ROLES, TOKENIZER, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(raised.value) == (
        f"cannot keep tokens in '{tmp_path}': File too large; make room there, or choose another folder with --data-dir"
    )
    assert names(tmp_path) == [f"{NAME}.lock"]
    check_columns(token_table(rows, ROLES, TOKENIZER, tmp_path), rows.texts)  # control: with space it succeeds


def test_a_long_text_is_tokenized_in_parts(monkeypatch):
    texts = ["a b", "some words " * 20, "a b"]
    monkeypatch.setattr(table_module, "_MOST_CHARACTERS", 50)
    monkeypatch.setattr(parts, "_SIZE", 50)
    longest = []

    class Seen(ByteTokenizer):
        def encode_batch(self, texts):
            longest.append(max(map(len, texts)))
            return super().encode_batch(texts)

    check_columns(token_table(Rows(texts), ROLES, Seen(), None), texts)
    assert max(longest) < 60
    longest.clear()
    monkeypatch.setattr(Seen, "reads_parts", False)  # control: a tokenizer that needs whole texts gets them
    check_columns(token_table(Rows(texts), ROLES, Seen(), None), texts)
    assert max(longest) == len(texts[1])


# Prints by how many MiB the peak memory grows while 50 million tokens of two bytes are made.
MEASURED = """
import sys
from pathlib import Path
import numpy as np
from tfdl.data.tokens.table import token_table

class Bytes:
    vocab_size = 1000
    digest = "bytes"
    reads_parts = False
    def encode_batch(self, texts):
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]

class Rows:
    fingerprint = "rows"
    def __iter__(self):
        for number in range(50_000):
            yield {"text": f"{number:010}" * 100}

def peak():  # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
token_table(type("Few", (), {"fingerprint": "few", "__iter__": lambda self: iter([{"text": "a"}])})(), ("text",),
            Bytes(), folder)
before = peak()
column = token_table(Rows(), ("text",), Bytes(), folder)["text"]
after = peak()
assert len(column.tokens) == 50_000_000
print(after - before)
"""


def growth(*arguments):
    done = subprocess.run([sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_memory_does_not_grow_with_the_texts(tmp_path):
    num_mib = 2 * 50_000_000 / 2**20  # of tokens: 95
    assert growth(str(tmp_path)) < num_mib / 2  # a chunk of 4 million tokens of four bytes, and its texts
    # Control: tokens in memory are measured, and are there once.
    assert num_mib < growth() < 1.75 * num_mib
