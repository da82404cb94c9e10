"""The user's tables, JSON lines, plain texts, class folders and parallel files."""

import csv
import json
import random
import re
import subprocess
import sys

import pytest

from tfdl.config import DatasetConfig
from tfdl.data.files.paths import existing, is_local
from tfdl.data.opening import open_images, open_texts
from tfdl.errors import UserError

WORDS = [f"word{number}" for number in range(200)]
CLASSIFIED = ("text", "label")
TRANSLATED = ("source", "target")


def write_csv(path, rows, header=("text", "label"), delimiter=","):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header, *rows])
    return path


def opened(path, roles=("text",), **fields):
    return open_texts(DatasetConfig(str(path), **fields), roles)


def rows_of(dataset):
    return {split: list(part) for split, part in dataset.splits.items()}


def labelled(count=200):
    return [(f"{word} and more", ("odd", "even")[number % 2]) for number, word in enumerate(WORDS[:count])]


@pytest.mark.parametrize(("name", "delimiter"), [("rows.csv", ","), ("rows.tsv", "\t")])
def test_a_table(tmp_path, name, delimiter):
    dataset = opened(write_csv(tmp_path / name, labelled(), delimiter=delimiter), CLASSIFIED)
    assert dataset.class_names == ("even", "odd")
    rows = rows_of(dataset)
    everything = sorted((row["text"], dataset.class_names[row["label"]]) for part in rows.values() for row in part)
    assert everything == sorted(labelled())
    assert {split: part.num_examples for split, part in dataset.splits.items()} == {
        split: len(part) for split, part in rows.items()
    }
    assert len(rows["train"]) > 140
    assert min(len(rows["validation"]), len(rows["test"])) > 8


def test_json_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"body": text, "stars": number % 3, "meta": {"id": 1}}) for number, text in enumerate(WORDS)]
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    dataset = opened(path, CLASSIFIED, text_column="body", label_column="stars")
    assert dataset.class_names == ("0", "1", "2")
    assert sum(part.num_examples for part in dataset.splits.values()) == 200


def test_numbers_as_classes_have_the_order_of_numbers(tmp_path):
    rows = [(word, str(number % 12)) for number, word in enumerate(WORDS)]
    assert opened(write_csv(tmp_path / "rows.csv", rows), CLASSIFIED).class_names == tuple(map(str, range(12)))


@pytest.mark.parametrize("other", ["²", "+-5"])
def test_labels_that_only_look_like_numbers_have_the_order_of_the_alphabet(tmp_path, other):
    rows = [(word, ("10", "9", other)[number % 3]) for number, word in enumerate(WORDS)]
    assert opened(write_csv(tmp_path / "rows.csv", rows), CLASSIFIED).class_names == tuple(sorted(["10", "9", other]))


def test_a_split_does_not_depend_on_the_order_of_rows_nor_on_other_rows(tmp_path):
    rows = labelled()
    before = rows_of(opened(write_csv(tmp_path / "a.csv", rows), CLASSIFIED))
    random.Random(0).shuffle(rows)
    after = rows_of(opened(write_csv(tmp_path / "b.csv", rows[:150]), CLASSIFIED))
    where = {row["text"]: split for split, part in before.items() for row in part}
    assert all(where[row["text"]] == split for split, part in after.items() for row in part)
    assert sum(map(len, after.values())) == 150


def test_another_row_is_another_fingerprint(tmp_path):
    rows = labelled()
    first = opened(write_csv(tmp_path / "a.csv", rows), CLASSIFIED).splits["train"].fingerprint
    assert opened(write_csv(tmp_path / "b.csv", rows), CLASSIFIED).splits["train"].fingerprint == first
    rows[:] = [(text.replace("more", "less"), label) for text, label in rows]
    assert opened(write_csv(tmp_path / "c.csv", rows), CLASSIFIED).splits["train"].fingerprint != first


def test_files_that_are_named_after_splits(tmp_path):
    write_csv(tmp_path / "train.csv", labelled()[:50])
    write_csv(tmp_path / "dev.csv", labelled()[50:60])
    write_csv(tmp_path / "test.csv", labelled()[60:65])
    rows = rows_of(opened(tmp_path, CLASSIFIED))
    assert [len(rows[split]) for split in ("train", "validation", "test")] == [50, 10, 5]


def test_without_a_validation_file_some_training_rows_are_held_out(tmp_path):
    write_csv(tmp_path / "train.csv", labelled()[:150])
    write_csv(tmp_path / "test.csv", labelled()[150:160])
    rows = rows_of(opened(tmp_path, CLASSIFIED))
    assert len(rows["test"]) == 10
    assert len(rows["train"]) + len(rows["validation"]) == 150
    assert 5 < len(rows["validation"]) < 30


