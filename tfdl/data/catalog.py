"""Data sets by name: tfdl's own and every TFDS builder, prepared once on each machine."""

import contextlib
import io
import os
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tfdl.errors import RunError, UserError, nearest

# tfdl's own builders, which download nothing: name -> module that defines the builder.
EMBEDDED = {
    "digits": "tfdl.data.digits",
    "python_topics": "tfdl.data.python_topics",
    "docstrings": "tfdl.data.docstrings",
    "dates": "tfdl.data.dates",
}
# Long enough for a slow link, short enough that a machine without a network is told at once.
_REACH_SECONDS = 5.0


def data_root(data_dir: str | None = None) -> Path:
    """The folder of prepared data sets: the given one, or TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def open_builder(name: str, data_dir: str | None = None) -> Any:
    """The TFDS builder of a prepared data set; prepares it first where it is not.

    Concurrent callers on one machine are safe: one prepares under a file lock, the others wait and read.

    Raises:
        UserError: unknown name, or a set that is not prepared and cannot be downloaded.
        RunError: preparation failed.
    """
    root = data_root(data_dir)
    builder = find_builder(name, root)
    if not builder.is_prepared():
        _prepare_under_lock(name, root)
        builder = find_builder(name, root)  # the first object holds what was known before
    return builder


def find_builder(name: str, root: Path) -> Any:
    """The builder by name, prepared or not.

    Raises:
        UserError: no such data set, version or configuration.
    """
    import tensorflow_datasets as tfds

    base = name.split("/")[0].split(":")[0]
    if not base or base.startswith("."):
        raise UserError(_unknown(name))
    if base in EMBEDDED:
        import_module(EMBEDDED[base])
    try:
        return tfds.builder(name, data_dir=str(root), try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise UserError(_unknown(name)) from error
    except ImportError as error:
        raise UserError(f"data set {name!r} needs a package that is missing ({error}); install it") from error
    except (ValueError, AssertionError) as error:  # a version or configuration that the builder does not have
        reason = _first_line(error).rsplit('}": ', 1)[-1]  # TFDS puts its own arguments in front
        raise UserError(f"data set {name!r} cannot be opened: {reason}") from error


def _unknown(name: str) -> str:
    import tensorflow_datasets as tfds

    known = [*EMBEDDED, *tfds.list_builders(with_community_datasets=False)]
    return (
        f"unknown data set {name!r}, expected an offline one ({', '.join(EMBEDDED)}) or a TFDS name such as mnist,"
        f" fashion_mnist or cifar10.{nearest(name, known)}"
    )


def _prepare_under_lock(name: str, root: Path) -> None:
    from filelock import FileLock

    lock = FileLock(root / f".{name.replace('/', '-').replace(':', '-')}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"cannot prepare data set {name!r} in {root} ({error.strerror}); give a folder that can be written:"
            " --data-dir DIR"
        ) from error
    try:
        builder = find_builder(name, root)
        if not builder.is_prepared():
            _prepare(builder, name, root)
    finally:
        lock.release()


def _prepare(builder: Any, name: str, root: Path) -> None:
    import tensorflow_datasets as tfds

    _require_network(builder, name, root)
    tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(
        # A folder of its own: with a shared one, TFDS takes another set's files of the same name for this one's.
        extract_dir=str(root / "downloads" / "extracted" / name.replace("/", "-")),
        try_download_gcs=False,
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints; the library does not
            builder.download_and_prepare(download_config=config)
    except OSError:
        raise
    except Exception as error:
        raise RunError(f"preparing data set {name!r} failed: {_first_line(error)}") from error


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
            " download it; connect to a network, give the folder of prepared data with --data-dir, or use an offline"
            f" data set: {', '.join(EMBEDDED)}"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
