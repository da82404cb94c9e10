"""Files in other encodings than UTF-8: read if the encoding is given, and recognized if it is not."""

import encodings
import pkgutil
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.files.test_texts import CLASSIFIED, TRANSLATED, opened
from tfdl.config import DatasetConfig, compose, to_yaml
from tfdl.data.files.encodings import open_text
from tfdl.errors import UserError

# Encoding -> words that it has.
WORDS = {
    "latin-1": ("café", "Straße"),
    "cp1252": ("“naïve”", "1 €"),
    "utf-16": ("kuća", "😀"),
    "utf-16-le": ("kuća", "猫"),
    "UTF-16-BE": ("kuća", "猫"),
    "utf_32": ("kuća", "😀"),
    "gb18030": ("猫在这里", "你好"),
    "shift_jis": ("ねこ", "こんにちは"),
    "koi8-r": ("кошка", "привет"),
    "utf-8": ("猫", "😀"),
    "utf-8-sig": ("猫", "😀"),
}


def texts(encoding, count=200):
    first, second = WORDS[encoding]
    return [f"{first} {second} {number}" for number in range(count)]


def read(path, roles, encoding, **fields):
    dataset = opened(path, roles, encoding=encoding, **fields)
    return sorted(row[roles[0]] for part in dataset.splits.values() for row in part)


def table(encoding, delimiter=","):
    lines = [f"text{delimiter}label", *(f"{text}{delimiter}{len(text) % 2}" for text in texts(encoding))]
    return "\n".join(lines) + "\n"


def json_lines(encoding):
    return "".join(f'{{"text": "{text}", "label": "{len(text) % 2}"}}\n' for text in texts(encoding))


@pytest.mark.parametrize("encoding", WORDS)
def test_every_kind_of_file(tmp_path, encoding):
    expected = sorted(texts(encoding))
    for name, content in (
        ("rows.csv", table(encoding)),
        ("rows.tsv", table(encoding, "\t")),
        ("rows.jsonl", json_lines(encoding)),
    ):
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert read(tmp_path / name, CLASSIFIED, encoding) == expected
    (tmp_path / "book.txt").write_bytes("\n\n".join([*expected, ""]).encode(encoding))
    assert [text.strip() for text in read(tmp_path / "book.txt", ("text",), encoding)] == expected
    for language in ("en", "de"):
        (tmp_path / f"a.{language}").write_bytes("".join(f"{text}\n" for text in texts(encoding)).encode(encoding))
    assert read(f"{tmp_path / 'a.en'},{tmp_path / 'a.de'}", TRANSLATED, encoding) == expected
    for number, text in enumerate(texts(encoding)):
        folder = tmp_path / "folders" / ("a", "b")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_bytes(text.encode(encoding))
    assert read(tmp_path / "folders", CLASSIFIED, encoding) == expected


@pytest.mark.parametrize("mark", [True, False], ids=["with a mark", "without a mark"])
@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "txt"])
def test_wide_encodings_are_recognized(tmp_path, name, mark, ending):
    words = "".join(f"some words {number}, of which one is kuća or 猫\n" for number in range(100))
    content = {"csv": "text,label\n" + words, "jsonl": "{}\n" + words, "txt": words}[ending]
    path = tmp_path / f"a.{ending}"
    path.write_bytes((("\ufeff" if mark else "") + content).encode(name))
    expected = name[:6] if mark else name
    with pytest.raises(UserError, match=rf"is {expected.upper()}, expected UTF-8; read it with --encoding {expected}$"):
        opened(path, ("text",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\n" + "\0,a\n" * 2000, "has 2000 texts, none of them for "),  # equal texts share a split
        ("text\n\0\0\0\0\n", "has 1 text, none of them for "),
        ("text\n", "has no rows$"),
    ],
)
def test_zero_bytes_alone_are_no_other_encoding(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"^dataset '.*a\.csv' {message}"):
        opened(path, ("text",), text_column="text")


