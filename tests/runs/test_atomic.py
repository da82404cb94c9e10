"""Files and folders that are complete or absent."""

import json
import os
import resource
import stat

import pytest

from tfdl.runs import atomic
from tfdl.runs.atomic import new_folder, replace_link, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_text_is_replaced(tmp_path):
    for text in ("old and long", "new: é"):
        write_text(tmp_path / "file", text)
        assert (tmp_path / "file").read_text(encoding="utf-8") == text
    assert names(tmp_path) == ["file"]
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_an_error_leaves_the_old_text_unchanged(tmp_path):
    write_text(tmp_path / "file", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_text(tmp_path / "file", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_text_that_cannot_be_encoded_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "file", "\ud800")
    assert names(tmp_path) == []


def test_json_ends_with_a_line_break(tmp_path):
    write_json(tmp_path / "file.json", {"a": [1]})
    text = (tmp_path / "file.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": [1]}


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with new_folder(tmp_path / "deep" / "target") as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "file").write_text("a")
        assert not (tmp_path / "deep" / "target").exists()
    assert (tmp_path / "deep" / "target" / "inner" / "file").read_text() == "a"
    assert names(tmp_path / "deep") == ["target"]
    assert stat.S_IMODE((tmp_path / "deep" / "target").stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_the_old_one(tmp_path, error):
    with new_folder(tmp_path / "target") as aside:
        (aside / "file").write_text("old")

    def fill():
        with new_folder(tmp_path / "target") as aside:
            (aside / "file").write_text("new")
            raise error

    with pytest.raises(error):
        fill()
    assert names(tmp_path) == ["target"]
    assert (tmp_path / "target" / "file").read_text() == "old"


def test_a_folder_replaces_the_old_one(tmp_path):
    for text in ("old", "new"):
        with new_folder(tmp_path / "target", replace=True) as aside:
            (aside / text).touch()
    assert names(tmp_path / "target") == ["new"]
    assert names(tmp_path) == ["target"]


@pytest.fixture
def no_exchange(monkeypatch):
    """A file system that cannot exchange two folders."""
    monkeypatch.setattr(atomic, "exchange", lambda *_: False)


@pytest.mark.usefixtures("no_exchange")
def test_a_folder_replaces_the_old_one_without_an_exchange(tmp_path):
    test_a_folder_replaces_the_old_one(tmp_path)


@pytest.mark.usefixtures("no_exchange")
def test_the_old_folder_is_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    with new_folder(tmp_path / "target") as aside:
        (aside / "old").touch()
    rename = os.rename

    def fails_for_the_new(source, target):
        if os.path.exists(os.path.join(source, "new")):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails_for_the_new)

    def fill():
        with new_folder(tmp_path / "target", replace=True) as aside:
            (aside / "new").touch()

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert names(tmp_path / "target") == ["old"]
    assert names(tmp_path) == ["target"]


# A signal may end the program right after any call


def interrupted_after(function, number):
    """The function, whose call of this number is interrupted when it has done its work."""
    calls = []

    def call(*arguments, **options):
        result = function(*arguments, **options)
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return result

    return call


def test_a_file_that_was_just_made_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_open_for_owner", interrupted_after(atomic._open_for_owner, 1))
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "file", "new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_folder_that_was_just_made_is_removed(tmp_path, monkeypatch, number):
    """Or its parent."""
    monkeypatch.setattr(atomic.Path, "mkdir", interrupted_after(atomic.Path.mkdir, number))
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "parent" / "target"):
        pass
    monkeypatch.undo()
    assert names(tmp_path) == []


def test_a_folder_that_has_just_taken_its_place_stays(tmp_path, monkeypatch):
    with new_folder(tmp_path / "target") as aside:
        (aside / "old").touch()
    monkeypatch.setattr(atomic, "exchange", interrupted_after(atomic.exchange, 1))

    def fill():
        with new_folder(tmp_path / "target", replace=True) as aside:
            (aside / "new").touch()

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert names(tmp_path / "target") == ["new"]
    assert names(tmp_path) == ["target"]


@pytest.mark.usefixtures("no_exchange")
@pytest.mark.parametrize(("number", "left"), [(1, "old"), (2, "new")])
def test_an_interrupted_replacement_leaves_one_folder(tmp_path, monkeypatch, number, left):
    with new_folder(tmp_path / "target") as aside:
        (aside / "old").touch()
    monkeypatch.setattr(os, "rename", interrupted_after(os.rename, number))

    def fill():
        with new_folder(tmp_path / "target", replace=True) as aside:
            (aside / "new").touch()

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert names(tmp_path / "target") == [left]
    assert names(tmp_path) == ["target"]


def test_parents_that_were_made_are_removed_unless_somebody_uses_them(tmp_path):
    def fill(put):
        with new_folder(tmp_path / "a" / "b" / "target"):
            put()
            raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"):
        fill(lambda: None)
    assert names(tmp_path) == []
    with pytest.raises(ValueError, match="the cause"):
        fill((tmp_path / "a" / "theirs").touch)
    assert names(tmp_path / "a") == ["theirs"]


def test_a_folder_that_another_process_made_stays(tmp_path):
    def race():
        with new_folder(tmp_path / "target") as aside:
            (aside / "mine").touch()
            (tmp_path / "target").mkdir()
            (tmp_path / "target" / "theirs").touch()

    with pytest.raises(OSError, match="not empty"):
        race()
    assert names(tmp_path / "target") == ["theirs"]
    assert names(tmp_path) == ["target"]


def test_a_link_is_replaced(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        replace_link(tmp_path / "last", name)
        assert os.readlink(tmp_path / "last") == name
    assert names(tmp_path) == ["a", "b", "last"]
