"""Splits and classes by the names of folders and files, as people really unpack data sets."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfdl.data.files.layout import Layout, files_in_classes, files_without_classes
from tfdl.data.files.split_names import splits_of_files, splits_of_folders
from tfdl.data.files.tree import read_tree


def write(root: Path, *paths: str) -> Path:
    """Makes files; ``cat/*3`` makes three of them in ``cat``."""
    for path in paths:
        folder, _, count = path.partition("/*")
        names = [f"{folder}/{number}.txt" for number in range(int(count))] if count else [path]
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("text")
    return root


def counts(layout: Layout) -> dict[tuple[str | None, str | None], int]:
    """(split, class) -> number of files."""
    return dict(Counter((file.split, file.class_name) for file in layout.files))


def classes_below(root: Path) -> Layout:
    return files_in_classes(read_tree(root, (".txt",)))


PLAIN = {(None, "cat"): 3, (None, "dog"): 2}
SPLIT = {("train", "cat"): 3, ("train", "dog"): 2, ("test", "cat"): 1, ("test", "dog"): 1}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["cat/*3", "dog/*2"], PLAIN),
        (["pets/cat/*3", "pets/dog/*2"], PLAIN),
        (["archive/pets/cat/*3", "archive/pets/dog/*2"], PLAIN),
        (["cat/2019/*2", "cat/2020/a/*1", "dog/2019/*2"], PLAIN),
        (["train/cat/*3", "train/dog/*2", "test/cat/*1", "test/dog/*1"], SPLIT),
        (["pets/Train/cat/*3", "pets/Train/dog/*2", "pets/TEST/cat/*1", "pets/TEST/dog/*1"], SPLIT),
        (["x_train/x_train/cat/*3", "x_train/x_train/dog/*2", "x_test/x_test/cat/*1", "x_test/x_test/dog/*1"], SPLIT),
        (["train/images/cat/*3", "train/images/dog/*2", "test/cat/*1", "test/dog/*1"], SPLIT),
        (["cat/train/*3", "dog/train/*2", "cat/test/*1", "dog/test/*1"], SPLIT),
        (["train/cat/*3", "train/dog/*2", "test/cat/2019/*1", "test/dog/2020/*1"], SPLIT),
        (["train/cat/*3", "train/dog/*2"], {("train", "cat"): 3, ("train", "dog"): 2}),
        (["train/train/*3", "train/plane/*2"], {("train", "train"): 3, ("train", "plane"): 2}),
        (["valid/cat/*1", "dev/dog/*1"], {("validation", "cat"): 1, ("validation", "dog"): 1}),
    ],
)
def test_classes_and_splits(tmp_path: Path, paths: list[str], expected: dict) -> None:
    layout = classes_below(write(tmp_path, *paths))
    assert counts(layout) == expected
    assert layout.notes == []


def test_classes_without_a_file_that_can_be_read_are_named(tmp_path: Path) -> None:
    root = write(tmp_path / "flat", "cat/*3", "dog/*2", "fish/1.heic")
    (root / "bird").mkdir()
    assert classes_below(root).notes == [
        "left out: 1 file of other kinds: 1 .heic",
        "no class, since no file in it can be read: bird, fish",
    ]
    root = write(tmp_path / "split", "train/cat/*3", "train/dog/*2", "test/cat/*1", "test/dog/1.heic")
    assert classes_below(root).notes[1:] == ["no class, since no file in it can be read in test: dog"]


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        ("test/*4", "left out: 4 files directly in test: in no class folder"),
        ("test/images/*4", "left out: 4 files in test/images: named after no class of the training files"),
        ("readme.txt", "left out: 1 file at the top: in no class folder"),
        ("seg_pred/*4", "left out: 4 files in seg_pred: named after no split"),
    ],
)
def test_what_has_no_class_or_split_is_left_out_with_its_number(tmp_path: Path, extra: str, note: str) -> None:
    root = write(tmp_path, "train/cat/*3", "train/dog/*2", "valid/cat/*1", "valid/dog/*1", extra)
    layout = classes_below(root)
    assert layout.notes == [note]
    assert counts(layout) == {
        ("train", "cat"): 3,
        ("train", "dog"): 2,
        ("validation", "cat"): 1,
        ("validation", "dog"): 1,
    }


def test_the_imdb_archive_as_it_is_unpacked(tmp_path: Path) -> None:
    root = tmp_path / "aclImdb"
    write(root, "train/pos/*4", "train/neg/*4", "train/unsup/*9", "test/pos/*3", "test/neg/*3")
    write(root, "train/urls_pos.txt", "train/urls_neg.txt", "test/urls_pos.txt", "imdbEr.txt", "imdb.vocab", "README")
    layout = classes_below(root)
    assert counts(layout) == {("train", "pos"): 4, ("train", "neg"): 4, ("test", "pos"): 3, ("test", "neg"): 3}
    assert layout.notes == [
        "left out: 2 files directly in train: in no class folder",
        "left out: 1 file directly in test: in no class folder",
        "left out: 1 file at the top: in no class folder",
        "left out: 9 files in train/unsup: a name for files without a label",
        "left out: 2 files of other kinds: 1 .vocab, 1 without an ending",
    ]


def test_a_class_that_only_the_training_files_have_is_a_class(tmp_path: Path) -> None:
    layout = classes_below(write(tmp_path, "train/cat/*3", "train/fox/*2", "test/cat/*1"))
    assert counts(layout) == {("train", "cat"): 3, ("train", "fox"): 2, ("test", "cat"): 1}


def test_links_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, "pets/cat/*3", "elsewhere/dog/*2")
    os.symlink(tmp_path / "elsewhere" / "dog", tmp_path / "pets" / "dog")
    os.symlink(tmp_path / "pets", tmp_path / "pets" / "cat" / "again")
    os.symlink(tmp_path / "nowhere", tmp_path / "pets" / "fox")
    os.symlink("itself", tmp_path / "pets" / "itself")
    layout = classes_below(tmp_path / "pets")
    assert counts(layout) == PLAIN
    assert layout.notes == ["left out: 2 files of other kinds: 2 broken link"]


def test_folders_that_link_to_each_other_are_not_followed_without_end(tmp_path: Path) -> None:
    names = "abcdefg"
    for name in names:
        write(tmp_path, f"{name}/*1")
    for name in names:
        for other in names.replace(name, ""):
            os.symlink(tmp_path / other, tmp_path / name / other)
    layout = classes_below(tmp_path)
    assert len(layout.files) == len(names) ** 2
    assert "link to a folder in a folder that a link leads to" in layout.notes[0]


def test_accents_are_compared_as_unicode_does(tmp_path: Path) -> None:
    composed = "\u00e9"
    decomposed = "e\u0301"
    write(tmp_path, f"train/{decomposed}/*3", "train/dog/*2", f"test/{composed}/*1")
    layout = classes_below(tmp_path)
    assert len(layout.files) == 6
    assert layout.notes == []


def test_many_places_with_one_reason_are_one_line(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/*1", "train/dog/*1", *(f"test/{number}/*2" for number in range(30)))
    assert classes_below(tmp_path).notes == [
        "left out: 60 files in 30 places, such as test/0: named after no class of the training files"
    ]


def test_names_that_may_be_misread_are_reported(tmp_path: Path) -> None:
    note = "named like splits, but taken for classes: train"
    assert classes_below(write(tmp_path / "a", "train/*3", "plane/*2")).notes == [note]
    tables = files_without_classes(read_tree(write(tmp_path / "b", "test_a.txt", "b.txt"), (".txt",)))
    assert tables.notes == ["named like splits, but dealt out to all splits by content: test_a.txt"]


def test_hidden_files_and_those_of_archivers_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "cat/*3", "dog/*2", "__MACOSX/cat/._1.txt", "__MACOSX/cat/*2", ".git/a.txt", "cat/.hidden.txt")
    layout = classes_below(tmp_path)
    assert counts(layout) == PLAIN
    assert layout.notes == []


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"bar"):
        folder = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(folder)
        with open(folder + b"/\xff.txt", "w") as file:
            file.write("text")
    layout = classes_below(tmp_path)
    assert counts(layout) == {(None, "bar"): 1, (None, "caf\u00e9"): 1}
    assert all(file.path.read_text() == "text" for file in layout.files)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.csv", "valid.csv", "extra.csv"], {"train.csv": "train", "valid.csv": "validation"}),
        (["wiki.train.tokens", "wiki.dev.tokens"], {"wiki.train.tokens": "train", "wiki.dev.tokens": "validation"}),
        (["train-00000-of-00002.csv", "test1.csv"], {"train-00000-of-00002.csv": "train", "test1.csv": "test"}),
        (["reviews_train.csv", "held-test.csv"], {"reviews_train.csv": "train", "held-test.csv": "test"}),
        (["train.csv", "test_small.csv", "more.csv"], {"train.csv": "train", "test_small.csv": "test"}),
        (["imdb_train_25k.csv", "imdb_test_10k.csv"], {"imdb_train_25k.csv": "train", "imdb_test_10k.csv": "test"}),
        (["train_2020.csv", "test-final.csv"], {"train_2020.csv": "train", "test-final.csv": "test"}),
        (["a_train_test.csv", "train.csv"], {"train.csv": "train"}),
        (["reviews_train.csv", "reviews_test.csv"], {"reviews_train.csv": "train", "reviews_test.csv": "test"}),
        (["latest.csv", "constraint.csv", "interval.csv"], {}),
    ],
)
def test_files_that_are_named_after_splits(names: list[str], expected: dict[str, str]) -> None:
    assert splits_of_files(names) == expected


def test_titles_are_no_splits_unless_all_files_are_named_so() -> None:
    titles = ["A Test of Wills.txt", "The Last Train.txt", "Dev Notes.txt"]
    assert splits_of_files([*titles, "River.txt"], is_text_each=True) == {}
    named = {"my_train_a.txt": "train", "my_test_b.txt": "test"}
    assert splits_of_files(list(named), is_text_each=True) == named


@pytest.mark.parametrize(
    ("folders", "with_classes", "expected"),
    [
        (["2019", "2020"], True, {}),
        (["train", "plane", "ship"], False, {}),
        (["test_bench", "train_station"], False, {}),
        (["seg_test", "seg_train", "seg_pred"], True, {"seg_test": "test", "seg_train": "train"}),
        (["train", "test_final"], True, {"train": "train", "test_final": "test"}),
        (["train", "docs"], True, {"train": "train"}),
        (["wiki_train", "wiki_test_v2"], True, {"wiki_train": "train", "wiki_test_v2": "test"}),
        (["Train", "Valid", "TEST"], True, {"Train": "train", "Valid": "validation", "TEST": "test"}),
    ],
)
def test_folders_that_are_named_after_splits(folders: list[str], with_classes: bool, expected: dict[str, str]) -> None:
    assert splits_of_folders(dict.fromkeys(folders, with_classes)) == expected


def test_files_without_classes(tmp_path: Path) -> None:
    write(tmp_path, "train/*2", "test/a/*1", "novels/A Test of Wills.txt", "novels/train.txt")
    write(tmp_path, "novels/River.txt", "notes.csv")
    layout = files_without_classes(read_tree(tmp_path, (".txt",)), is_text_each=True)
    splits = {str(file.path.relative_to(tmp_path)): file.split for file in layout.files}
    assert splits == {
        "train/0.txt": "train",
        "train/1.txt": "train",
        "test/a/0.txt": "test",
        "novels/A Test of Wills.txt": None,
        "novels/River.txt": None,
        "novels/train.txt": "train",
    }
    assert layout.notes == ["left out: 1 file of other kinds: 1 .csv"]


NAMES = st.sampled_from(
    ["train", "test", "Val", "seg_train", "seg_test", "cat", "dog", "2019", "unsup", "images", "\u00e9t\u00e9", "a b"]
)
FILES = st.lists(st.sampled_from(["1.txt", "2.TXT", "train.txt", "notes.csv", "readme", ".hidden.txt"]), unique=True)
TREES = st.recursive(
    FILES.map(lambda files: (files, {})),
    lambda inner: st.tuples(FILES, st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


def build(path: Path, tree: tuple) -> int:
    """Writes a tree of files, and returns the number of those that are not hidden."""
    files, folders = tree
    path.mkdir()
    for name in files:
        (path / name).write_text("text")
    visible = sum(not name.startswith(".") for name in files)
    return visible + sum(build(path / name, inner) for name, inner in folders.items())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_every_file_of_any_tree_is_used_or_counted(tmp_path: Path, tree: tuple) -> None:
    root = tmp_path / "data"
    total = build(root, tree)
    try:
        for layout in (classes_below(root), files_without_classes(read_tree(root, (".txt",)))):
            left_out = sum(int(count) for count in re.findall(r"left out: (\d+) ", "\n".join(layout.notes)))
            assert len(layout.files) + left_out == total
            paths = [file.path for file in layout.files]
            assert paths == sorted(set(paths))
    finally:
        shutil.rmtree(root)
