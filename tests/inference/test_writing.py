"""Answers as JSON lines and CSV."""

import csv
import io
import json
from pathlib import Path

import pytest

from tfdl.errors import RunError, UserError
from tfdl.inference.items import Item
from tfdl.inference.writing import format_of, record_writer, whole_record

RECORD = {"input": "a,b.png", "class_name": 'Hündin "x"', "top": [{"p": 0.5}, {"p": 0.25}], "shape": [1, [2, 3]]}


def written(file_format, *records):
    file = io.StringIO()
    write = record_writer(file, file_format)
    for record in records:
        write(record)
    return file.getvalue()


def test_json_lines():
    lines = written("jsonl", RECORD, {"x": float("nan"), "y": [float("inf"), 1.5]}).splitlines()
    assert json.loads(lines[0]) == RECORD
    assert "Hündin" in lines[0]
    assert lines[1] == '{"x": null, "y": [null, 1.5]}'


def test_csv():
    rows = list(csv.DictReader(io.StringIO(written("csv", RECORD, RECORD))))
    assert len(rows) == 2
    assert rows[0] == {
        "input": "a,b.png",
        "class_name": 'Hündin "x"',
        "top_1_p": "0.5",
        "top_2_p": "0.25",
        "shape_1": "1",
        "shape_2_1": "2",
        "shape_2_2": "3",
    }


def test_answers_of_unequal_lengths_make_no_table():
    with pytest.raises(RunError, match=r"an answer has 2 values and the first one has 1, .* with --format jsonl"):
        written("csv", {"x": [1]}, {"x": [1, 2]})


def test_the_ending_decides_the_format():
    assert [format_of(path) for path in (None, Path("a.CSV"), Path("a.json"), Path("a"))] == [
        "jsonl",
        "csv",
        "jsonl",
        "jsonl",
    ]


def test_a_record_has_its_input_and_what_is_kept():
    item = Item("mails.csv line 2", {"text": "hello"}, {"id": "7"})
    assert list(whole_record(item, {"class_name": "x"}).items()) == [
        ("input", "mails.csv line 2"),
        ("id", "7"),
        ("text", "hello"),
        ("class_name", "x"),
    ]
    assert whole_record(Item("", {"image": b"..."}), {"x": 1}) == {"x": 1}
    with pytest.raises(UserError, match=r"--keep-column 'x' is also a name in the answer; rename the column"):
        whole_record(Item("", {}, {"x": "7"}), {"x": 1})
