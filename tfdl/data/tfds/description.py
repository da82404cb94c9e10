"""What is known of a data set: from its files where it is prepared, and from TFDS's own records where it is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import DATASETS, TASKS
from tfdl.data.tfds.catalog import data_root, find_builder
from tfdl.data.tfds.prepared import bytes_in
from tfdl.data.tfds.roles import feature_keys, role_keys
from tfdl.errors import UserError


@dataclass(frozen=True)
class DatasetDescription:
    """One version of a data set."""

    name: str
    """Name, configuration where there are several, and version."""
    about: str
    tasks: dict[str, dict[str, str]]
    """Task that can use it as it is -> role -> feature."""
    features: dict[str, str]
    """Dotted key -> type."""
    classes: dict[str, tuple[str, ...]]
    """Dotted key -> names of the classes."""
    configurations: tuple[str, ...]
    """Names that can stand behind the set's own and a slash; empty where there is one only."""
    homepage: str | None
    license: str | None
    citation: str | None
    download_bytes: int | None
    """What TFDS fetches; none where that is not on record, or is one record for many configurations."""
    files_by_hand: str | None
    """TFDS's instructions, where files must be fetched by hand."""
    path: Path
    """Where it is, or would be."""
    is_prepared: bool
    splits: dict[str, int]
    """Samples in each; empty until it is prepared."""
    prepared_bytes: int | None
    metadata: dict[str, Any]
    """What the builder recorded of its sources."""


def describe_dataset(name: str, data_dir: str | None = None) -> tuple[DatasetDescription, Any]:
    """The description and the builder; nothing is prepared or downloaded, and TensorFlow is not needed.

    Raises:
        UserError: no such data set, version or configuration.
    """
    builder = find_builder(name, data_root(data_dir))
    info = builder.info
    features = feature_keys(info.features)
    prepared = builder.is_prepared()
    configurations = tuple(builder.builder_configs)
    one = len(configurations) < 2
    downloads = [int(known.size) for known in (builder.url_infos or {}).values()]
    description = DatasetDescription(
        name=info.full_name,
        about=(info.description or "").strip(),
        tasks=_tasks(builder),
        features={key: str(feature) for key, feature in features.items()},
        classes={key: names for key, feature in features.items() if (names := _class_names(feature))},
        configurations=() if one else configurations,
        homepage=_homepage(info),
        license=info.as_proto.redistribution_info.license.strip() or None,  # TFDS has no public name for it
        citation=(info.citation or "").strip() or None,
        download_bytes=sum(downloads) if downloads and (one or len(downloads) == 1) else None,
        files_by_hand=" ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split()) or None,
        path=Path(builder.data_path),
        is_prepared=prepared,
        splits={split: found.num_examples for split, found in info.splits.items()} if prepared else {},
        prepared_bytes=bytes_in(Path(builder.data_path)) if prepared else None,
        metadata=dict(info.metadata or {}),
    )
    return description, builder


def _tasks(builder: Any) -> dict[str, dict[str, str]]:
    found = {}
    for task in TASKS:
        try:
            found[task] = role_keys(builder, TASKS[task].roles, {})
        except UserError:
            continue
    return found


def _homepage(info: Any) -> str | None:
    """TFDS gives a set without one a page of its own catalogue, where tfdl's own sets are not."""
    if info.name in DATASETS and not info.as_proto.location.urls:
        return None
    return info.homepage or None


def _class_names(feature: Any) -> tuple[str, ...]:
    import tensorflow_datasets as tfds

    return tuple(feature.names) if isinstance(feature, tfds.features.ClassLabel) else ()