def test_without_a_test_file_the_validation_rows_are_the_test(tmp_path):
    write_csv(tmp_path / "train.csv", labelled()[:50])
    write_csv(tmp_path / "valid.csv", labelled()[50:60])
    rows = rows_of(opened(tmp_path, CLASSIFIED))
    assert rows["test"] == rows["validation"]
    assert len(rows["test"]) == 10


def test_one_text_file_is_cut_at_blank_lines(tmp_path):
    path = tmp_path / "book.txt"
    paragraphs = [f"The {word} was red.\nIt stayed so.\n" for word in WORDS]
    path.write_text("\n".join(paragraphs), encoding="utf-8")
    texts = [row["text"] for part in rows_of(opened(path)).values() for row in part]
    assert sorted(text.rstrip("\n") for text in texts) == sorted(text.rstrip("\n") for text in paragraphs)


def test_a_folder_of_texts_has_one_in_each_file(tmp_path):
    for word in WORDS:
        (tmp_path / f"{word}.txt").write_text(f"{word}\n\nends\n", encoding="utf-8")
    rows = rows_of(opened(tmp_path))
    assert sorted(row["text"] for part in rows.values() for row in part) == sorted(f"{w}\n\nends\n" for w in WORDS)


def test_plain_texts_that_are_named_after_splits(tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"wiki.{split}.tokens").write_text(f" \n = {split} = \n\n text \n", encoding="utf-8")
    rows = rows_of(opened(tmp_path))
    assert rows["validation"] == [{"text": " \n = valid = \n\n text \n"}]
    assert rows["train"] == [{"text": " \n = train = \n\n text \n"}]


def test_class_folders_of_texts(tmp_path):
    for number, word in enumerate(WORDS):
        folder = tmp_path / ("train" if number < 150 else "test") / ("pos", "neg")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{word}.txt").write_text(word, encoding="utf-8")
    dataset = opened(tmp_path, CLASSIFIED)
    assert dataset.class_names == ("neg", "pos")
    rows = rows_of(dataset)
    assert len(rows["test"]) == 50
    assert {row["text"]: row["label"] for row in rows["test"]}["word150"] == 1


def test_two_parallel_files(tmp_path):
    (tmp_path / "a.en").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    (tmp_path / "a.de").write_text("".join(f"{word.upper()}\r\n" for word in WORDS), encoding="utf-8")
    for path, columns in (
        (f"{tmp_path / 'a.en'},{tmp_path / 'a.de'}", {}),
        (tmp_path, {"source_column": "en", "target_column": "de"}),
    ):
        rows = [row for part in rows_of(opened(path, TRANSLATED, **columns)).values() for row in part]
        assert sorted(row["source"] for row in rows) == sorted(WORDS)
        assert all(row["target"] == row["source"].upper() for row in rows)


def test_parallel_files_of_unequal_lengths(tmp_path):
    (tmp_path / "a.en").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "a.de").write_text("eins\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.de has 1 line and .*a\.en has more; expected as many lines in both"):
        opened(f"{tmp_path / 'a.en'},{tmp_path / 'a.de'}", TRANSLATED)


