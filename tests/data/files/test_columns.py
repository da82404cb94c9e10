"""Which columns serve as which role, and rows and files that lack one of them."""

import json
import re

import pytest

from tests.data.files.test_texts import CLASSIFIED, TRANSLATED, WORDS, labelled, opened, write_csv
from tfdl.errors import UserError


def write_lines(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def num_rows(dataset):
    return sum(part.num_examples for part in dataset.splits.values())


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("{t},{l}", "{t},{l}"),
        (",{t},{l}", "{i},{t},{l}"),
        ("{t},{l},", "{t},{l},"),
        ("id,id,{t},{l}", "{i},{i},{t},{l}"),
        ("id,{t},,{l},note,note", "{i},{t},x,{l},y,z"),
    ],
)
@pytest.mark.parametrize("names", [("text", "label"), ("review", "stars")])
def test_columns_that_nobody_asked_for_do_not_matter(tmp_path, header, row, names):
    text, label = names
    rows = [row.format(i=number, t=text, l=label) for number, (text, label) in enumerate(labelled())]
    path = write_lines(tmp_path / "rows.csv", [header.format(t=text, l=label), *rows])
    dataset = opened(path, CLASSIFIED, text_column=text, label_column=label)
    assert num_rows(dataset) == 200
    assert {row["text"] for part in dataset.splits.values() for row in part} == {text for text, _ in labelled()}


@pytest.mark.parametrize(
    ("header", "fields", "role"),
    [("text,label,text", {}, "text"), ("id,id,label", {"text_column": "id"}, "text"), ("text,a,a", {}, "label")],
)
def test_a_name_that_is_used_must_be_that_of_one_column(tmp_path, header, fields, role):
    path = write_lines(tmp_path / "rows.csv", [header, "a,b,c"])
    with pytest.raises(UserError, match=rf"several columns that are called '\w+', which is the {role}; .* rename"):
        opened(path, CLASSIFIED, **fields)


def test_one_column_for_two_roles(tmp_path):
    path = write_csv(tmp_path / "rows.csv", labelled())
    with pytest.raises(UserError, match="--text-column and --label-column are both 'text', expected two columns"):
        opened(path, CLASSIFIED, text_column="text", label_column="text")


def test_the_rows_of_json_lines_decide_together(tmp_path):
    """A label that is null, or that is not there, makes a bad row, whichever row it is."""
    labels = [None if number % 10 == 0 else label for number, (_, label) in enumerate(labelled())]
    rows = [{"text": text, "label": label} for (text, _), label in zip(labelled(), labels, strict=True)]
    rows[10].pop("label")
    path = write_lines(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError, match=r"20 bad rows: .*line 1: no 'label' in it; .*line 11: no 'label' in it"):
        opened(path, CLASSIFIED)
    dataset = opened(path, CLASSIFIED, skip_bad_rows=True)
    assert num_rows(dataset) == 180
    assert "20 bad rows left out" in dataset.notes[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"has no rows$"),
        (["[1]"], "has no rows that can be read; the first: .*line 1: a JSON list"),
        (["{}"], "has no column of texts, numbers or classes, expected one"),
        (['{"text": ["a"]}'], "has no column of texts, numbers or classes, expected one"),
    ],
)
def test_json_lines_without_a_column(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        opened(write_lines(tmp_path / "rows.jsonl", lines), CLASSIFIED, text_column="text")


def test_a_file_without_a_column_is_reported_once(tmp_path):
    write_csv(tmp_path / "a.csv", labelled())
    write_csv(tmp_path / "b.csv", [(word, word) for word in WORDS[:12]], header=("text", "stars"))
    write_lines(tmp_path / "c.jsonl", [{"text": word} for word in WORDS[:7]])
    expected = r"19 bad rows: .*b\.csv: no column 'label' in any row; it has text, stars; .*c\.jsonl: no column 'label'"
    with pytest.raises(UserError, match=expected):
        opened(tmp_path, CLASSIFIED)
    dataset = opened(tmp_path, CLASSIFIED, skip_bad_rows=True)
    assert num_rows(dataset) == 200
    assert "19 bad rows left out" in dataset.notes[0]


def test_a_column_that_is_not_in_the_first_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdl.data.files.readers.NUM_SAMPLED", 20)
    texts = labelled()
    rows = [
        {"text": text} if number < 30 else {"text": text, "label": label} for number, (text, label) in enumerate(texts)
    ]
    write_lines(tmp_path / "a.jsonl", rows)
    write_csv(tmp_path / "b.csv", labelled())
    dataset = opened(tmp_path, CLASSIFIED, skip_bad_rows=True)
    assert num_rows(dataset) == 200 + 170


def test_columns_that_were_guessed_are_reported(tmp_path):
    rows = [(number, *row) for number, row in enumerate(labelled())]
    path = write_csv(tmp_path / "rows.csv", rows, header=("label", "Text", "stars"))
    dataset = opened(path, CLASSIFIED, label_column="stars")
    assert "taken for the text: the column 'Text' (choose another with --text-column)" in dataset.notes
    assert not opened(write_csv(tmp_path / "named.csv", labelled()), CLASSIFIED).notes


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        # Unique numbers are no classes.
        (("id", "text"), [(number, word) for number, word in enumerate(WORDS)],
         r"which column of .* is the label\? The only column left, 'id', has 200 different values in 200 rows"),
        (("text", "score"), [(word, number / 7) for number, word in enumerate(WORDS)],
         "choose with --label-column NAME"),
        (("id", "label"), [(number, number % 2) for number in range(200)],
         r"is the text\? The only column left, 'id', has numbers, not texts; choose with --text-column"),
    ],
)  # fmt: skip
def test_columns_that_are_unlikely_to_be_meant(tmp_path, header, rows, message):
    with pytest.raises(UserError, match=message):
        opened(write_csv(tmp_path / "rows.csv", rows, header=header), CLASSIFIED)


