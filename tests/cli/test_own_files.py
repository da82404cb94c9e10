"""``tfdl datasets show PATH``: the user's own files, as training would read them."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.cli.test_datasets import run as run
from tests.data.records.making import example, write_tfrecord
from tfdl.config import DatasetConfig
from tfdl.data.files.table_rows import _Lines
from tfdl.data.opening import open_images, open_texts
from tfdl.errors import UserError


def write_table(path, rows, header=("text", "label")):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def labelled(count=200):
    return [(f"word{number} and more", ("odd", "even")[number % 2]) for number in range(count)]


def write_images(folder, per_class=40):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = rng.integers(0, 255, (8, 6 + number % 2, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "notes.md").write_text("x")
    return folder


def write_texts(folder, count=60):
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"text {number}")


def described(run, path, *options):
    code, out, err = run("show", path, "--json", *options)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_table(run, tmp_path):
    write_table(tmp_path / "reviews.csv", [*labelled(), ("", "odd")])
    code, out, err = run("show", "./reviews.csv")
    assert (code, err) == (0, "")
    assert re.search(r"kind +table, 1 file, [\d.]+ KiB\ntasks +text-classification  \(text, label\)\n", out)
    assert re.search(r"columns  text +texts, 200 different values in 201 rows, 14 to 16 characters, 1 missing\n", out)
    assert re.search(r"notes +1 bad row left out, the first one reviews.csv line 202: 'text' is empty\n", out)
    assert "row 2    text: word1 and more, label: even\n" in out
    assert run("reviews.csv")[1].splitlines()[1:] == out.splitlines()[1:]


def test_a_table_for_programs_has_the_numbers_of_training(run, tmp_path):
    write_table(tmp_path / "reviews" / "train.csv", labelled())
    write_table(tmp_path / "reviews" / "test.csv", labelled(10))
    found = json.loads(run("show", "reviews", "--json", "--samples", 2, "--split", "test")[1])
    dataset = open_texts(DatasetConfig(str(tmp_path / "reviews")), ("text", "label"))
    assert found["splits"] == {split: part.num_examples for split, part in dataset.splits.items()}
    assert found["classes"]["even"]["test"] == 5
    assert {name: sum(counts.values()) for name, counts in found["classes"].items()} == {"even": 105, "odd": 105}
    assert found["samples"] == [{"text": "word0 and more", "label": "odd"}, {"text": "word1 and more", "label": "even"}]


def test_images(run, tmp_path):
    write_images(tmp_path / "photos")
    code, out, err = run("show", "./photos")
    assert (code, err) == (0, "")
    assert re.search(r"kind +images in class folders, 80 files, [\d.]+ KiB\n", out)
    assert re.search(r"sizes +8x6 to 8x7 \(height x width\); choose with --image-size\n", out)
    assert re.search(r"notes +left out: 1 file of other kinds: 1 .md\n", out)
    found = json.loads(run("show", "photos", "--json")[1])
    dataset = open_images(DatasetConfig(str(tmp_path / "photos"), image_size=(8, 8)))
    assert found["splits"] == {split: source.num_examples for split, source in dataset.sources.items()}
    assert {name: sum(counts.values()) for name, counts in found["classes"].items()} == {"cat": 40, "dog": 40}


def test_images_as_a_picture(run, tmp_path):
    write_images(tmp_path / "photos")
    code, out, err = run("show", "photos", "--samples", 4, "--output", "grid.png")
    assert (code, err) == (0, "")
    assert re.findall(r"label: (\w+)", out) == ["cat", "cat", "dog", "dog"]
    assert "4 images of 'train' are in grid.png" in out
    assert Image.open(tmp_path / "grid.png").size[0] > 100


def test_files_that_cannot_be_trained_with_are_described_and_say_why(run, tmp_path):
    write_table(tmp_path / "rows.csv", labelled()[1:], header=labelled()[0])
    assert "notes    rows.csv line 1 looks like a row ('odd')" in run("rows.csv")[1]
    (tmp_path / "rows.csv").write_bytes(b"text,label\ncaf\xe9,\x1b[31m\n")
    out = run("rows.csv")[1]
    assert "'text' is not UTF-8; for a file in another encoding, give --encoding NAME" in out
    assert "row 1    text: caf\N{REPLACEMENT CHARACTER}, label: \N{REPLACEMENT CHARACTER}[31m\n" in out
    assert "row 1    text: café" in run("rows.csv", "--encoding", "latin-1")[1]


def test_a_chosen_delimiter(run, tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"{text};{label}\n" for text, label in [("text", "label"), *labelled()]))
    assert "rows.csv has semicolons between its columns" in run("rows.csv")[2]
    assert json.loads(run("rows.csv", "--delimiter", ";", "--json")[1])["classes"].keys() == {"even", "odd"}


def test_columns_that_are_chosen_are_described_as_training_reads_them(run, tmp_path):
    rows = [(number, text, label, "user") for number, (text, label) in enumerate(labelled())]
    write_table(tmp_path / "reviews.csv", rows, header=("id", "review", "stars", "user"))
    out = run("reviews.csv")[1]
    assert "tasks    none with its columns as they are; choose some, such as --text-column NAME --label-column" in out
    found = described(run, "reviews.csv", "--text-column", "review", "--label-column", "stars")
    config = DatasetConfig(str(tmp_path / "reviews.csv"), text_column="review", label_column="stars")
    dataset = open_texts(config, ("text", "label"))
    assert found["splits"] == {split: part.num_examples for split, part in dataset.splits.items()}
    assert found["classes"].keys() == {"even", "odd"}
    assert found["tasks"]["text-classification"] == {"text": "review", "label": "stars"}


def test_a_wrong_column_is_named_in_the_notes(run, tmp_path):
    write_table(tmp_path / "pairs.csv", labelled(), header=("de", "en"))
    (note,) = described(run, "pairs.csv", "--source-column", "ed", "--target-column", "en")["notes"]
    assert note == "--source-column 'ed', but pairs.csv has the columns de, en."
    found = described(run, "pairs.csv", "--source-column", "de", "--target-column", "en")
    assert found["tasks"] == {"translation": {"source": "de", "target": "en"}}


def test_columns_have_no_meaning_without_a_table(run, tmp_path):
    write_images(tmp_path / "photos")
    code, _, err = run("photos", "--label-column", "x")
    assert (code, err) == (
        2,
        "tfdl: error: --label-column has no meaning for 'photos', which is a folder of images; leave it out\n",
    )
    assert "for 'digits', which is not a path of your own files" in run("digits", "--text-column", "x")[2]


def test_bad_rows_are_errors_in_training_and_the_notes_say_so(run, tmp_path):
    advice = "bad rows are errors in training; to leave them out there too: --skip-bad-rows"
    write_table(tmp_path / "reviews.csv", [*labelled(), ("", "odd")])
    assert described(run, "reviews.csv")["notes"][-1] == advice
    write_images(tmp_path / "photos")
    assert advice not in described(run, "photos")["notes"]
    (tmp_path / "photos" / "cat" / "0.png").write_bytes(b"no image")
    assert advice in described(run, "photos")["notes"]


def test_no_choice_of_columns_is_offered_for_one_plain_text(run, tmp_path):
    (tmp_path / "rows.log").write_text('[{"text": "a", "label": "b"}]')
    out = run("rows.log")[1]
    assert re.search(r"tasks +none; the notes say why\n", out)
    assert "1 different value in 1 row, 29 characters\n" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show ./nothing.csv", "dataset './nothing.csv': no such file or folder"),
        ("show ./empty", "dataset './empty' has no files, expected images"),
        ("prepare ./nothing.csv", "dataset './nothing.csv': no such file or folder"),
        (
            "prepare rows.csv --from photos",
            "--from 'photos' has no meaning for 'rows.csv', which is a path; leave it out",
        ),
        (
            "prepare digits --label-column label",
            "--label-column has no meaning for 'digits', which is prepared with all",
        ),
        ("prepare ./empty", "'./empty' is a path: these files need no preparation; tfdl train --dataset ./empty"),
        (
            "show rows.csv --samples 2 --split tset",
            "unknown split 'tset' of your own files, expected one of train",
        ),
        ("show rows.csv --output x.png", "'rows.csv' has no images to draw; leave out --output"),
        ("show rows.csv --split foo", "unknown split 'foo' of your own files, expected one of train"),
        ("show photos --split foo", "unknown split 'foo' of your own files, expected one of train"),
        ("show photos --delimiter ;", "dataset.delimiter has no meaning for 'photos', which is a folder of images;"),
        ("show photos --encoding latin-1", "dataset.encoding has no meaning for 'photos', which is a folder of images"),
        ("show digits --encoding cp1252", "dataset.encoding has no meaning for 'digits', which is not a path of your"),
        ("show texts --delimiter ;", "dataset.delimiter has no meaning for 'texts', which is not a table; leave it"),
        ("show rows.csv --encoding utf-9", "dataset.encoding='utf-9', expected an encoding such as utf-8 or cp1252"),
    ],
)
def test_one_line_and_exit_code_2(run, tmp_path, line, message):
    write_table(tmp_path / "rows.csv", labelled())
    write_images(tmp_path / "photos", 1)
    write_texts(tmp_path / "texts", 2)
    (tmp_path / "empty").mkdir()
    code, out, err = run(*line.split())
    assert (code, out) == (2, "")
    assert re.search(message, err), err
    assert err.count("\n") == 1


def test_a_data_set_of_the_same_name_wins_and_the_page_says_so(run, tmp_path):
    (tmp_path / "fashion_mnist").mkdir()
    out = run("show", "fashion_mnist")[1]
    assert "fashion_mnist is the data set of that name; for the files here, give --dataset ./fashion_mnist" in out


def test_nothing_waits_for_tensorflow(tmp_path):
    write_table(tmp_path / "rows.csv", labelled())
    write_images(tmp_path / "photos")
    program = """\