BAD_ROWS = {
    "wrong columns": (b"text,label\nfine,a\nonly one\n", r"line 3: 1 column, expected 2"),
    "too many": (b"text,label\na,b,c\nfine,a\n", r"line 2: 3 columns, expected 2"),
    "empty": (b"text,label\nfine,a\n  ,b\n", r"line 3: 'text' is empty"),
    "no UTF-8": (b"text,label\nfine,a\n\xff\xfe,b\n", r"line 3: 'text' is not UTF-8"),
    "after a long one": (b'text,label\n"two\nlines",a\n,b\n', r"line 4: 'text' is empty"),
    "open quote": (b'text,label\nfine,a\n"never closed,b\n', r"line 3: not a row of CSV"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_reported_with_file_and_line_or_left_out_and_counted(tmp_path, kind):
    content, message = BAD_ROWS[kind]
    good = b"".join(f"{text},{label}\n".encode() for text, label in labelled())
    path = tmp_path / "rows.csv"
    path.write_bytes(content + (b"" if kind == "open quote" else good))
    with pytest.raises(UserError, match=rf"1 bad row: .*rows\.csv {message}.*--skip-bad-rows"):
        opened(path, CLASSIFIED)
    if kind == "open quote":  # nothing after it can be told from it
        return
    dataset = opened(path, CLASSIFIED, skip_bad_rows=True)
    assert sum(part.num_examples for part in dataset.splits.values()) == 200 + (kind != "too many" or 1)
    assert "1 bad row left out, the first one" in dataset.notes[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "a", "label"', "line 2: not JSON"),
        (b'["a", "b"]', "line 2: a JSON list, expected an object"),
        (b'{"text": "a"}', "line 2: no 'label' in it"),
        (b'{"text": "", "label": "b"}', "line 2: 'text' is empty"),
        (b'{"text": "\xff", "label": "b"}', "line 2: 'text' is not UTF-8"),
        (b"[" * 100_000, "line 2: not JSON: maximum recursion depth"),
    ],
)
def test_bad_json_lines(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "fine", "label": "a"}\n' + line + b"\n")
    with pytest.raises(UserError, match=message):
        opened(path, CLASSIFIED)


def test_many_bad_rows_are_counted_and_the_first_three_are_shown(tmp_path):
    path = write_csv(tmp_path / "rows.csv", [*labelled(1), *[("a",)] * 9])
    with pytest.raises(UserError, match=r"9 bad rows: .*line 3.*line 4.*line 5.*; and 6 more\. Fix them"):
        opened(path, CLASSIFIED)


def test_a_file_of_bad_rows_alone_reports_the_first(tmp_path):
    with pytest.raises(UserError, match=r"no rows that can be read; the first: .*line 2: 1 column, expected 2"):
        opened(write_csv(tmp_path / "rows.csv", [("a",)] * 9), CLASSIFIED)


@pytest.mark.parametrize(
    ("make", "roles", "fields", "message"),
    [
        (lambda folder: folder / "no.csv", ("text",), {}, "no such file or folder"),
        (lambda folder: folder, ("text",), {}, "has no file of rows, expected a text file, a folder of .txt files, or"),
        (lambda folder: folder, TRANSLATED, {}, r"two parallel files \(--dataset SOURCE,TARGET\)"),
        (lambda folder: write_csv(folder / "a.csv", labelled()), CLASSIFIED, {"text_column": "txt"},
         "--text-column 'txt', but .* has the columns text, label. Did you mean 'text'?"),
        (lambda folder: write_csv(folder / "a.csv", [("a", "b", "c")], header=("x", "y", "z")), CLASSIFIED, {},
         r"which column of .*a.csv is the text\? It has x, y, z; choose with --text-column NAME"),
        (lambda folder: write_csv(folder / "a.csv", [("a", "b")], header=("x", "x")), CLASSIFIED, {},
         r"which column of .*a.csv is the label\? It has x; choose with --label-column NAME"),
        (lambda folder: write_csv(folder / "a.csv", labelled(2)), CLASSIFIED, {}, "2 texts, none of them for"),
        (lambda folder: write_csv(folder / "a.csv", []), CLASSIFIED, {}, "has no rows$"),
        (lambda folder: write_csv(folder / "a.csv", labelled()), CLASSIFIED, {"train_split": "train"},
         "have no meaning"),
    ],
)  # fmt: skip
def test_bad_input(tmp_path, make, roles, fields, message):
    with pytest.raises(UserError, match=message):
        opened(make(tmp_path), roles, **fields)


def test_which_names_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("mnist", "digits", "photos"):
        (tmp_path / folder).mkdir()
    (tmp_path / "book").write_text("text")
    (tmp_path / "data.csv").write_text("text\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").mkdir()
    for name in (
        "./mnist",
        "../x",
        "/x",
        "~/x",
        "data.csv",
        "a/b",
        "data.csv,other.csv",
        "no.csv",
        "no/",
        "No.TXT",
        "photos",
        "book",
    ):
        assert is_local(name), name
    for name in ("mnist", "wmt14_translate/de-en", "digits", "imdb_reviews/plain_text:1.0.0", "wikipedia/20230601.en"):
        assert not is_local(name), name
    assert not is_local("photographs")


def test_declared_names_need_no_tensorflow(tmp_path):
    (tmp_path / "digits").mkdir()
    program = """\
import sys
from tfdl.data.files.paths import hidden_files_note, is_local
assert not is_local("digits") and hidden_files_note("digits")
assert not {"tensorflow", "tensorflow_datasets"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("is_file", [True, False])
def test_a_data_set_wins_over_files_of_its_name_and_a_note_says_so(tmp_path, monkeypatch, is_file):
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "docstrings"):
        if is_file:
            (tmp_path / name).write_text("text")
        else:
            (tmp_path / name).mkdir()
    note = "{0} is the data set of that name; for the files here, give --dataset ./{0}"
    assert open_images(DatasetConfig("digits")).notes == (note.format("digits"),)
    assert opened("docstrings", CLASSIFIED).notes == (note.format("docstrings"),)


def test_a_name_of_files_here_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "reviews.csv", labelled())
    (tmp_path / "reviews").mkdir()
    write_csv(tmp_path / "reviews" / "rows.csv", labelled())
    assert rows_of(opened("reviews", CLASSIFIED)) == rows_of(opened("reviews.csv", CLASSIFIED))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (("text", "label"), "--text-column text --label-column label; other tasks: language-modeling"),
        (("Review", "stars"), "has the columns Review, stars; .* --text-column COLUMN --label-column COLUMN"),
        (("my text", "label"), "--text-column COLUMN --label-column label"),
    ],
)
@pytest.mark.parametrize("name", ["my reviews.csv", "folder/train.csv"])
def test_a_table_that_is_given_as_images(tmp_path, monkeypatch, header, message, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    write_csv(tmp_path / name, labelled(), header=header)
    given = "./folder" if "/" in name else name
    quoted = f"'{given}'" if " " in given else given
    command = rf"for texts: tfdl train --task text-classification --dataset {quoted} "
    with pytest.raises(UserError, match=rf"has no images, but has the columns .*; {command}") as raised:
        open_images(DatasetConfig(given))
    assert re.search(message, str(raised.value))


def test_a_table_that_is_given_as_images_and_has_another_delimiter(tmp_path):
    path = write_csv(tmp_path / "rows.csv", labelled(), delimiter=";")
    with pytest.raises(UserError, match=r"give --task text-classification, .* also, .* read it with --delimiter ';'"):
        open_images(DatasetConfig(str(path)))


@pytest.mark.parametrize(
    ("content", "reason"), [("", "has no rows$"), ("[1]\n", "has no rows that can be read; the first: .* a JSON list")]
)
def test_a_file_without_rows_that_is_given_as_images(tmp_path, content, reason):
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(UserError, match=rf"rows.jsonl' has no images, and {reason}"):
        open_images(DatasetConfig(str(tmp_path / "rows.jsonl")))


def test_a_table_beside_images_is_not_in_the_way(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"")
    write_csv(tmp_path / "labels.csv", labelled())
    with pytest.raises(UserError, match="has 1 folder of images"):
        open_images(DatasetConfig(str(tmp_path)))


@pytest.mark.parametrize("name", ["n" * 300 + ".csv", "./" + "n" * 300])
def test_a_path_too_long_for_a_file_is_one_that_is_not_there(name):
    assert is_local(name)
    with pytest.raises(UserError, match="no such file or folder"):
        existing(name)


def test_a_json_array_is_read_like_json_lines(tmp_path):
    rows = [{"text": f"text {number} é", "label": number % 2} for number in range(60)]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "array.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "lines.json").write_text("\n".join(map(json.dumps, rows)))
    opened = [
        open_texts(DatasetConfig(str(tmp_path / name)), ("text", "label"))
        for name in ("lines.jsonl", "array.json", "lines.json")
    ]
    for dataset in opened[1:]:
        assert {split: list(found) for split, found in dataset.splits.items()} == {
            split: list(found) for split, found in opened[0].splits.items()
        }


def test_bad_items_of_a_json_array_are_named(tmp_path):
    path = tmp_path / "array.json"
    path.write_text('[{"text": "fine"}, 3, {"other": "text"}]')
    with pytest.raises(UserError, match=r"2 bad rows: .*array\.json row 2: a JSON int, .* row 3: no 'text' in it"):
        open_texts(DatasetConfig(str(path)), ("text",))
    path.write_text('[{"text": "fine"},')
    with pytest.raises(UserError, match=r"array\.json: not JSON: "):
        open_texts(DatasetConfig(str(path)), ("text",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table.xlsx", "a spreadsheet, which is not read; save it as CSV"),
        ("photos.ZIP", "packed, and packed files are not read; unpack it"),
        ("table.csv.gz", "packed, and packed files are not read; unpack it"),
        (
            "arrays.npz",
            r"a file of arrays, which is not read; load it in Python and pass it: tfdl\.train\(data=\.\.\.\)",
        ),
        ("table.feather", "a table of a kind that is not read; save it as Parquet, CSV or JSON lines"),
    ],
)
def test_kinds_that_are_not_read_are_refused_with_what_to_do(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"PK\x03\x04 any content")
    for open_any in (lambda config: open_texts(config, ("text", "label")), open_images):
        with pytest.raises(UserError, match=rf"dataset '.*{name}' is {message}"):
            open_any(DatasetConfig(str(tmp_path / name)))
