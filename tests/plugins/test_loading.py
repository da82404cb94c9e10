"""Importing a user's module by name, in this process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfdl.errors import UserError
from tfdl.plugins import is_available, load_plugin, require_plugins


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("tfdl.plugins._loaded", set())
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_that_failed_is_imported_anew(folder: Path) -> None:
    """A notebook's user corrects the module and tries again: half of it must not be left as if it were imported."""
    module = folder / "half_a_plugin.py"
    module.write_text("first = 1\nraise OSError('no network')\n")
    for _ in range(2):
        with pytest.raises(UserError, match="--plugin 'half_a_plugin' cannot be imported: OSError: no network"):
            load_plugin("half_a_plugin")
        assert not is_available("half_a_plugin")
    module.write_text("first = 1\nlast = 2  # no error any more\n")
    load_plugin("half_a_plugin")
    assert sys.modules["half_a_plugin"].last == 2
    require_plugins(["half_a_plugin"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("parts.py", "--plugin 'parts.py' is a path, expected a module's name, such as parts"),
        ("./here/parts.py", r"is a path, expected a module's name, such as here\.parts"),
        ("my-parts", "--plugin 'my-parts', expected a module's name, such as my_parts"),
        ("nowhere", "no module 'nowhere', expected one in the current folder or an installed package"),
        ("nowhere.inner", "no module 'nowhere', expected one in"),
        ("needs_another", "--plugin 'needs_another' cannot be imported: it needs the module 'another'"),
        ("json.nowhere", r"no module 'json\.nowhere'"),
    ],
)
def test_what_cannot_be_imported(folder: Path, name: str, message: str) -> None:
    (folder / "needs_another.py").write_text("import another\n")
    with pytest.raises(UserError, match=message):
        load_plugin(name)


def test_the_current_folder_never_replaces_an_installed_package(folder: Path) -> None:
    (folder / "own_parts.py").write_text("import yaml\n")
    (folder / "yaml.py").write_text("raise RuntimeError('the wrong one')\n")
    load_plugin("own_parts")
    assert hasattr(sys.modules["own_parts"].yaml, "safe_load")


def test_a_folder_without_code_is_not_a_module(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "notes.txt").write_text("no code")
    assert not is_available("parts")
    with pytest.raises(UserError, match="this configuration needs the plugin 'parts'"):
        require_plugins(["parts"])
