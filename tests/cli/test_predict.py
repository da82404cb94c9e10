"""``tfdl predict``: its output, its errors, and files that are complete or absent."""

import io
import json
import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image

import tfdl


@pytest.fixture
def folder(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(trained_run, run_here):
    """Exit code, standard output and standard error."""
    return partial(run_here, "predict", trained_run.path)


@pytest.mark.usefixtures("folder")
def test_images_in_the_order_of_the_arguments(predict, trained_run):
    code, output, errors = predict("3.png", ".", "--top-k", 2)
    assert (code, errors) == (0, "")
    records = [json.loads(line) for line in output.splitlines()]
    assert [record["input"] for record in records] == ["3.png", *(f"{number}.png" for number in range(5))]
    assert records[0] == {**records[4]}
    assert records[0]["top"][0] == {name: records[0][name] for name in ("class_name", "class_id", "probability")}
    images = [np.asarray(Image.open(record["input"]))[..., None] for record in records]
    expected = tfdl.load(trained_run).predict(images, top_k=2)
    assert [record["class_name"] for record in records] == [record["class_name"] for record in expected]
    assert [record["probability"] for record in records] == pytest.approx([r["probability"] for r in expected])


def test_a_file_is_written_whole_or_not_at_all(predict, folder):
    (folder / "9.png").write_bytes(b"no image")
    code, output, errors = predict(".", "--output", "out/answers.csv", "--batch-size", 1)
    assert code == 2
    assert errors.startswith("tfdl: error: 1 bad input: 9.png: not an image that can be read")
    assert list((folder / "out").iterdir()) == []
    code, output, errors = predict(".", "--output", "out/answers.csv", "--skip-bad-rows")
    assert code == 0
    assert output.startswith("out/answers.csv: 5 predictions in ")
    assert errors.startswith("left out: 9.png: not an image that can be read")
    assert errors.endswith("note: 1 bad input left out\n")
    lines = (folder / "out" / "answers.csv").read_text().splitlines()
    assert lines[0] == "input,class_name,class_id,probability"
    assert len(lines) == 6
    before = (folder / "out" / "answers.csv").read_bytes()
    code, _, errors = predict("0.png", "--output", "out/answers.csv")
    assert code == 2
    assert "--output 'out/answers.csv' exists; choose another file, or replace it with --overwrite" in errors
    assert (folder / "out" / "answers.csv").read_bytes() == before
    code, _, _ = predict("0.png", "--output", "out/answers.csv", "--overwrite", "--format", "jsonl")
    assert code == 0
    assert json.loads((folder / "out" / "answers.csv").read_text())["input"] == "0.png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no input for .*, expected files, folders, texts, or - for standard input"),
        (["gone.png"], "no such file or folder: 'gone.png'"),
        (["0.png", "--output", "."], "--output '.*' is a folder, expected a file such as"),
        (["0.png", "--top-k", "0"], "Invalid value for '--top-k': 0 is not in the range x>=1"),
        (["0.png", "--text", "x"], "--text 'x', but the task 'image-classification' reads no texts; give files"),
        (["0.png", "--checkpoint", "step-9"], "has no checkpoint 'step-9'"),
        (["0.png", "--encoding", "utf-9"], "dataset.encoding='utf-9', expected an encoding such as"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_input_is_one_line(predict, arguments, message):
    code, output, errors = predict(*arguments)
    assert code == 2
    assert output == ""
    assert errors.count("\n") == 1
    assert re.search(message, errors), errors


def test_a_reader_that_has_enough(trained_run, folder):
    """As ``tfdl predict ... | head -1``: no error is printed."""
    for number in range(5, 2000):
        (folder / f"{number}.png").symlink_to("0.png")
    command = [sys.executable, "-m", "tfdl", "predict", str(trained_run.path), "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b'{"input": ')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.usefixtures("folder")
def test_paths_on_standard_input(predict, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1.png\n0.png\n")))
    code, output, _ = predict("-")
    assert code == 0
    assert [json.loads(line)["input"] for line in output.splitlines()] == ["1.png", "0.png"]


def test_nothing_that_can_be_used(predict, folder):
    (folder / "9.png").write_bytes(b"no image")
    code, output, errors = predict("9.png", "--skip-bad-rows", "--output", "x.jsonl")
    assert (code, output) == (2, "")
    assert "tfdl: error: none of the 1 inputs can be used, expected at least one that can" in errors
    assert not (folder / "x.jsonl").exists()


def test_a_link_leads_to_the_file_that_is_replaced(predict, folder):
    (folder / "real.jsonl").write_text("old")
    (folder / "link.jsonl").symlink_to("real.jsonl")
    assert predict("0.png", "--output", "link.jsonl", "--overwrite")[0] == 0
    assert (folder / "link.jsonl").is_symlink()
    assert json.loads((folder / "real.jsonl").read_text())["input"] == "0.png"
    os.mkfifo(folder / "pipe")
    code, _, errors = predict("0.png", "--output", "pipe", "--overwrite")
    assert code == 2
    assert "is no regular file, expected one; for a pipe, leave out --output" in errors