import sys
from tfdl.cli.main import main
for path in ("./rows.csv", "./photos"):
    try:
        main(["datasets", "show", path, "--samples", "2"])
    except SystemExit as ended:
        assert ended.code == 0
found = {"tensorflow", "keras"} & set(sys.modules)
sys.exit(str(found) if found else 0)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_images_of_one_class_say_why_they_cannot_be_trained_with(run, tmp_path):
    write_images(tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos" / "dog")
    found = described(run, "photos")
    assert (found["tasks"], found["classes"]["cat"]["train"] > 0) == ({}, True)
    with pytest.raises(UserError, match="has 1 folder of images") as caught:
        open_images(DatasetConfig("photos"))
    assert found["notes"] == [str(caught.value)]
    out = run("show", "photos")[1]
    assert re.search(
        r"tasks +none; the notes say why\n.*notes +dataset 'photos' has 1 folder of images", out, re.DOTALL
    )


@pytest.mark.parametrize("case", ["few", "one whole class", "none"])
def test_images_say_the_reason_of_training(run, tmp_path, case):
    write_images(tmp_path / "photos", 2 if case == "few" else 40)
    for name in {"few": (), "one whole class": ("dog",), "none": ("cat", "dog")}[case]:
        for path in (tmp_path / "photos" / name).iterdir():
            path.write_bytes(path.read_bytes()[:60])
    config = DatasetConfig("photos", str(tmp_path / "prepared"), skip_bad_rows=True, image_size=(8, 8))
    with pytest.raises(UserError, match=r"none is for|class 'cat' alone|no images that can be read") as caught:
        open_images(config)
    found = described(run, "photos")
    expected = re.sub(r"\(.*", "", str(caught.value))  # Pillow's words for the damage are not TensorFlow's
    assert found["tasks"] == {}
    assert found["notes"][-1].startswith(expected)


@pytest.mark.parametrize("has_test", [True, False])
def test_images_in_folders_of_splits_have_the_numbers_of_training(run, tmp_path, has_test):
    write_images(tmp_path / "photos" / "train")
    if has_test:
        write_images(tmp_path / "photos" / "test", 5)
    found = described(run, "photos")
    dataset = open_images(DatasetConfig("photos", str(tmp_path / "prepared"), image_size=(8, 8)))
    assert found["splits"] == {split: source.num_examples for split, source in dataset.sources.items()}
    assert found["splits"]["test"] == (10 if has_test else found["splits"]["validation"])


def test_damaged_images_are_bad_rows(run, tmp_path):
    write_images(tmp_path / "photos")
    for number in range(10):
        path = tmp_path / "photos" / "cat" / f"{number}.png"
        path.write_bytes(path.read_bytes()[:120])
    whole = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(whole, "JPEG")
    (tmp_path / "photos" / "dog" / "half.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    found = described(run, "photos", "--samples", 70)
    assert sum(found["classes"]["cat"].values()) == 30
    assert re.match(r"11 bad rows left out, the first one .*0\.png: not an image that can be read", found["notes"][0])
    assert len(found["samples"]) == found["splits"]["train"] < 70


def test_images_are_shown_upright_and_read_once(run, tmp_path, monkeypatch):
    write_images(tmp_path / "photos")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for name in ("cat", "dog"):
        shutil.rmtree(tmp_path / "photos" / name)
        (tmp_path / "photos" / name).mkdir()
        for number in range(40):
            # Different images may be in different splits.
            image = Image.new("RGB", (16, 8), (number, len(name + str(number)), ord(name[0])))
            image.save(tmp_path / "photos" / name / f"{number}.jpg", exif=exif)
    num_read = Counter()
    read = Path.read_bytes

    def counting(path):
        num_read[path] += 1
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    found = described(run, "photos", "--samples", 1)
    assert found["sizes"] == "16x8 (height x width)"
    assert found["samples"][0]["image"] == {"shape": [16, 8, 3]}
    assert (len(num_read), num_read.total()) == (80, 81)


def test_what_a_folder_of_images_and_texts_is(run, tmp_path):
    write_table(tmp_path / "table" / "a.csv", labelled())
    shutil.copy(write_images(tmp_path / "photos") / "cat" / "0.png", tmp_path / "table" / "plot.png")
    assert described(run, "table")["kind"] == "table"
    write_texts(tmp_path / "texts")
    shutil.copy(tmp_path / "photos" / "cat" / "0.png", tmp_path / "texts" / "plot.png")
    assert described(run, "texts")["kind"] == "plain texts"
    write_table(tmp_path / "photos" / "labels.csv", labelled())
    assert described(run, "photos")["kind"] == "images in class folders"
    (tmp_path / "flat").mkdir()
    shutil.copy(tmp_path / "photos" / "cat" / "0.png", tmp_path / "flat" / "0.png")
    found = described(run, "flat")
    assert (found["kind"], found["tasks"]) == ("images in class folders", {})
    assert "has 0 folders of images" in found["notes"][0]


def test_texts_that_cannot_be_trained_with_have_no_tasks(run, tmp_path):
    write_table(tmp_path / "few.csv", labelled(1))
    found = described(run, "few.csv")
    assert found["tasks"] == {}
    assert "has 1 text, none of them for" in found["notes"][0]
    write_table(tmp_path / "one.csv", [(text, "odd") for text, _ in labelled()])
    found = described(run, "one.csv")
    assert found["tasks"] == {"language-modeling": {"text": "text"}}
    assert "has one label, 'odd', expected at least two classes" in found["notes"][0]
    assert sum(found["splits"].values()) == 200


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_a_table_is_read_at_most_twice(run, tmp_path, monkeypatch, name):
    rows = labelled(20_000)
    if name.endswith("csv"):
        write_table(tmp_path / name, rows)
    else:
        (tmp_path / name).write_text("".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows]))
    num_lines = 0
    take = _Lines.take

    def counting(lines):
        nonlocal num_lines
        num_lines += 1
        return take(lines)

    monkeypatch.setattr(_Lines, "take", counting)
    found = described(run, name, "--samples", 5)
    assert (sum(found["splits"].values()), len(found["samples"])) == (20_000, 5)
    first_rows = 2 * 5_000 + 300  # for the header, the facts about columns, and in search of images
    assert num_lines < (2 if name.endswith("tsv") else 1) * 20_000 + first_rows


