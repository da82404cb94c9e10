"""Data sets by name: tfdl's own and every TFDS builder, prepared once on each machine."""

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from tfdl.config import DATASETS
from tfdl.data.tfds.preparation import first_line, prepare_once
from tfdl.errors import UserError, nearest


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
    return prepare_dataset(name, data_dir)


def prepare_dataset(
    name: str, data_dir: str | None = None, files: Path | None = None, show_progress: bool = False
) -> Any:
    """As ``open_builder``; with ``files``, from a folder of the user's own copies and without a network.

    Raises:
        UserError, RunError: as ``open_builder``; a file that is missing, or not the one whose hash TFDS knows.
    """
    root = data_root(data_dir)
    find = partial(find_builder, name, root)
    if files is not None and _base_name(name) in DATASETS:
        raise UserError(f"data set {name!r} is made without files, expected no --from; leave it out")
    return prepare_once(find, name, root, files, show_progress)


def find_builder(name: str, root: Path) -> Any:
    """The builder by name, prepared or not.

    Raises:
        UserError: no such data set, version or configuration.
    """
    import tensorflow_datasets as tfds

    base = _base_name(name)
    if not base or base.startswith("."):
        raise UserError(_unknown(name))
    if re.match(r"[\w-]+:(?![\d*])", name):  # TFDS would ask that community's host, for half a minute without a network
        raise UserError(f"data set {name!r} is a community's, expected a name without {base + ':'!r}")
    if base in DATASETS:
        DATASETS.load(base)  # TFDS knows a builder once its module is imported
    try:
        return tfds.builder(name, data_dir=str(root), try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise UserError(_unknown(name)) from error
    except ImportError as error:
        raise UserError(f"data set {name!r} needs a package that is missing ({error}); install it") from error
    except (ValueError, AssertionError) as error:  # a version or configuration that the builder does not have
        reason = first_line(error).rsplit('}": ', 1)[-1]  # TFDS puts its own arguments in front
        raise UserError(f"data set {name!r} cannot be opened: {reason}") from error


def _base_name(name: str) -> str:
    """The name without configuration and version."""
    return name.split("/")[0].split(":")[0]


def _unknown(name: str) -> str:
    import tensorflow_datasets as tfds

    known = [*DATASETS, *tfds.list_builders(with_community_datasets=False)]
    here = f" For the files here give './{name}'." if os.path.exists(name) else ""
    return (
        f"unknown data set {name!r}, expected an offline one ({', '.join(DATASETS)}) or a TFDS name such as mnist,"
        f" fashion_mnist or cifar10.{here or nearest(name, known)}"
    )