@pytest.mark.parametrize(
    ("rows", "roles", "value"),
    [
        ([(text, label) for text, label in labelled()], CLASSIFIED, "odd"),
        ([(number % 4 + 1, "Title", text) for number, (text, _) in enumerate(labelled())], CLASSIFIED, "1"),
        ([("the cat sat on the mat and looked at the dog in front of the door", "x")], ("text",), "the cat sat"),
    ],
)
def test_a_missing_first_line_is_recognized(tmp_path, rows, roles, value):
    path = write_csv(tmp_path / "rows.csv", rows[1:], header=rows[0])
    with pytest.raises(UserError, match=rf"rows\.csv line 1 looks like a row \('{value}.*such as text,label: add one"):
        opened(path, roles)
    with pytest.raises(UserError, match="line 1 looks like a row"):
        opened(path, roles, text_column="text")


@pytest.mark.parametrize("missing", ["", "  ", "nan", "NaN"])
def test_a_label_that_is_missing_makes_a_bad_row(tmp_path, missing):
    path = write_csv(tmp_path / "rows.csv", [*labelled(), ("some text", missing)])
    with pytest.raises(UserError, match=r"1 bad row: .*line 202: 'label' is "):
        opened(path, CLASSIFIED)


def test_a_folder_may_be_called_nan(tmp_path):
    """It is a bread."""
    for number, word in enumerate(WORDS):
        write_lines(tmp_path / ("nan", "pita")[number % 2] / f"{word}.txt", [word])
    assert opened(tmp_path, CLASSIFIED).class_names == ("nan", "pita")


def test_a_first_line_that_may_be_a_row(tmp_path):
    path = write_csv(tmp_path / "rows.csv", [("b", "y", "v")], header=("a", "x", "u"))
    with pytest.raises(UserError, match=r"NAME, or add a line that names the columns, if line 1 is a row$"):
        opened(path, CLASSIFIED)
    with pytest.raises(UserError, match=r"choose with --label-column NAME$"):
        opened(path, CLASSIFIED, text_column="a")


def test_labels_of_json(tmp_path):
    labels = [0, 0.0, 1, 1.0, float("nan"), None]
    rows = [{"text": word, "label": labels[number % 6]} for number, word in enumerate(WORDS[:180])]
    dataset = opened(write_lines(tmp_path / "rows.jsonl", rows), CLASSIFIED, skip_bad_rows=True)
    assert dataset.class_names == ("0", "1")
    assert num_rows(dataset) == 120
    rows = [{"text": word, "label": number % 2 == 0} for number, word in enumerate(WORDS)]
    assert opened(write_lines(tmp_path / "rows.jsonl", rows), CLASSIFIED).class_names == ("false", "true")


def test_half_of_a_surrogate_pair(tmp_path):
    good = [{"text": text, "label": label} for text, label in labelled()]
    for role, bad in (("label", '{"text": "a", "label": "b\\ud83d"}'), ("text", '{"text": "\\ude00", "label": "b"}')):
        path = write_lines(tmp_path / "rows.jsonl", [*good, bad])
        with pytest.raises(UserError, match=rf"line 201: '{role}' is half of a surrogate pair, U\+D"):
            opened(path, CLASSIFIED)
        assert num_rows(opened(path, CLASSIFIED, skip_bad_rows=True)) == 200
    path = write_lines(tmp_path / "rows.jsonl", [{**row, "other": "\ud83d"} for row in good])
    assert num_rows(opened(path, CLASSIFIED)) == 200


def test_one_label_is_an_error(tmp_path):
    path = write_csv(tmp_path / "rows.csv", [(text, "good") for text, _ in labelled()])
    with pytest.raises(UserError, match="has one label, 'good', expected at least two classes"):
        opened(path, CLASSIFIED)


def test_a_label_that_only_the_test_split_has_is_reported(tmp_path):
    write_csv(tmp_path / "train.csv", labelled())
    write_csv(tmp_path / "test.csv", [("some text", "mixed"), *labelled(20)])
    assert "without training samples, so never predicted: mixed" in opened(tmp_path, CLASSIFIED).notes


