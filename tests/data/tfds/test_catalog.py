"""Data sets by name: errors that say what to do, and preparation that two processes may start at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfdl.config import DatasetConfig
from tfdl.data import open_builder, open_images
from tfdl.data.tfds.catalog import data_root
from tfdl.errors import UserError


def test_the_data_folder(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/somewhere")
    assert data_root("/given") == Path("/given")
    assert data_root() == Path("/somewhere")
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert data_root() == Path.home() / "tensorflow_datasets"


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UserError) as raised:
        open_builder("mnits", str(tmp_path))
    assert str(raised.value) == (
        "unknown data set 'mnits', expected an offline one (digits, python_topics,"
        " docstrings, dates) or a TFDS name such as mnist, fashion_mnist or"
        " cifar10. Did you mean 'mnist'?"
    )


def test_a_name_that_is_a_folder_here_is_pointed_at(tmp_path, monkeypatch):
    (tmp_path / "mnits").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"unknown data set 'mnits', .* For the files here give '\./mnits'\.$"):
        open_builder("mnits", str(tmp_path))


def test_a_name_that_is_too_long_for_a_file_is_unknown(tmp_path):
    with pytest.raises(UserError, match="unknown data set"):
        open_builder("n" * 300, str(tmp_path))


def test_own_names_are_suggested_too(tmp_path):
    with pytest.raises(UserError, match=r"unknown data set 'digit', .* Did you mean 'digits'\?"):
        open_builder("digit", str(tmp_path))


@pytest.mark.parametrize("name", ["../digits", ".", "/digits", ":1.0.0"])
def test_a_path_is_no_name(tmp_path, name):
    with pytest.raises(UserError, match="unknown data set"):
        open_builder(name, str(tmp_path))


def test_an_unknown_version(tmp_path):
    with pytest.raises(UserError, match=r"data set 'digits:9\.9\.9' cannot be opened: .*9\.9\.9"):
        open_builder("digits:9.9.9", str(tmp_path))


def test_an_unknown_configuration(tmp_path):
    with pytest.raises(UserError, match=r"data set 'digits/large' cannot be opened: .*large"):
        open_builder("digits/large", str(tmp_path))


def test_without_a_network_the_offline_choices_are_named(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody listens
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError) as raised:
        open_builder("mnist", str(tmp_path))
    assert str(raised.value) == (
        f"data set 'mnist' is not prepared in {tmp_path}, and storage.googleapis.com cannot be reached to download it;"
        " connect to a network, give the folder of prepared data with --data-dir, prepare it from files that you have"
        " (tfdl datasets prepare mnist --from FOLDER), or use an offline data set: digits, python_topics, docstrings,"
        " dates"
    )
    assert not (tmp_path / "mnist").exists()


def test_a_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot prepare data set 'digits' in .*; give a folder that can be written"):
        open_builder("digits", str(tmp_path / "file"))


def test_a_set_that_is_no_image_classification(tmp_path):
    import tensorflow_datasets as tfds

    class Sentences(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):  # noqa: ARG002
            return {"train": iter([(0, {"text": "a"})])}

        def _generate_examples(self):
            return iter(())

    with pytest.raises(UserError, match=r"'sentences' has 0 images in a sample \(text\), expected one as the image"):
        open_images(DatasetConfig("sentences", str(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "trian"}, r"unknown split 'trian' of 'digits', .* Did you mean 'train'\?"),
        ({"train_split": "train[:many]"}, r"unknown split 'train\[:many\]' of 'digits', expected one of train, "),
        ({"test_split": "test[:0]"}, r"split 'test\[:0\]' of 'digits' is empty; choose another dataset\.test_split"),
    ],
)
def test_a_split_that_cannot_be_used(data_dir, changes, message):
    splits = {"train_split": "train", "validation_split": "validation", "test_split": "test", **changes}
    with pytest.raises(UserError, match=message):
        open_images(DatasetConfig("digits", str(data_dir), **splits))


PREPARE = """\
import sys
from tfdl.cli.quiet import quick_start
quick_start()
import tensorflow_datasets
from tfdl.data import open_builder
print("ready", flush=True)
sys.stdin.readline()
builder = open_builder("digits", sys.argv[1])
print(builder.info.splits["train"].num_examples, len(list(builder.as_dataset("test"))))
"""


@pytest.mark.slow
def test_two_processes_prepare_one_folder_at_once(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    jobs = [subprocess.Popen([sys.executable, "-c", PREPARE, str(tmp_path)], **pipes) for _ in range(2)]
    for job in jobs:
        assert job.stdout.readline() == "ready\n"
    for job in jobs:  # both have imported everything: now they race
        job.stdin.write("\n")
        job.stdin.flush()
    for job in jobs:
        out, err = job.communicate(timeout=120)
        assert job.returncode == 0, err
        assert out == "1437 180\n"
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["1.0.0"]
