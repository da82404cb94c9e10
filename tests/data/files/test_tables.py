"""Tables: no row is lost or fused with another one without being counted."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.readers import read_whole
from tfdl.data.files.rows import ReadOptions
from tfdl.data.files.table_rows import split_rows, without_end
from tfdl.data.files.tables import Quoting, quoting_of, read_table, table_columns
from tfdl.errors import UserError

VALUES = st.text(st.sampled_from("ab\",;|\t\n\r 'é😀\0"), max_size=8)


def rows_in(path, **options):
    return list(read_table(path, ReadOptions(**options)))


def file_of(tmp_path, content, name="rows.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    return path


@settings(max_examples=300)
@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), max_size=6)
    ),
    delimiter=st.sampled_from(",\t;|"),
    mark=st.sampled_from(["", "\ufeff"]),
    line_end=st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), *((end, csv.QUOTE_ALL) for end in ("\n", "\r\n", "\r"))]),
)
@example(rows=[["", "\n\t"]], delimiter="\t", mark="", line_end=("\r\n", csv.QUOTE_MINIMAL))
def test_what_python_writes_is_read_back(tmp_path_factory, rows, delimiter, mark, line_end):
    if delimiter == "\t":
        # Marks around a line end and a tab can also be two rows with one mark each, and are read so.
        rows = [
            [value.replace("\t", " ") for value in row] if {"\n", "\r"} & set("".join(row)) else row for row in rows
        ]
    path = tmp_path_factory.getbasetemp() / "written.csv"
    names = [f"column {number}" for number in range(len(rows[0]) if rows else 1)]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(mark)
        csv.writer(file, delimiter=delimiter, lineterminator=line_end[0], quoting=line_end[1]).writerows([names, *rows])
    found = rows_in(path, delimiter=delimiter)
    assert [list(columns.values()) for _, columns in found] == rows
    assert table_columns(path, ReadOptions(delimiter=delimiter)).names == tuple(names)


@settings(max_examples=500)
@given(st.text(st.sampled_from('ab",\n\r '), max_size=40), st.booleans())
def test_each_line_is_part_of_a_row_or_wrong_or_blank(text, has_quoting):
    lines = io.StringIO(text, newline="\n").readlines()
    covered = []
    for line, values in split_rows(lines, ",", has_quoting=has_quoting):
        num_lines = 1 if isinstance(values, str) else 1 + sum(value.count("\n") for value in values)
        covered += range(line, line + num_lines)
        if not has_quoting:
            assert ",".join(values) == without_end(lines[line - 1])
    assert covered == sorted(set(covered))
    assert [number for number, line in enumerate(lines, 1) if number not in covered and without_end(line)] == []


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        ('"never closed,a\nfine,b\nalso,c\n', ["fine", "also"], {2: "a quotation mark that is not closed"}),
        ('fine,a\n"never closed', ["fine"], {3: "a quotation mark that is not closed"}),
        ('"text" they said,a\nfine,b\n', ["fine"], {2: "text after the quotation mark that closes a value"}),
        ('"open,a\nfine,b\n"good, one",c\n', ["fine", "good, one"], {2: "text after the quotation mark"}),
        ('5" disk,a\nsaid "so",b\n', ['5" disk', 'said "so"'], {}),
        ('"two\n""lines""",a\n\n\nfine,b\n', ['two\n"lines"', "fine"], {}),
        ("only one\nfine,a\nx,y,z\n", ["fine"], {2: "1 column, expected 2", 4: "3 columns, expected 2"}),
        ("fine,a,,\nalso,b,\n", ["fine", "also"], {}),
        ("a\rb,c\nfine,d\n", ["a\rb", "fine"], {}),
        ("fine,a\ntext,label\ntext,b\n", ["fine", "text"], {3: "the names of the columns once more"}),
    ],
)
def test_a_bad_row_takes_no_other_row_with_it(tmp_path, body, good, bad):
    found = rows_in(file_of(tmp_path, "text,label\n" + body))
    assert [row[1]["text"] for row in found if not isinstance(row, BadRow)] == good
    wrong = {row.line: row.reason for row in found if isinstance(row, BadRow)}
    assert wrong.keys() == bad.keys()
    assert all(part in wrong[line] for line, part in bad.items())


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("values", "is_used"),
    [
        (['"so" he said', "plain"], False),  # begins with marks
        (['he said "so"', "plain"], True),  # no value begins with one, so it does not matter
        (['"never closed', "plain"], False),
        (['"so', "plain"], False),
        (['"two words"', "plain"], True),
    ],
)
def test_marks_in_tables_with_tabs(tmp_path, values, is_used, line_end):
    lines = ["text\tlabel", *(f"{value}\tx" for value in values), ""]
    path = file_of(tmp_path, line_end.join(lines), "rows.tsv")
    expected = [value.strip('"') if is_used and value.startswith('"') else value for value in values]
    assert [row[1]["text"] for row in rows_in(path)] == expected
    assert quoting_of(path, ReadOptions()).is_used == is_used


