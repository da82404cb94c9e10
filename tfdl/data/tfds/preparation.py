"""Prepares a data set's records once on each machine: from its host, or from the user's own files."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tfdl.config import DATASETS
from tfdl.data.preparation_lock import preparation_lock
from tfdl.errors import RunError, UserError, first_line

# Long enough for a slow link, short enough for a quick error on a machine without a network.
_REACH_SECONDS = 5.0


def prepare_once(
    find: Callable[[], Any], name: str, root: Path, files: Path | None = None, show_progress: bool = False
) -> Any:
    """The builder of the prepared data set. Of concurrent callers one prepares under a file lock, the others wait.

    Args:
        find: makes the builder; a builder reads only when it is made whether the data set is prepared.
        name: as the user wrote it, for messages.
        root: the folder of prepared data sets.
        files: a folder with the files that TFDS would download; then no network is used.
        show_progress: show TFDS's progress bars on standard error.

    Raises:
        UserError: the host cannot be reached, the folder cannot be written, or a file is missing or has other contents.
        RunError: preparation failed.
    """
    if files is not None:
        if not files.is_dir():
            raise UserError(f"--from {str(files)!r} is not a folder, expected one with the files of data set {name!r}")
        files = files.absolute()
    builder = find()
    if builder.is_prepared():
        return builder
    with preparation_lock(root, _flat(builder), name):
        builder = find()  # again, since another process may have prepared it before the lock was free
        if not builder.is_prepared():
            _prepare(builder, name, root, files, show_progress)
    return find()


def _flat(builder: Any) -> str:
    """Name, configuration and version as one file name."""
    return str(builder.info.full_name).replace("/", "-")


def _prepare(builder: Any, name: str, root: Path, files: Path | None, show_progress: bool) -> None:
    import tensorflow_datasets as tfds

    if files is None:
        _require_network(builder, name, root)
    if show_progress:
        tfds.enable_progress_bar()
    else:
        tfds.disable_progress_bar()
    with _download_config(builder, name, root, files) as config:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints; the library does not
                builder.download_and_prepare(download_config=config)
        except UserError:
            raise
        except Exception as error:
            reported = _reported_error(error, builder, name, files)
            if reported is error:
                raise
            raise reported from error


@contextlib.contextmanager
def _download_config(builder: Any, name: str, root: Path, files: Path | None) -> Iterator[Any]:
    """TFDS's configuration: where archives are unpacked, and where downloads come from.

    Archives are unpacked in a separate folder for each version of a data set. TFDS recognizes an unpacked archive by
    its file name alone. In a common folder, it would mistake another data set's files of the same name for this one's.
    """
    import tensorflow_datasets as tfds

    if files is None:
        folder = root / "downloads" / "extracted" / _flat(builder)
        yield tfds.download.DownloadConfig(extract_dir=str(folder), try_download_gcs=False)
        return
    from tfdl.data.tfds.user_files import take_downloads_from

    # Beside the data and not in /tmp, since unpacked archives can be large.
    folder = Path(tempfile.mkdtemp(prefix=f".{_flat(builder)}-", dir=root))
    try:
        take_downloads_from(files, builder, name, folder / "files")
        unpacked = str(folder / "extracted")
        yield tfds.download.DownloadConfig(extract_dir=unpacked, manual_dir=str(files), try_download_gcs=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_network(builder: Any, name: str, root: Path) -> None:
    """Asks the data set's host first, since without a network TFDS itself tries for minutes.

    Raises:
        UserError: the host cannot be reached.
    """
    import requests

    urls = [url for url in builder.url_infos or () if url.startswith(("http://", "https://"))]
    if not urls:
        return
    first_url = urls[0]
    try:
        requests.head(first_url, timeout=_REACH_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise UserError(
            f"data set {name!r} is not prepared in {root}, and {urlsplit(first_url).hostname} cannot be reached to"
            " download it; connect to a network, give the folder of prepared data with --data-dir, prepare it from"
            f" files that you have (tfdl datasets prepare {name} --from FOLDER), or use an offline data set:"
            f" {', '.join(DATASETS)}"
        ) from error


def _reported_error(error: Exception, builder: Any, name: str, files: Path | None) -> Exception:
    """TFDS's error in one line: a ``UserError`` if only the user can fix it, otherwise a ``RunError``.

    Errors of the operating system, such as a full disk, are returned as they are.
    """
    # TFDS reports missing files in several ways; NotFoundError is TensorFlow's, which is not imported here.
    is_missing = isinstance(error, AssertionError | FileNotFoundError) or type(error).__name__ == "NotFoundError"
    if isinstance(error, OSError) and not is_missing:
        return error
    if isinstance(error, ImportError):
        return UserError(
            f"preparing data set {name!r} needs a package that is missing ({first_line(error)}); install it"
        )
    if is_missing and builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        if files is None:
            reason = f"data set {name!r} needs files that you must download yourself"
        else:
            reason = f"files that data set {name!r} needs are missing in {files}"
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        return UserError(f"{reason}; give them with tfdl datasets prepare {name} --from FOLDER: {instructions}")
    return RunError(f"preparing data set {name!r} failed: {first_line(error)}")
