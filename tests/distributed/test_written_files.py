"""Callbacks of several ranks that write the same file."""

import warnings
from pathlib import Path
from typing import Any

import keras
import pytest

from tfdl.distributed.written_files import check_written_files, written_files
from tfdl.errors import UserError

CHECKPOINT = keras.callbacks.ModelCheckpoint
CSV = keras.callbacks.CSVLogger
BACKUP = keras.callbacks.BackupAndRestore


def warnings_of(*paths_of_ranks: Any, kind: Any) -> list[str]:
    everyone = [written_files([] if path is None else [kind(str(path))]) for path in paths_of_ranks]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_written_files(everyone)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(("kind", "name"), [(CHECKPOINT, "best.keras"), (CSV, "log.csv")])
def test_a_file_that_two_ranks_write_is_reported(tmp_path: Path, kind: Any, name: str) -> None:
    own = [tmp_path / f"{rank}-{name}" for rank in range(2)]
    assert warnings_of(*own, kind=kind) == []
    assert warnings_of(own[0], None, kind=kind) == []
    (message,) = warnings_of(own[0], own[1], tmp_path / "x" / ".." / own[1].name, kind=kind)
    assert message.startswith(f"ranks 1 and 2 have a {kind.__name__} that writes {own[1]}")


def test_a_backup_folder_of_two_ranks_is_an_error(tmp_path: Path) -> None:
    assert warnings_of(tmp_path / "0", tmp_path / "1", kind=BACKUP) == []
    (tmp_path / "link").symlink_to(tmp_path / "0")
    with pytest.raises(UserError, match="ranks 0 and 1 have a BackupAndRestore with the same folder"):
        warnings_of(tmp_path / "0", tmp_path / "link", kind=BACKUP)