def test_utf_8_is_not_read_as_utf_16(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table("latin-1"), encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.csv is not UTF-16; leave out --encoding"):
        opened(path, CLASSIFIED, encoding="utf-16")


def test_bytes_that_an_encoding_does_not_have_suggest_another(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(table("latin-1").encode("latin-1"))
    with pytest.raises(UserError, match=r"no rows .*a\.csv line 2: 'text' is not UTF-8; .* --encoding NAME"):
        opened(path, CLASSIFIED)
    path.write_bytes(table("latin-1").encode("latin-1") + b"\x81 odd,1\n")
    with pytest.raises(UserError, match=r"1 bad row: .*line 202: 'text' is not cp1252.*--encoding NAME"):
        opened(path, CLASSIFIED, encoding="cp1252")
    path.write_bytes(table("utf-8").encode() + "Größe,1\nblau,0\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"1 bad row: .*line 202: .* not UTF-8.* --skip-bad-rows; .* --encoding NAME"):
        opened(path, CLASSIFIED)
    path.write_bytes("Größe,label\na,b\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"line 1 names columns, but is not UTF-8; .*--encoding"):
        opened(path, CLASSIFIED)


def test_bytes_in_columns_that_nobody_asked_for_do_not_matter(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"note,text,label\n" + b"".join(b"\xff,word %d,%d\n" % (n, n % 2) for n in range(200)))
    assert len(read(path, CLASSIFIED, "utf-8")) == 200


def test_one_of_many_files_in_another_encoding_can_be_left_out(tmp_path):
    for number in range(100):
        encoding = "utf-16" if number == 7 else "utf-8"
        (tmp_path / f"{number}.txt").write_bytes(f"a text {number}".encode(encoding))
    with pytest.raises(UserError, match=r"1 bad row: .*7\.txt: UTF-16, expected UTF-8.*; .* --encoding utf-16"):
        opened(tmp_path, ("text",))
    assert len(read(tmp_path, ("text",), "utf-8", skip_bad_rows=True)) == 99


def python_encodings():
    """All codecs of Python."""
    return sorted(module.name for module in pkgutil.iter_modules(encodings.__path__))


NO_ENCODINGS = ["utf-9", "", "base64", "hex", "zlib", "rot13", "undefined", "a\0b", "idna", "punycode"]
NO_ENCODINGS += ["unicode_escape", "Unicode-Escape", "raw_unicode_escape"]


@pytest.mark.parametrize("name", NO_ENCODINGS)
def test_names_that_are_no_encodings(name):
    with pytest.raises(UserError, match=r"dataset\.encoding=.*, expected an encoding such as utf-8 or cp1252"):
        DatasetConfig("a.csv", encoding=name)


def test_every_encoding_that_is_accepted_reads_any_bytes_and_keeps_backslashes(tmp_path):
    path = tmp_path / "a.txt"
    accepted = []
    for name in python_encodings():
        with suppress(UserError):
            DatasetConfig("a.txt", encoding=name)
            accepted.append(name)
    assert len(accepted) > 90
    for name in accepted:
        path.write_bytes(bytes(range(1, 256)))
        with suppress(UserError), open_text(path, name) as file:
            file.read()
        path.write_bytes(r"C:\u0041\n".encode(name))
        with open_text(path, name) as file:
            assert file.read() == r"C:\u0041\n", name


@pytest.mark.parametrize("name", ["UTF-8", "utf8", "U8", "utf_8"])
def test_another_spelling_of_the_default_is_the_default(name):
    assert DatasetConfig("docstrings", encoding=name) == DatasetConfig("docstrings")
    assert opened("docstrings", CLASSIFIED, encoding=name).class_names
    assert compose({"dataset": "./a", "dataset.encoding": name}).dataset.encoding == "utf-8"


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_values_that_are_no_delimiters(delimiter):
    with pytest.raises(UserError, match=r"dataset\.delimiter=.*, expected one character such as ';', or tab"):
        DatasetConfig("a.csv", delimiter=delimiter)


def test_they_are_recorded():
    chosen = {"task": "text-classification", "dataset.encoding": "cp1252", "dataset.delimiter": "tab"}
    recorded = yaml.safe_load(to_yaml(compose({"dataset": "./a.csv"}, chosen)))
    assert (recorded["dataset"]["encoding"], recorded["dataset"]["delimiter"]) == ("cp1252", "\t")
    assert compose(recorded).dataset == DatasetConfig("./a.csv", encoding="cp1252", delimiter="\t")
    with pytest.raises(UserError, match="it has no meaning for image-classification"):
        compose({"dataset": "./a", "dataset.encoding": "cp1252"})


@pytest.mark.parametrize("delimiter", ["tab", "\\t", "\t"])
def test_a_tab_has_several_names(tmp_path, delimiter):
    path = tmp_path / "SMSSpamCollection"  # without an ending, as it is published
    path.write_text(table("latin-1", "\t"), encoding="utf-8")
    assert len(read(path, CLASSIFIED, "utf-8", delimiter=delimiter)) == 200


@pytest.mark.parametrize("fields", [{"encoding": "cp1252"}, {"delimiter": ";"}])
def test_other_data_sets_have_no_encoding(fields):
    (field,) = fields
    with pytest.raises(UserError, match=rf"dataset\.{field} has no meaning for 'docstrings', which is not a path"):
        opened("docstrings", CLASSIFIED, **fields)


@pytest.mark.parametrize("name", ["rows.jsonl", "folder"])
def test_only_tables_have_a_delimiter(tmp_path, name):
    (tmp_path / "rows.jsonl").write_text(json_lines("latin-1"), encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("text")
    with pytest.raises(UserError, match=rf"dataset\.delimiter has no meaning for '.*{name}', which is not a table"):
        opened(tmp_path / name, ("text",), delimiter=";")


@settings(max_examples=150)
@given(
    content=st.lists(st.sampled_from([b"text,label\n", b"text", b",", b'"', b"\n", b"\r", b"\xff\xfe", b"\0", b"1"])),
    ending=st.sampled_from(["csv", "tsv", "jsonl", "txt"]),
    encoding=st.sampled_from(sorted(WORDS)),
    roles=st.sampled_from([CLASSIFIED, TRANSLATED, ("text",)]),
)
def test_any_bytes_are_read_or_end_in_one_line(tmp_path_factory, content, ending, encoding, roles):
    path = tmp_path_factory.getbasetemp() / f"bytes.{ending}"
    path.write_bytes(b"".join(content))
    message = ""
    try:
        opened(path, roles, encoding=encoding, skip_bad_rows=True)
    except UserError as error:
        message = str(error)
    assert "\n" not in message
