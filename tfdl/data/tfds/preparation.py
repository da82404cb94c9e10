"""Makes a data set's records once on each machine: from its own host, or from files that the user has."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tfdl.config import DATASETS
from tfdl.errors import RunError, UserError

# Long enough for a slow link, short enough that a machine without a network is told at once.
_REACH_SECONDS = 5.0


def prepare_once(
    find: Callable[[], Any], name: str, root: Path, files: Path | None = None, show_progress: bool = False
) -> Any:
    """The builder of the prepared set; of concurrent callers one prepares under a file lock, and the others wait.

    Args:
        find: opens the builder, which knows at its making whether it is prepared.
        name: as the user wrote it, for messages.
        root: the folder of prepared data sets.
        files: folder of the user's own copies of what the set's host has; then nothing is asked of a network.
        show_progress: draw TFDS's bars on standard error.

    Raises:
        UserError: the host cannot be reached, the folder cannot be written, or a file is missing or another one.
        RunError: preparation failed.
    """
    if files is not None and not files.is_dir():
        raise UserError(f"--from {str(files)!r} is no folder, expected one with the files of data set {name!r}")
    builder = find()
    if builder.is_prepared():
        return builder
    with _lock(builder, name, root):
        builder = find()
        if not builder.is_prepared():
            _prepare(builder, name, root, files and files.absolute(), show_progress)
    return find()  # an older object holds what was known before


@contextlib.contextmanager
def _lock(builder: Any, name: str, root: Path) -> Iterator[None]:
    from filelock import FileLock

    lock = FileLock(root / f".{_flat(builder)}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"cannot prepare data set {name!r} in {root} ({error.strerror}); give a folder that can be written:"
            " --data-dir DIR"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _flat(builder: Any) -> str:
    """Name, configuration and version as one file name."""
    return str(builder.info.full_name).replace("/", "-")


def _prepare(builder: Any, name: str, root: Path, files: Path | None, show_progress: bool) -> None:
    import tensorflow_datasets as tfds

    if files is None:
        _require_network(builder, name, root)
    (tfds.enable_progress_bar if show_progress else tfds.disable_progress_bar)()
    with _download_config(builder, name, root, files) as config:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints; the library does not
                builder.download_and_prepare(download_config=config)
        except UserError:
            raise
        except Exception as error:
            told = _as_told(error, builder, name, files)
            raise told from (None if told is error else error)


@contextlib.contextmanager
def _download_config(builder: Any, name: str, root: Path, files: Path | None) -> Iterator[Any]:
    """Where TFDS unpacks, and what it may take.

    The folder is one builder's and version's own: TFDS knows what is unpacked already by the archive's file name alone,
    and in a folder for all it would take another set's files of the same name for this one's.
    """
    import tensorflow_datasets as tfds

    if files is None:
        folder = root / "downloads" / "extracted" / _flat(builder)
        yield tfds.download.DownloadConfig(extract_dir=str(folder), try_download_gcs=False)
        return
    from tfdl.data.tfds.user_files import take_downloads_from

    folder = Path(tempfile.mkdtemp(prefix=f".{_flat(builder)}-", dir=root))  # large: beside the data, not in /tmp
    try:
        take_downloads_from(files, builder, name, folder / "files")
        unpacked = str(folder / "extracted")
        yield tfds.download.DownloadConfig(extract_dir=unpacked, manual_dir=str(files), try_download_gcs=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_network(builder: Any, name: str, root: Path) -> None:
    """Asks the data's own host first, since TFDS itself tries for minutes on a machine without a network."""
    import requests

    urls = [url for url in builder.url_infos or () if url.startswith(("http://", "https://"))]
    if not urls:
        return
    try:
        requests.head(urls[0], timeout=_REACH_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise UserError(
            f"data set {name!r} is not prepared in {root}, and {urlsplit(urls[0]).hostname} cannot be reached to"
            " download it; connect to a network, give the folder of prepared data with --data-dir, prepare it from"
            f" files that you have (tfdl datasets prepare {name} --from FOLDER), or use an offline data set:"
            f" {', '.join(DATASETS)}"
        ) from error


def _as_told(error: Exception, builder: Any, name: str, files: Path | None) -> Exception:
    """The error of TFDS in one line; what only a person can mend is the user's, and a full disk is what it is."""
    is_missing = isinstance(error, AssertionError | FileNotFoundError) or type(error).__name__ == "NotFoundError"
    if isinstance(error, OSError) and not is_missing:
        return error
    if isinstance(error, ImportError):
        return UserError(
            f"preparing data set {name!r} needs a package that is missing ({first_line(error)}); install it"
        )
    if is_missing and builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        wanted = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        place = f"in {files} are not all that" if files else "that you fetch yourself are what"
        return UserError(f"files {place} data set {name!r} needs; tfdl datasets prepare {name} --from FOLDER: {wanted}")
    return RunError(f"preparing data set {name!r} failed: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
