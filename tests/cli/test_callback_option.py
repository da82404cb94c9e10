"""``tfdl train --callback MODULE:NAME``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tfdl.cli.callbacks import load_callbacks
from tfdl.cli.main import main
from tfdl.errors import UserError

MODULE = """
import keras

import tfdl

written = []


class Watch(tfdl.training.Callback):
    def on_end(self, summary):
        written.append(summary["steps"])


class OfKeras(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        written.append("end")


def several():
    return [Watch(), OfKeras()]


def none():
    pass


def fails():
    raise ConnectionError("no answer\\nand more")


number = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the module ``own_tracking``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("tfdl.plugins._loaded", set())
    (tmp_path / "own_tracking.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("own_tracking", None)


def test_classes_and_functions(folder: Path) -> None:  # noqa: ARG001
    names = ("own_tracking:Watch", "own_tracking:several", "own_tracking:none")
    assert [type(callback).__name__ for callback in load_callbacks(names)] == ["Watch", "Watch", "OfKeras"]


def test_they_watch_the_run_which_does_not_need_their_module(folder: Path, capsys: Any) -> None:
    options = ["--set", "model.filters=[4]", "--image-size", "8", "--steps", "3", "--batch-size", "128"]
    with pytest.raises(SystemExit) as ended:
        main(["train", "--output", "run", *options, "--callback", "own_tracking:several"])
    assert ended.value.code == 0, capsys.readouterr().err
    assert sys.modules["own_tracking"].written == ["end", 3]
    assert "plugins: []" in (folder / "run" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_tracking", "--callback 'own_tracking', expected MODULE:NAME such as my_tracking:callbacks"),
        (":several", "--callback ':several', expected MODULE:NAME"),
        ("nowhere:several", "--callback 'nowhere': no module 'nowhere', expected one in the current folder"),
        ("own_tracking:severl", "the module has no 'severl', expected one of Watch, .* Did you mean 'several'"),
        ("own_tracking:number", "'number' has the type int, expected a class or function"),
        ("own_tracking:fails", "--callback 'own_tracking:fails': calling it failed: ConnectionError: no answer$"),
    ],
)
def test_what_cannot_be_used(folder: Path, name: str, message: str) -> None:  # noqa: ARG001
    with pytest.raises(UserError, match=message):
        load_callbacks([name])