def good_and_bad(rows):
    bad = [row for row in rows if isinstance(row, BadRow)]
    return [row[1] for row in rows if not isinstance(row, BadRow)], bad


@pytest.mark.parametrize("where", [0, 50, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("stray", ['"stray\tx y\t1', '"so" she said\tx\t1', 'x\t"\t1'])
def test_one_stray_mark_in_a_table_with_tabs_is_one_bad_row(tmp_path, stray, line_end, where):
    rows = [f'"two{line_end}lines {number}"\tx\t{number}' for number in range(100)]
    rows.insert(where, stray)
    path = file_of(tmp_path, line_end.join(["text\tnote\tlabel", *rows, ""]), "rows.tsv")
    good, bad = good_and_bad(rows_in(path))
    assert [row["text"] for row in good] == [f"two{line_end}lines {number}" for number in range(100)]
    assert [row.line for row in bad] == [2 + 2 * where]
    assert quoting_of(path, ReadOptions()) == Quoting(is_used=True, num_long=100)


def test_marks_are_characters_if_most_of_them_are_stray(tmp_path):
    # The mark of line 2 and that of line 4 seem to enclose a value of three lines.
    lines = ["text\tlabel", '"open\tx', "plain\ty", 'five inches 5"\tx', '"good"\ty', '"so" he said\tx']
    path = file_of(tmp_path, "\n".join([*lines, ""]), "rows.tsv")
    good, bad = good_and_bad(rows_in(path))
    assert ([f"{row['text']}\t{row['label']}" for row in good], bad) == (lines[1:], [])
    assert quoting_of(path, ReadOptions()) == Quoting(is_used=False, line=2)


@pytest.fixture
def opened_files(monkeypatch):
    """The names of files that are opened to be read."""
    names = []
    plain_open = Path.open

    def recording(path, mode="r", *args, **kwargs):
        if mode.startswith("r"):
            names.append(path.name)
        return plain_open(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", recording)
    return names


def test_a_table_is_opened_once(tmp_path, opened_files):
    path = file_of(tmp_path, 'text,label\n"a",b\n')
    assert len(rows_in(path)) == 1
    assert len(rows_in(path)) == 1
    assert opened_files == ["rows.csv"] * 2


def test_marks_of_many_tables_with_tabs_are_looked_for_once(tmp_path, opened_files):
    paths = [file_of(tmp_path, 'text\tlabel\n"a"\tb\n', f"{number}.tsv") for number in range(1_100)]
    assert sum(len(rows_in(path)) for path in paths) == 1_100
    assert len(opened_files) == 2 * 1_100
    opened_files.clear()
    assert sum(len(rows_in(path)) for path in paths) == 1_100
    assert len(opened_files) == 1_100


def test_a_plain_text_is_opened_once(tmp_path, opened_files):
    path = file_of(tmp_path, "one\r\ntext", "a.txt", "utf-16")
    assert list(read_whole(path, ReadOptions("utf-16"))) == [(None, {"text": "one\r\ntext"})]
    assert opened_files == ["a.txt"]


def test_a_table_that_has_changed_is_looked_at_again(tmp_path):
    path = file_of(tmp_path, 'text\tlabel\n"quoted"\tx\n', "rows.tsv")
    assert rows_in(path) == [(2, {"text": "quoted", "label": "x"})]
    file_of(tmp_path, 'text\tlabel\n"quoted" not\tx\n', "rows.tsv")
    assert rows_in(path) == [(2, {"text": '"quoted" not', "label": "x"})]


@pytest.mark.parametrize(
    ("header", "row", "names", "repeated"),
    [
        (",text,label", "0,a,b", ("text", "label"), ()),  # pandas' index
        ("text,label,", "a,b,", ("text", "label"), ()),
        ("text,label,,", "a,b", ("text", "label"), ()),
        ("text,label,", "a,b,a note", ("text", "label"), ()),
        ("id,id,text,label", "1,2,a,b", ("text", "label"), ("id",)),
        ("text, label ,,id,id,", "a,b,,1,2,", ("text", "label"), ("id",)),
        ("\n\ntext,label", "a,b", ("text", "label"), ()),
    ],
)
def test_columns_without_a_name_of_their_own_are_left_out(tmp_path, header, row, names, repeated):
    path = file_of(tmp_path, f"{header}\n{row}\n")
    columns = table_columns(path, ReadOptions())
    assert (columns.names, columns.repeated) == (names, repeated)
    assert [found[1] for found in rows_in(path)] == [{"text": "a", "label": "b"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text;label\na;b\n", r"a\.csv has semicolons between .* \(text, label\), .* --delimiter ';'"),
        ("a.csv", '"text";"label"\na;b\n', r"has semicolons between its columns \(text, label\)"),
        ("a.csv", "text|label\na|b\n", r"has vertical bars .*, expected commas; read it with --delimiter '\|'"),
        ("a.csv", "text\tlabel\na\tb\n", r"has tabs .*; read it with --delimiter tab$"),
        ("a.tsv", "text,label\na,b\n", r"has commas .*, expected tabs; read it with --delimiter ','"),
        ("a.csv", "", "is empty, expected a first line that names the columns"),
        ("a.csv", ",,\n1,2,3\n", r"line 1 is \['', '', ''\], expected a first line that names"),
        ("a.csv", '"text" x,label\na,b\n', "line 1 is not a header of columns: text after the quotation mark"),
    ],
)
def test_first_lines_that_cannot_be_used(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        rows_in(file_of(tmp_path, content, name))


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ";"), ("a.csv", "|"), ("a.csv", "\t"), ("a.tsv", ",")])
def test_a_chosen_delimiter(tmp_path, name, delimiter):
    path = file_of(tmp_path, f"text{delimiter}label\na & b{delimiter}c\n", name)
    assert rows_in(path, delimiter=delimiter) == [(2, {"text": "a & b", "label": "c"})]


def test_an_export_of_a_spreadsheet_needs_two_options_which_one_error_names(tmp_path):
    path = tmp_path / "survey.csv"
    path.write_bytes("Antwort;Größe\nja;1,5\n".encode("cp1252"))
    with pytest.raises(
        UserError, match=r"\(Antwort, Gr��e\), .* --delimiter ';'\. It is also not UTF-8; .* --encoding NAME"
    ):
        rows_in(path)
    (row,) = rows_in(path, delimiter=";", encoding="cp1252")
    assert row == (2, {"Antwort": "ja", "Größe": "1,5"})


def test_one_column_may_have_delimiters_in_its_quoted_name(tmp_path):
    assert rows_in(file_of(tmp_path, '"question; answer"\nfine\n')) == [(2, {"question; answer": "fine"})]


def test_bad_rows_name_the_format(tmp_path):
    (row,) = rows_in(file_of(tmp_path, 'text,label\n"a" b,c\n'))
    assert re.fullmatch(r".*rows\.csv line 2: not a row of CSV: text after .*", str(row))