@pytest.mark.parametrize("name", ["reviews, 2024.csv", "Doe, Jane/reviews.csv", "a,b,c.csv"])
def test_a_path_that_exists_wins_over_commas(tmp_path, name):
    (tmp_path / "Doe, Jane").mkdir()
    assert num_rows(opened(write_csv(tmp_path / name, labelled()), CLASSIFIED)) == 200
    path = write_csv(tmp_path / name, labelled(), header=TRANSLATED)
    assert num_rows(opened(path, TRANSLATED)) == 200


def test_parallel_files_with_commas_in_their_names(tmp_path):
    source = write_lines(tmp_path / "a, b.en", WORDS)
    target = write_lines(tmp_path / "a, b.de", map(str.upper, WORDS))
    assert num_rows(opened(f"{source},{target}", TRANSLATED)) == 200
    with pytest.raises(UserError, match="names 3 files, expected two: SOURCE,TARGET"):
        opened(f"{tmp_path}/a,{tmp_path}/b,{tmp_path}/c", TRANSLATED)


@pytest.mark.parametrize("roles", [CLASSIFIED, ("text",)])
def test_only_translation_has_pairs_of_files(tmp_path, roles):
    with pytest.raises(UserError, match=r"a\.csv,b\.csv': no such file or folder"):
        opened(f"{tmp_path}/a.csv,b.csv", roles)


def write_late_column(path, name="late"):
    rows = [{"text": f"word {number}"} for number in range(5_000)]
    rows += [{"text": f"word {number}", name: str(number % 2)} for number in range(5_000, 5_200)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_column_that_the_user_names_may_occur_late(tmp_path):
    path = write_late_column(tmp_path / "a.jsonl")
    dataset = opened(path, CLASSIFIED, label_column="late", skip_bad_rows=True)
    assert sum(part.num_examples for part in dataset.splits.values()) == 200
    with pytest.raises(UserError, match=r"5000 bad rows: .*line 1: no 'late' in it"):
        opened(path, CLASSIFIED, label_column="late")
    with pytest.raises(UserError, match=r"--label-column 'later', but .*a\.jsonl has the columns text\."):
        opened(path, CLASSIFIED, label_column="later")
    with pytest.raises(UserError, match=r"which column .* is the label\? Its first 5,000 rows have text; choose with"):
        opened(path, CLASSIFIED)


@pytest.mark.parametrize("target", ["a/b", "", "/", "a\0b", "a\nb"])
def test_columns_that_are_no_endings_of_parallel_files(tmp_path, target):
    (tmp_path / "a.en").write_text("one\ntwo\n")
    with pytest.raises(
        UserError, match=r"--target-column .* is no ending of files, expected one such as 'de', .*a\.en$"
    ):
        opened(tmp_path, ("source", "target"), source_column="en", target_column=target)
    with pytest.raises(UserError, match=r"has no file of rows, expected "):
        opened(tmp_path, ("source", "target"), source_column=target, target_column="en")


def test_a_column_of_a_table_may_have_a_slash(tmp_path):
    write_csv(tmp_path / "a.csv", labelled(), header=("en", "de/at"))
    assert opened(tmp_path, ("source", "target"), source_column="en", target_column="de/at").splits


def notes_about_marks(folder):
    return [note for note in opened(folder, CLASSIFIED).notes if "quotation marks" in note]


@pytest.mark.parametrize(("count", "where"), [(1, r".*0\.tsv"), (50, "50 tables")])
def test_one_note_about_the_quotation_marks_of_all_tables(tmp_path, count, where):
    for number in range(count):
        rows = "".join(f'"so" word {number} {row}\t{row % 2}\n' for row in range(40))
        (tmp_path / f"{number}.tsv").write_text(f"text\tlabel\n{rows}")
    notes = notes_about_marks(tmp_path)
    example = "line 2" if count == 1 else r"the first: .*0\.tsv line 2"
    assert len(notes) == 1
    assert re.fullmatch(rf"{where}: quotation marks are read as characters, since .* \({example}\)", notes[0])


@pytest.mark.parametrize(("count", "where"), [(1, r".*0\.tsv: 40 rows"), (50, "50 tables: 2,000 rows")])
def test_one_note_about_the_long_values_of_all_tables(tmp_path, count, where):
    for number in range(count):
        rows = "".join(f'"two\nlines {number} {row}"\t{row % 2}\n' for row in range(40))
        (tmp_path / f"{number}.tsv").write_text(f"text\tlabel\n{rows}")
    notes = notes_about_marks(tmp_path)
    assert len(notes) == 1
    assert re.fullmatch(rf"{where} have values in quotation marks that span several lines", notes[0])


def test_a_column_that_is_called_label_is_not_taken_for_the_text(tmp_path):
    """The only column of records with images, for example, beside the images."""
    path = write_lines(tmp_path / "rows.jsonl", [{"label": label} for _, label in labelled()])
    with pytest.raises(
        UserError, match=r"is the text\? The only column left, 'label', is called as labels are; choose"
    ):
        opened(path, ("text",))
    assert num_rows(opened(path, ("text",), text_column="label")) > 0
