"""What is known of a data set: from its own files if it is prepared, otherwise from TFDS's records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import DATASETS, TASKS
from tfdl.data.tfds.catalog import data_root, find_builder
from tfdl.data.tfds.features import feature_keys
from tfdl.data.tfds.prepared import bytes_in
from tfdl.data.tfds.roles import role_keys
from tfdl.errors import UserError


@dataclass(frozen=True)
class DatasetDescription:
    """One version of a data set."""

    name: str
    """Name, configuration if there are several, and version."""
    about: str
    tasks: dict[str, dict[str, str]]
    """Task that can use the data set without options -> role -> feature."""
    features: dict[str, str]
    """Dotted key -> type."""
    classes: dict[str, tuple[str, ...]]
    """Dotted key -> names of the classes."""
    configurations: tuple[str, ...]
    """Names that can follow the data set's name and a slash; empty if there is only one."""
    homepage: str | None
    license: str | None
    citation: str | None
    download_bytes: int | None
    """What TFDS downloads; ``None`` if TFDS has no record of it, or one record for several configurations."""
    files_by_hand: str | None
    """TFDS's instructions if files must be downloaded by hand."""
    path: Path
    """The folder of the prepared data set, which may not exist yet."""
    is_prepared: bool
    splits: dict[str, int]
    """Samples in each split; empty until the data set is prepared."""
    prepared_bytes: int | None
    """Size on disk; ``None`` until the data set is prepared."""
    metadata: dict[str, Any]
    """What the builder recorded about its sources."""


def describe_dataset(name: str, data_dir: str | None = None) -> tuple[DatasetDescription, Any]:
    """The description and the builder. Nothing is prepared or downloaded, and TensorFlow is not imported.

    Args:
        name: the data set, perhaps with configuration and version.
        data_dir: the folder of prepared data sets (see ``data_root``).

    Raises:
        UserError: no such data set, version or configuration.
    """
    builder = find_builder(name, data_root(data_dir))
    info = builder.info
    path = Path(builder.data_path)
    features = feature_keys(info.features)
    classes = {key: _class_names(feature) for key, feature in features.items()}
    configurations = tuple(builder.builder_configs)
    has_configurations = len(configurations) > 1
    splits: dict[str, int] = {}
    prepared_bytes = None
    is_prepared = builder.is_prepared()
    if is_prepared:
        splits = {split: split_info.num_examples for split, split_info in info.splits.items()}
        prepared_bytes = bytes_in(path)
    description = DatasetDescription(
        name=info.full_name,
        about=(info.description or "").strip(),
        tasks=_tasks(builder),
        features={key: str(feature) for key, feature in features.items()},
        classes={key: names for key, names in classes.items() if names},
        configurations=configurations if has_configurations else (),
        homepage=_homepage(info),
        license=info.as_proto.redistribution_info.license.strip() or None,  # TFDS has no public attribute for it
        citation=(info.citation or "").strip() or None,
        download_bytes=_download_bytes(builder, has_configurations),
        files_by_hand=" ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split()) or None,
        path=path,
        is_prepared=is_prepared,
        splits=splits,
        prepared_bytes=prepared_bytes,
        metadata=dict(info.metadata or {}),
    )
    return description, builder


def _tasks(builder: Any) -> dict[str, dict[str, str]]:
    """Task that can use the data set without options -> role -> feature."""
    tasks = {}
    for task in TASKS:
        try:
            tasks[task] = role_keys(builder, TASKS[task].roles, {})
        except UserError:
            continue
    return tasks


def _download_bytes(builder: Any, has_configurations: bool) -> int | None:
    sizes = [int(url_info.size) for url_info in (builder.url_infos or {}).values()]
    if not sizes:
        return None
    if has_configurations and len(sizes) > 1:
        return None  # TFDS does not record which configuration needs which file
    return sum(sizes)


def _homepage(info: Any) -> str | None:
    """For a data set without a homepage TFDS gives a page of its own catalogue; tfdl's own sets have no page there."""
    if info.name in DATASETS and not info.as_proto.location.urls:
        return None
    return info.homepage or None


def _class_names(feature: Any) -> tuple[str, ...]:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.ClassLabel):
        return tuple(feature.names)
    return ()
