"""Where a report is written, and whether an earlier one may be replaced."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import UserError
from tfdl.reporting.page.render import GENERATOR
from tfdl.runs.atomic import new_folder, write_text

PAGE = "report.html"
"""The page's file in a report's folder."""
_FOLDER = "report"
_PARTS = re.compile(r"report\.html|([A-Z]+-)?(curves|confusion_matrix)\.png")
_MARK = f'<meta name="generator" content="{GENERATOR}">'
# The mark is in the head of the page.
_HEAD_CHARACTERS = 4096


@dataclass(frozen=True)
class ReportOutput:
    """A folder for the page and its figures, or a file for the page alone."""

    path: Path
    is_file: bool
    overwrite: bool

    @property
    def page(self) -> Path:
        """The file of the page."""
        return self.path if self.is_file else self.path / PAGE

    def write(self, page: str, figures: Mapping[str, bytes]) -> list[Path]:
        """Writes the report. It is complete, or absent and the earlier one is unchanged.

        Args:
            page: the HTML.
            figures: name -> PNG file; a file for the page alone gets none.

        Returns:
            The files.
        """
        if self.is_file:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, page)
            return [self.path]
        with new_folder(self.path, replace=self.overwrite) as folder:
            (folder / PAGE).write_text(page, encoding="utf-8", newline="")
            for name, content in figures.items():
                (folder / name).write_bytes(content)
            if self.overwrite:
                _check_is_report(self.path)  # somebody may have put something there meanwhile
        return [self.page, *(self.path / name for name in figures)]


def report_output(output: str | Path | None, runs: Sequence[Path], *, overwrite: bool) -> ReportOutput:
    """Checks where a report is to be written. Writes nothing.

    Args:
        output: a folder, or a file whose name ends with ``.html``. None is the folder ``report`` in the run, or of
            several runs in the working directory.
        runs: the run directories.
        overwrite: whether an earlier report is replaced.

    Raises:
        UserError: something else is there, or an earlier report that must not be replaced.
    """
    default = runs[0] / _FOLDER if len(runs) == 1 else Path(_FOLDER)
    path = default if output is None else Path(output).expanduser()
    if path.suffix.lower() in (".html", ".htm"):
        _check_file(path, overwrite=overwrite)
        return ReportOutput(path, is_file=True, overwrite=overwrite)
    _check_folder(path, overwrite=overwrite)
    return ReportOutput(path, is_file=False, overwrite=overwrite)


def _check_file(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise UserError(f"--output {str(path)!r} is a folder, expected a file or a folder without this ending")
    if path.exists() and not path.is_file():
        raise UserError(f"--output {str(path)!r} is no regular file, expected one, or a folder")
    if path.exists() and not overwrite:
        raise UserError(f"--output {str(path)!r} exists; choose another file, or replace it with --overwrite")


def _check_folder(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise UserError(f"--output {str(path)!r} is a file, expected a folder, or a file that ends with .html")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not overwrite:
        what = "has a report" if _is_report(path) else "is not empty"
        raise UserError(
            f"--output {str(path)!r} {what}; choose another folder, or replace an earlier report with --overwrite"
        )
    _check_is_report(path)


def _check_is_report(path: Path) -> None:
    """Checks that nothing but a report is lost when the folder is replaced.

    Raises:
        UserError: the folder has something else.
    """
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    if not names:
        return
    foreign = sorted(name for name in names if not _PARTS.fullmatch(name))
    if path.is_symlink() or foreign or not _is_report(path):
        reason = f"has {foreign[0]!r}, which a report does not have" if foreign else "has no report"
        raise UserError(f"--output {str(path)!r} {reason}, expected an earlier report to overwrite; give a new folder")


def _is_report(path: Path) -> bool:
    try:
        with (path / PAGE).open(encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(_HEAD_CHARACTERS)
    except OSError:
        return False
