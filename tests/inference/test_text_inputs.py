"""Texts from arguments, plain files, folders, tables, records and standard input."""

import io
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tfdl.errors import UserError
from tfdl.inference import InputOptions, open_inputs
from tfdl.inference.inputs import texts as text_inputs
from tfdl.inference.items import BadItem

TABLE = 'id,body,subject\n1,a first one,x\n2,,y\n3,"two\nlines",z\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "lines.txt").write_text("one\n\n  two \nthree\n")
    (tmp_path / "table.csv").write_text(TABLE)
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "b.txt").write_text("dear b,\nhello")
    (tmp_path / "mails" / "a.txt").write_text("dear a")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(setting, *arguments, texts=(), **options):
    items = open_inputs(setting[0], arguments, InputOptions(**options), texts).items
    return [str(item) if isinstance(item, BadItem) else (item.name, *item.values.values()) for item in items]


def test_arguments_are_texts_unless_they_are_paths(reviews):
    assert opened(reviews, "Is this a text?", "and/or this", "e.g. this.txt too") == [
        ("text 1", "Is this a text?"),
        ("text 2", "and/or this"),
        ("text 3", "e.g. this.txt too"),
    ]
    assert opened(reviews, texts=["lines.txt"]) == [("text 1", "lines.txt")]
    for path in ("gone.txt", "./gone", "gone.csv", "/gone"):
        with pytest.raises(
            UserError, match=f"no such file or folder: '{path}', expected text files, tables or folders"
        ):
            opened(reviews, path)


def test_plain_files_by_lines_paragraphs_or_whole(reviews):
    lines = [("lines.txt line 1", "one"), ("lines.txt line 3", "  two "), ("lines.txt line 4", "three")]
    assert opened(reviews, "lines.txt") == lines
    paragraphs = opened(reviews, "lines.txt", unit="paragraph")
    assert [text.strip() for _, text in paragraphs] == ["one", "two \nthree"]
    assert opened(reviews, "lines.txt", unit="file") == [("lines.txt", "one\n\n  two \nthree\n")]
    assert opened(reviews, "mails") == [("mails/a.txt", "dear a"), ("mails/b.txt", "dear b,\nhello")]
    assert [name for name, _ in opened(reviews, "mails", unit="line")] == [
        "mails/a.txt line 1",
        "mails/b.txt line 1",
        "mails/b.txt line 2",
    ]


def test_a_column_of_a_table_and_what_is_kept(reviews):
    found = list(open_inputs(reviews[0], ["table.csv"], InputOptions(column="body", kept=("id",))).items)
    assert [getattr(item, "values", None) for item in found] == [{"text": "a first one"}, None, {"text": "two\nlines"}]
    assert found[0].kept == {"id": "1"}
    assert str(found[1]) == "table.csv line 3: an empty text, expected at least a word"


def test_the_column_is_the_run_s_or_must_be_chosen(reviews, translator):
    trained = opened(reviews, "table.csv", trained_columns={"text": "subject", "label": "id"})
    assert [text for _, text in trained] == ["x", "y", "z"]
    with pytest.raises(UserError, match=r"which column of table.csv is the text"):
        opened(reviews, "table.csv", trained_columns={"text": "other"})
    with pytest.raises(UserError, match=r"'bodi', but table.csv has the columns id, body, subject. Did you mean"):
        opened(reviews, "table.csv", column="bodi")
    with pytest.raises(UserError, match=r"--keep-column 'idd', but table.csv has the columns"):
        opened(reviews, "table.csv", column="body", kept=("idd",))
    (Path("pairs.tsv")).write_text("source\ttarget\nHund\tdog\n")
    assert opened(translator, "pairs.tsv") == [("pairs.tsv line 2", "Hund")]


def test_json_lines_and_parquet(reviews):
    Path("rows.jsonl").write_text('{"text": "a"}\n{"text": 7}\nnot json\n{"other": 1}\n')
    first, number, broken, missing = opened(reviews, "rows.jsonl")
    assert first == ("rows.jsonl line 1", "a")
    assert number == ("rows.jsonl line 2", "7")
    assert broken.startswith("rows.jsonl line 3: not JSON")
    assert missing == "rows.jsonl line 4: no 'text' in it"
    parquet.write_table(pyarrow.table({"text": ["x", "y"], "n": [1, 2]}), "rows.parquet")
    assert opened(reviews, "rows.parquet") == [("rows.parquet row 1", "x"), ("rows.parquet row 2", "y")]


def test_standard_input(reviews, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("näh\r\n\n".encode() + b"\xff\n")))
    assert opened(reviews, "-") == [
        ("standard input line 1", "näh"),
        "standard input line 3: not UTF-8",
    ]


def test_texts_that_cannot_be_used(reviews, monkeypatch):
    Path("latin.txt").write_bytes("café\n".encode("latin-1"))
    assert opened(reviews, "latin.txt") == ["latin.txt line 1: not UTF-8"]
    assert opened(reviews, "latin.txt", encoding="latin-1") == [("latin.txt line 1", "café")]
    Path("wide.txt").write_text("a text", encoding="utf-16")
    with pytest.raises(UserError, match=r"wide.txt is UTF-16, expected UTF-8; read it with --encoding utf-16"):
        opened(reviews, "wide.txt")
    monkeypatch.setattr(text_inputs, "_MOST_BYTES", 10)
    assert opened(reviews, " ", "x" * 11) == [
        "text 1: an empty text, expected at least a word",
        "text 2: a text of 11 bytes, expected at most 10; cut it into several",
    ]


def test_all_files_are_found_before_the_first_answer(reviews):
    with pytest.raises(UserError, match=r"no such file or folder: 'gone.txt'"):
        open_inputs(reviews[0], ["lines.txt", "gone.txt"])


def test_texts_of_python_code(reviews, answers):
    together = answers(reviews, ["one", Path("mails")])
    assert len(together) == 3
    assert together[1] == answers(reviews, "dear a")[0]
    with pytest.raises(UserError, match=r"a text of type int, expected str, or the Path of a file"):
        answers(reviews, [7])


def test_json_objects_on_standard_input_are_read_by_column(reviews, monkeypatch):
    lines = b'{"id": 7, "body": "one"}\nnot json\n{"id": 8}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    good, broken, missing = open_inputs(reviews[0], ["-"], InputOptions(column="body", kept=("id",))).items
    assert (good.values, good.kept) == ({"text": "one"}, {"id": "7"})
    assert str(broken).startswith("standard input line 2: not JSON")
    assert str(missing) == "standard input line 3: no text 'body' in it, expected a JSON object with one"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["hello"], {"kept": ("id",)}, "--keep-column 'id' has no meaning for the text 'hello', which has no columns"),
        (["table.csv"], {"column": "body", "kept": ("text",)}, "--keep-column 'text' is also a name in the output"),
        (["table.csv"], {"column": "body", "kept": ("input",)}, "--keep-column 'input' is also a name in the output"),
        (["~nobody said so.txt"], {}, "no such file or folder: '~nobody said so.txt', .*; for a text, give --text"),
    ],
)
def test_options_that_have_no_meaning(reviews, arguments, options, message):
    with pytest.raises(UserError, match=message):
        open_inputs(reviews[0], arguments, InputOptions(**options))


def test_kept_values_that_are_no_text(reviews):
    Path("rows.jsonl").write_text('{"text": "a", "id": "\\ud800x"}\n')
    (row,) = opened(reviews, "rows.jsonl", kept=("id",))
    assert row.startswith("rows.jsonl line 1: column 'id' is half of a surrogate pair")
