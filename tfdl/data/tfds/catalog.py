"""Data sets by name: tfdl's own and all of TFDS, prepared once on each machine."""

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from tfdl.config import DATASETS
from tfdl.data.tfds.feature_files import check_feature_files
from tfdl.data.tfds.preparation import prepare_once
from tfdl.errors import UserError, first_line, nearest


def data_root(data_dir: str | None = None) -> Path:
    """The folder of prepared data sets: ``data_dir``, or else ``TFDS_DATA_DIR``, or else ``~/tensorflow_datasets``."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def open_builder(name: str, data_dir: str | None = None) -> Any:
    """The TFDS builder of a data set, which is prepared first if necessary.

    Concurrent callers on one machine are safe: one prepares under a file lock, the others wait and read.

    Args:
        name: the data set, perhaps with configuration and version, such as ``wmt14_translate/de-en:1.0.0``.
        data_dir: the folder of prepared data sets (see ``data_root``).

    Raises:
        UserError: unknown name, or a data set that is not prepared and cannot be downloaded.
        RunError: preparation failed.
    """
    return prepare_dataset(name, data_dir)


def prepare_dataset(
    name: str, data_dir: str | None = None, files: Path | None = None, show_progress: bool = False
) -> Any:
    """As ``open_builder``; can also prepare a data set without a network, from the user's own copies of its files.

    Args:
        name: the data set, perhaps with configuration and version.
        data_dir: the folder of prepared data sets (see ``data_root``).
        files: a folder with the files that TFDS would download; then no network is used.
        show_progress: show TFDS's progress bars on standard error.

    Raises:
        UserError: as ``open_builder``; or a file is missing, or differs from the one whose hash TFDS has.
        RunError: preparation failed.
    """
    if files is not None and _base_name(name) in DATASETS:
        raise UserError(f"data set {name!r} is made without files, expected no --from; leave it out")
    root = data_root(data_dir)
    find = partial(find_builder, name, root)
    return prepare_once(find, name, root, files, show_progress)


def find_builder(name: str, root: Path) -> Any:
    """The builder of a data set, prepared or not.

    Args:
        name: the data set, perhaps with configuration and version.
        root: the folder of prepared data sets.

    Raises:
        UserError: no such data set, version or configuration.
    """
    import tensorflow_datasets as tfds

    base = _base_name(name)
    if not base or base.startswith("."):
        raise UserError(_unknown(name))
    # A community's data set, such as huggingface:wikitext. TFDS would ask the community's host for it, and without a
    # network it would try for half a minute.
    if re.match(r"[\w-]+:(?![\d*])", name):
        raise UserError(f"data set {name!r} is a community's, expected a name without {base + ':'!r}")
    if base in DATASETS:
        DATASETS.load(base)  # importing its module registers the builder with TFDS
    check_feature_files(root / base)
    try:
        return tfds.builder(name, data_dir=str(root), try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise UserError(_unknown(name)) from error
    except ImportError as error:
        raise UserError(f"data set {name!r} needs a package that is missing ({error}); install it") from error
    except (ValueError, AssertionError) as error:  # no such version or configuration
        reason = first_line(error).rsplit('}": ', 1)[-1]  # without TFDS's own arguments at the beginning
        raise UserError(f"data set {name!r} cannot be opened: {reason}") from error


def is_known(name: str) -> bool:
    """Whether tfdl, a loaded plugin or TFDS has a data set of this name. For a declared one, TFDS is not imported.

    Args:
        name: the data set, perhaps with configuration and version.
    """
    base = _base_name(name)
    if base in DATASETS:
        return True
    import tensorflow_datasets as tfds

    return base in tfds.list_builders(with_community_datasets=False)


def _base_name(name: str) -> str:
    """The name without configuration and version."""
    return name.split("/")[0].split(":")[0]


def _unknown(name: str) -> str:
    import tensorflow_datasets as tfds

    if os.path.exists(name):
        hint = f" For the files here give './{name}'."
    else:
        hint = nearest(name, [*DATASETS, *tfds.list_builders(with_community_datasets=False)])
    return (
        f"unknown data set {name!r}, expected an offline one ({', '.join(DATASETS)}) or a TFDS name such as mnist,"
        f" fashion_mnist or cifar10.{hint}"
    )
