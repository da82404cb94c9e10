"""Preparation from the user's own files: found by their contents, compared with the hashes on record, kept apart."""

import gzip
import hashlib
import re
import socket
import zipfile
from pathlib import Path

import pytest

from tfdl.config import DatasetConfig
from tfdl.data.opening import open_texts
from tfdl.data.tfds.catalog import find_builder, prepare_dataset
from tfdl.errors import RunError, UserError

WORDS = "https://host.invalid/words.txt.gz"
ARCHIVE = "https://host.invalid/data.zip"
UNHASHED = "https://host.invalid/unhashed.txt"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Any attempt to leave this machine is a failure."""

    def refuse(*arguments):
        raise AssertionError(f"a network was asked: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def files(tmp_path):
    """``files(folder, text)``: one line a sample in a gzip file, and its label's name in an archive."""

    def make(folder, text):
        folder = tmp_path / folder
        folder.mkdir()
        (folder / "words.txt.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        with zipfile.ZipFile(folder / "data.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("label.txt"), f"of {text}")
        return folder

    return make


def on_record(url, path):
    """What TFDS knows of a download."""
    from tensorflow_datasets.core.download.checksums import UrlInfo

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {url: UrlInfo(size=path.stat().st_size, checksum=digest, filename=url.rsplit("/", 1)[-1])}


def builder_of(class_name, folder, version="1.0.0", extra=(), by_hand=None):
    """Registers a TFDS builder that downloads the two files, whose hashes are those of the files in ``folder``."""
    import tensorflow_datasets as tfds

    class Own(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        MANUAL_DOWNLOAD_INSTRUCTIONS = by_hand
        pkg_dir_path = None
        url_infos = {**on_record(WORDS, folder / "words.txt.gz"), **on_record(ARCHIVE, folder / "data.zip")}  # noqa: RUF012

        def _info(self):
            features = {"text": tfds.features.Text(), "label": tfds.features.Text()}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            for url in extra:
                dl_manager.download(url)
            if by_hand:
                return {"train": self._generate_examples(dl_manager.manual_dir / "words.txt.gz", Path("/"))}
            found = dl_manager.download_and_extract({"words": WORDS, "more": [ARCHIVE]})
            assert dl_manager.download(WORDS).read_bytes()[:2] == b"\x1f\x8b"  # as it is
            return {"train": self._generate_examples(found["words"], found["more"][0])}

        def _generate_examples(self, words, archive):
            label = (archive / "label.txt").read_text()
            for number, line in enumerate(words.read_text().splitlines()):
                yield number, {"text": line, "label": label}

    Own.__name__ = class_name
    Own.name = class_name.lower()
    tfds.core.registered._DATASET_REGISTRY[Own.name] = Own
    return Own.name


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Builders that a test registers are gone after it."""
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds.core.registered, "_DATASET_REGISTRY", dict(tfds.core.registered._DATASET_REGISTRY))


def rows(builder):
    import tensorflow_datasets as tfds

    return sorted((row["text"].decode(), row["label"].decode()) for row in tfds.as_numpy(builder.as_dataset("train")))


def test_files_are_found_whatever_their_names(files, tmp_path):
    folder = files("mine", "a\nb")
    name = builder_of("Plain", folder)
    (folder / "within").mkdir()
    (folder / "words.txt.gz").rename(folder / "within" / "renamed")
    builder = prepare_dataset(name, str(tmp_path / "data"), folder)
    assert rows(builder) == [("a", "of a\nb"), ("b", "of a\nb")]
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()] == [name], "something is left"


def test_a_missing_file(files, tmp_path):
    folder = files("mine", "a")
    name = builder_of("Lacking", folder)
    digest = hashlib.sha256((folder / "data.zip").read_bytes()).hexdigest()
    size = (folder / "data.zip").stat().st_size
    (folder / "data.zip").unlink()
    with pytest.raises(UserError) as raised:
        prepare_dataset(name, str(tmp_path / "data"), folder)
    assert str(raised.value) == (
        f"no file 'data.zip' in {folder}, nor one with its contents, and data set 'lacking' needs it: {size} bytes with"
        f" SHA-256 {digest}, from {ARCHIVE}"
    )
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == [f".{name}-1.0.0.lock"]


def test_a_wrong_file(files, tmp_path):
    folder = files("mine", "a")
    name = builder_of("Wrong", folder)
    path = folder / "words.txt.gz"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    path.write_bytes(b"another")
    found = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(UserError) as raised:
        prepare_dataset(name, str(tmp_path / "data"), folder)
    assert str(raised.value) == (
        f"{path} is not the file that data set 'wrong' is made from: expected {size} bytes with SHA-256 {expected},"
        f" found 7 bytes with SHA-256 {found}"
    )


def test_a_right_file_beside_another_of_its_name(files, tmp_path):
    """As where one folder holds several sets' downloads in folders of their own."""
    folder = files("mine", "a")
    name = builder_of("Beside", folder)
    (folder / "another").mkdir()
    (folder / "another" / "words.txt.gz").write_bytes(b"another")
    assert rows(prepare_dataset(name, str(tmp_path / "data"), folder)) == [("a", "of a")]


def test_two_sets_whose_files_have_one_name_stay_apart(files, tmp_path):
    """With a shared folder of unpacked files, TFDS gives the second set the first one's (the control)."""
    import tensorflow_datasets as tfds

    first = files("first", "one")
    second = files("second", "two")
    names = (builder_of("First", first), builder_of("Second", second))
    root = str(tmp_path / "data")
    found = [rows(prepare_dataset(name, root, folder)) for name, folder in zip(names, (first, second), strict=True)]
    assert found == [[("one", "of one")], [("two", "of two")]]

    def plain(name, folder):
        builder = find_builder(name, tmp_path / "control")
        shared = str(tmp_path / "control" / "shared")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=str(folder), extract_dir=shared, try_download_gcs=False
            )
        )
        return rows(builder)

    assert [plain(name, folder) for name, folder in zip(names, (first, second), strict=True)] == [
        [("one", "of one")],
        [("one", "of one")],  # and not two
    ]


