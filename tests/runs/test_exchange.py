"""Two folders exchange their places, or nothing changes."""

import ctypes
import errno

import pytest

from tfdl.runs import exchange as module
from tfdl.runs.exchange import exchange


def make(folder, name):
    (folder / name).mkdir()
    (folder / name / f"file of {name}").touch()
    return folder / name


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_two_folders(tmp_path):
    first, second = make(tmp_path, "first"), make(tmp_path, "second é")
    assert exchange(first, second)
    assert names(first) == ["file of second é"]
    assert names(second) == ["file of first"]


def test_a_folder_and_a_link(tmp_path):
    folder = make(tmp_path, "folder")
    link = tmp_path / "link"
    link.symlink_to("elsewhere")
    assert exchange(folder, link)
    assert folder.is_symlink()
    assert names(link) == ["file of folder"]


def test_a_missing_path(tmp_path):
    folder = make(tmp_path, "folder")
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: .*folder' -> '.*missing'"):
        exchange(folder, tmp_path / "missing")
    assert names(folder) == ["file of folder"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_does_not_know_it(tmp_path, monkeypatch, number):
    """As NFS, which answers EINVAL."""

    class Library:
        @staticmethod
        def renameat2(*_):
            ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: Library)
    assert not exchange(make(tmp_path, "first"), make(tmp_path, "second"))
    assert names(tmp_path / "first") == ["file of first"]


def test_a_c_library_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: object())
    assert not exchange(tmp_path, tmp_path)
