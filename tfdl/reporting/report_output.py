"""Where a report is written, and whether an earlier one may be replaced."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import UserError
from tfdl.reporting.page.render import GENERATOR
from tfdl.reporting.regular_file import check_regular
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
            if self.overwrite:
                _check_is_page(self.path)  # somebody may have put something there meanwhile
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
        UserError: something else is there, an earlier report that must not be replaced, or a place that cannot be
            written to.
    """
    default = runs[0] / _FOLDER if len(runs) == 1 else Path(_FOLDER)
    path = default if output is None else Path(output)
    try:
        path = path.expanduser()
        is_file = path.suffix.lower() in (".html", ".htm")
        _check_place(path)
        if is_file:
            _check_file(path, overwrite=overwrite)
        else:
            _check_folder(path, overwrite=overwrite)
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, or the home of no user
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--output {str(path)!r} cannot be used: {reason}; choose another place") from error
    return ReportOutput(path, is_file=is_file, overwrite=overwrite)


def _check_place(path: Path) -> None:
    """Checks what a folder and a file have in common: no link, and a folder around it that can be written to."""
    if path.is_symlink():
        raise UserError(f"--output {str(path)!r} is a link, expected a folder or a file; give what it leads to")
    if Path.cwd().is_relative_to(path.resolve()):
        raise UserError(f"--output {str(path)!r} is the working directory or around it; give a folder in it: report")
    if path.name == "..":
        raise UserError(f"--output {str(path)!r} ends with '..'; give the name of a folder")
    around = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not around.is_dir():
        raise UserError(f"--output {str(path)!r} is within {str(around)!r}, which is no folder; choose another place")
    if not os.access(around, os.W_OK | os.X_OK):
        raise UserError(
            f"--output {str(path)!r} is within {str(around)!r}, where you may not write; choose another place"
        )


def _check_file(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise UserError(f"--output {str(path)!r} is a folder, expected a file or a folder without this ending")
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"--output {str(path)!r} is no regular file, expected one, or a folder")
    if not overwrite:
        advice = ", or replace it with --overwrite" if _has_mark(path) else ""
        raise UserError(f"--output {str(path)!r} exists; choose another file{advice}")
    _check_is_page(path)


def _check_is_page(path: Path) -> None:
    """Checks that nothing but a report is lost when the file is replaced.

    Raises:
        UserError: the file is something else.
    """
    if os.path.lexists(path) and (path.is_symlink() or not _has_mark(path)):
        raise UserError(f"--output {str(path)!r} is no report, expected an earlier one to overwrite; give a new file")


def _check_folder(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise UserError(f"--output {str(path)!r} is a file, expected a folder, or a file that ends with .html")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if overwrite:
        _check_is_report(path)
    elif _has_mark(path / PAGE):
        raise UserError(
            f"--output {str(path)!r} has a report; choose another folder, or replace an earlier report with --overwrite"
        )
    else:
        raise UserError(f"--output {str(path)!r} is not empty; choose another folder")


def _check_is_report(path: Path) -> None:
    """Checks that nothing but a report is lost when the folder is replaced.

    Raises:
        UserError: the folder has something else.
    """
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    if not names:
        return
    foreign = sorted(name for name in names if not _PARTS.fullmatch(name))
    if path.is_symlink() or foreign or not _has_mark(path / PAGE):
        reason = f"has {foreign[0]!r}, which a report does not have" if foreign else "has no report"
        raise UserError(f"--output {str(path)!r} {reason}, expected an earlier report to overwrite; give a new folder")


def _has_mark(page: Path) -> bool:
    """Whether a file is the page of a report."""
    try:
        check_regular(page)
        with page.open(encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(_HEAD_CHARACTERS)
    except (OSError, UserError):
        return False
