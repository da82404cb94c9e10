"""``tfdl datasets show PATH``: the user's own files, as training would read them."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_datasets import run as run
from tfdl.config import DatasetConfig
from tfdl.data.opening import open_images, open_texts


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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show ./nothing.csv", "dataset './nothing.csv': no such file or folder"),
        ("show ./empty", "dataset './empty' has no file of rows"),
        ("prepare ./empty", "'./empty' is a path: your own files need no preparation; tfdl train --dataset ./empty"),
        (
            "show rows.csv --samples 2 --split tset",
            "unknown split 'tset' of your own files, expected one of train",
        ),
        ("show rows.csv --output x.png", "'rows.csv' has no images to draw; leave out --output"),
        ("show rows.csv --encoding utf-9", "dataset.encoding='utf-9', expected an encoding such as utf-8 or cp1252"),
    ],
)
def test_one_line_and_exit_code_2(run, tmp_path, line, message):
    write_table(tmp_path / "rows.csv", labelled())
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