def test_rows_that_name_images_without_a_label_are_not_described_as_texts(run, tmp_path):
    photos = write_images(tmp_path / "photos", per_class=3)
    names = [(file.relative_to(tmp_path),) for file in sorted(photos.glob("*/*.png"))]
    page = described(run, write_table(tmp_path / "names.csv", names, ["file"]))
    assert (page["kind"], page["tasks"], page["splits"]) == ("images that rows name", {}, {})
    assert page["columns"]["file"].startswith("texts, 6 different values")
    assert re.search("is the label", " ".join(page["notes"]))


@pytest.mark.parametrize("file_format", ["tfrecord", "csv"])
def test_images_whose_label_is_not_known_are_described_with_the_columns_to_choose_from(
    run, tmp_path, monkeypatch, file_format
):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", per_class=15)
    files = sorted((tmp_path / "photos").glob("*/*.png"))
    rows = [
        {"picture": file.relative_to(tmp_path), "kind": file.parent.name, "fold": number % 2}
        for number, file in enumerate(files)
    ]
    path = f"pets.{file_format}"
    if file_format == "csv":
        write_table(tmp_path / path, [row.values() for row in rows], rows[0])
    else:
        write_tfrecord(tmp_path / path, [example({**row, "picture": row["picture"].read_bytes()}) for row in rows])
    page = described(run, path)
    assert page["kind"] == {"csv": "images that rows name", "tfrecord": "images in TFRecord"}[file_format]
    assert not page["tasks"]
    assert page["columns"]["kind"].startswith("texts, 2 different values in 30 rows")
    (note,) = page["notes"]
    assert re.search(
        r"which column of pets\.\w+ is the label\? .*(kind, fold|fold, kind); choose with --label-column NAME", note
    )
    assert described(run, path, "--label-column", "kind")["splits"]["train"] > 0
    code, _, err = run("show", path, "--output", "pets.png")
    assert (code, note in err) == (2, True)
    code, _, err = run("show", path, "--label-column", "kin")
    assert (code, "Did you mean 'kind'" in err) == (2, True)
    if file_format == "tfrecord":
        prepare = ("prepare", path, "--data-dir", tmp_path / "prepared")
        code, _, err = run(*prepare)
        assert (code, note in err) == (2, True)
        code, out, err = run(*prepare, "--label-column", "kind")
        assert code == 0, err
        assert "pets.tfrecord is prepared in" in out
        assert out.endswith("tfdl train --dataset pets.tfrecord --label-column kind\n")