def test_two_versions_stay_apart(files, tmp_path):
    root = str(tmp_path / "data")
    old = files("old", "old")
    assert rows(prepare_dataset(builder_of("Versions", old), root, old)) == [("old", "of old")]
    new = files("new", "new")
    assert rows(prepare_dataset(builder_of("Versions", new, "2.0.0"), root, new)) == [("new", "of new")]


def test_a_file_without_a_hash(files, tmp_path):
    folder = files("mine", "a")
    name = builder_of("Unhashed", folder, extra=[UNHASHED])
    with pytest.raises(UserError, match=re.escape(f"needs {UNHASHED}, and TFDS has no hash to compare your copy with")):
        prepare_dataset(name, str(tmp_path / "data"), folder)


def test_files_that_are_read_by_name_are_compared_too(files, tmp_path):
    folder = files("mine", "a")
    name = builder_of("Manual", folder, by_hand="Fetch words.txt.gz\nfrom its owner.")
    (folder / "words.txt.gz").write_bytes(b"another")
    with pytest.raises(UserError, match=r"words\.txt\.gz is not the file that data set 'manual' is made from"):
        prepare_dataset(name, str(tmp_path / "data"), folder)


def test_without_files_that_are_fetched_by_hand(tmp_path):
    with pytest.raises(UserError) as raised:
        prepare_dataset("newsroom", str(tmp_path))
    assert str(raised.value).startswith(
        "data set 'newsroom' needs files that you must download yourself; give them with tfdl datasets prepare newsroom"
        " --from FOLDER: You should download the dataset from https://summari.es/download/ The webpage requires"
        " registration."
    )


def test_no_folder_and_no_need_of_one(tmp_path):
    with pytest.raises(
        UserError, match=r"--from '.*nothing' is not a folder, expected one with the files of .* 'mnist'"
    ):
        prepare_dataset("mnist", str(tmp_path), tmp_path / "nothing")
    with pytest.raises(UserError, match="data set 'digits' is made without files, expected no --from"):
        prepare_dataset("digits", str(tmp_path), tmp_path)


def test_a_builder_that_fails(files, tmp_path):
    folder = files("mine", "a")
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        archive.writestr("nothing.txt", "")
    name = builder_of("Failing", folder)
    with pytest.raises(RunError, match=r"preparing data set 'failing' failed: .*No such file.*label\.txt"):
        prepare_dataset(name, str(tmp_path / "data"), folder)
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == [f".{name}-1.0.0.lock"]


@pytest.mark.parametrize("outer", [None, "translation"])
def test_translations_are_read_by_their_languages(tmp_path, outer):
    import tensorflow_datasets as tfds

    pair = tfds.features.Translation(["de", "en"])

    class Pairs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            features = pair if outer is None else tfds.features.FeaturesDict({outer: pair})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):  # noqa: ARG002
            return {split: self._generate_examples(split) for split in ("train", "validation", "test")}

        def _generate_examples(self, split):
            row = {"de": f"Satz {split}", "en": f"sentence {split}"}
            yield 0, row if outer is None else {outer: row}

    prefix = f"{outer}." if outer else ""
    columns = {"source_column": f"{prefix}en", "target_column": f"{prefix}de"}
    found = open_texts(DatasetConfig("pairs", str(tmp_path), **columns), ("source", "target"))
    assert list(found.splits["test"]) == [{"source": "sentence test", "target": "Satz test"}]
