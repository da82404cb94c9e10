"""``tfdl datasets``: the lists, a set's page and samples, preparation, and input that cannot be used."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture
def run(run_here, tmp_path, monkeypatch):
    """Exit code, standard output and standard error of ``tfdl datasets ARGUMENTS`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_here, "datasets")


@pytest.fixture(scope="module")
def prepared(data_dir):
    """Two of tfdl's own sets, prepared in the session's folder."""
    from tfdl.data import open_builder

    for name in ("digits", "dates"):
        open_builder(name, str(data_dir))
    return data_dir


def test_the_list(run, prepared):
    code, out, err = run()
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert {known.name for known in (*declared_sets(), *TFDS_SETS)} <= set(lines)
    assert re.search(r"translation +22,000 dates .* yes, \d+(\.\d+)? MiB", lines["dates"])
    assert lines["mnist"].split()[-2:] == ["11.1", "MiB"]
    assert "yes" not in lines["mnist"]
    assert f"Prepared sets are in {prepared}." in out
    assert run("list") == (0, out, "")


def test_the_list_for_programs(run, prepared):
    found = json.loads(run("--json")[1])
    assert found["prepared"]["digits/1.0.0"]["splits"] == {"train": 1437, "validation": 180, "test": 180}
    assert found["prepared"]["digits/1.0.0"]["path"] == str(prepared / "digits" / "1.0.0")
    (digits,) = [line for line in found["embedded"] if line["name"] == "digits"]
    assert digits["prepared"] == ["digits/1.0.0"]
    assert "all" not in found


def test_what_is_prepared_and_not_well_known_is_listed_too(run, tmp_path):
    folder = tmp_path / "data" / "own_set" / "large" / "1.2.3"
    folder.mkdir(parents=True)
    info = {"name": "own_set", "splits": [{"name": "train", "shardLengths": ["3", "4"]}]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    for left in ("own_set/1.0.0.incompleteAB12", "damaged/1.0.0"):
        (tmp_path / "data" / left).mkdir(parents=True)
        (tmp_path / "data" / left / "dataset_info.json").write_text("{")
    assert json.loads(run("list", "--json", "--data-dir", tmp_path / "data")[1])["prepared"] == {
        "own_set/large/1.2.3": {"path": str(folder), "splits": {"train": 7}, "bytes": len(json.dumps(info))}
    }
    assert re.search(r"Also prepared in .*:\n  own_set/large/1\.2\.3  \d+ B\n", run("--data-dir", tmp_path / "data")[1])


def test_every_name_of_tfds(run):
    code, out, _ = run("--all")
    assert code == 0
    assert {"mnist", "wmt14_translate", "cnn_dailymail"} <= set(out.splitlines())
    assert len(out.splitlines()) > 400


def test_a_page(run, prepared):
    code, out, err = run("show", "digits")
    assert (code, err) == (0, "")
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines() if re.match(r"\w[\w ]*  +\S", line))
    assert facts["tasks"] == "image-classification  (image, label)"
    assert facts["splits"] == "train  1,437"
    assert facts["classes of label"] == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert facts["licence"] == "CC BY 4.0"
    assert re.fullmatch(rf"yes, \d+ KiB in {re.escape(str(prepared))}/digits/1\.0\.0", facts["here"])
    assert "doi = {10.24432/C50P49}" in out
    assert run("digits") == (0, out, "")


def test_a_page_of_a_set_that_is_not_here(run, tmp_path):
    code, out, err = run("ag_news_subset", "--data-dir", tmp_path, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["tasks"]["text-classification"] == {"text": "description", "label": "label"}
    assert found["classes"] == {"label": ["World", "Sports", "Business", "Sci/Tech"]}
    assert (found["is_prepared"], found["splits"], found["download_bytes"]) == (False, {}, 11_784_327)
    assert found["path"] == str(tmp_path / "ag_news_subset" / "1.0.0")
    assert not list(tmp_path.iterdir())
    page = run("wmt14_translate/de-en", "--data-dir", tmp_path)[1]
    assert "translation  (source: de, target: en)" in page
    assert "tfdl datasets prepare wmt14_translate/de-en\n" in page


@pytest.mark.parametrize("arguments", [["list"], ["show", "fashion_mnist"], ["show", "digits", "--samples", "2"]])
def test_nothing_waits_for_tensorflow(arguments):
    program = """\
import sys
from pathlib import Path
from tfdl.cli.main import main
try:
    main(["datasets", *sys.argv[1:]])
except SystemExit as ended:
    assert ended.code == 0
found = {"tensorflow", "keras"} & set(sys.modules)
sys.exit(str(found) if found else 0)
"""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_samples_of_texts(run):
    code, out, err = run("show", "dates", "--samples", 2, "--split", "test", "--json")
    assert (code, err) == (0, "")
    samples = json.loads(out)["samples"]
    assert len(samples) == 2
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", sample["target"]) for sample in samples)
    page = run("show", "dates", "--samples", 2, "--split", "test")[1]
    assert f"  source: {samples[1]['source']}\n  target: {samples[1]['target']}\n" in page


def test_samples_of_images_as_a_picture(run, tmp_path):
    from PIL import Image
    from sklearn.datasets import load_digits

    code, out, err = run("show", "digits", "--samples", 4, "--output", "grid.png")
    assert (code, err) == (0, "")
    assert "4 images of 'train' are in grid.png" in out
    labels = re.findall(r"label: (\d)", out)
    picture = np.asarray(Image.open(tmp_path / "grid.png").convert("L"))
    known = {digit.tobytes(): str(label) for digit, label in zip(*load_digits(return_X_y=True), strict=True)}
    tiles = [picture[y : y + 96 : 12, x : x + 96 : 12] for y in (12, 142) for x in (12, 120)]  # 8x8, twelve times
    assert [known[(tile * 16.0 / 255).round().reshape(64).tobytes()] for tile in tiles] == labels
    for y, x in ((12, 12), (12, 120), (142, 12), (142, 120)):
        assert picture[y + 97 : y + 118, x : x + 96].min() < 128, "no caption"


def test_own_sets_are_prepared_to_be_looked_at(run, tmp_path):
    code, out, err = run("show", "dates", "--samples", 1, "--data-dir", tmp_path / "data")
    assert (code, err) == (0, "")
    assert "sample 0\n  source: " in out


def test_preparing(run, tmp_path):
    for was in ("is", "was"):
        code, out, err = run("prepare", "dates", "--data-dir", tmp_path / "data")
        assert (code, err) == (0, "")
        where = tmp_path / "data" / "dates" / "1.0.0"
        counts = "train 20,000, validation 1,000, test 1,000"
        assert out.splitlines()[0] == f"dates/1.0.0 {was} prepared in {where}: {counts}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("shwo mnist", "unknown command 'shwo', expected one of list, show, prepare. Did you mean 'show'?"),
        ("show", "Missing argument 'NAME'"),
        ("show mnits", "unknown data set 'mnits', expected .* Did you mean 'mnist'?"),
        ("mnits", "unknown data set 'mnits', expected .* Did you mean 'mnist'?"),
        (
            "show huggingface:wikitext",
            "'huggingface:wikitext' is a community's, expected a name without 'huggingface:'",
        ),
        ("show mnist --samples 2", "'mnist' is not prepared, so .* no samples to show; tfdl datasets prepare mnist"),
        ("show digits --samples 0", "0 is not in the range x>=1"),
        ("show digits --samples 2 --split tset", "unknown split 'tset' of 'digits', .* Did you mean 'test'?"),
        ("show dates --output dates.png", "'dates/1.0.0' has no images to draw; leave out --output"),
        ("show digits --output digits.jpg", "--output 'digits.jpg', expected a name that ends in .png"),
        ("show digits --output no/d.png", r"--output 'no/d.png' cannot be written \(No such file or directory\)"),
        ("prepare mnits", "unknown data set 'mnits'"),
        ("prepare mnist --from nowhere", "--from 'nowhere' is not a folder, expected one with the files of .* 'mnist'"),
        ("prepare digits --from .", "'digits' is made without files, expected no --from"),
        (
            "prepare mnist --from .",
            "no file '.*-ubyte.gz' in .*, nor one with its contents, and data set 'mnist' needs",
        ),
    ],
)
def test_one_line_and_exit_code_2(run, line, message):
    code, out, err = run(*line.split())
    assert err.startswith("tfdl: error: ")
    assert err.count("\n") == 1, err
    assert re.search(message, err), err
    assert (code, out) == (2, "")


@pytest.mark.parametrize("command", ["show", "prepare"])
def test_a_plugin_s_set_that_a_function_loads(command):
    """It is known, but it is not a TFDS builder, which alone has a page and is prepared."""
    arguments = ["datasets", command, "bright-or-dark", "--plugin", "toy_parts"]
    done = subprocess.run(
        [sys.executable, "-m", "tfdl", *arguments],
        cwd=Path(__file__).parents[1] / "plugins" / "modules",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tfdl: error: data set 'bright-or-dark' of the plugin 'toy_parts' is loaded by a function in each run, so it is"
        " not described or prepared; train with it: tfdl train --plugin toy_parts --dataset bright-or-dark\n"
    )
