"""A few samples of a prepared set to look at, decoded without TensorFlow."""

from typing import Any

import numpy as np

from tfdl.data.tfds.records import open_records
from tfdl.data.tfds.roles import feature_keys, only, value_at


def read_samples(builder: Any, split: str, count: int) -> list[dict[str, Any]]:
    """The first samples of a split: dotted key -> text, number, class name, or uint8 image ``(h, w, c)``.

    Features of other kinds (boxes, sequences, sounds) are left out. TFDS shuffles when it prepares, so the first ones
    are as good as any.

    Raises:
        UserError: no such split.
    """
    import tensorflow_datasets as tfds

    described = builder.info.features
    shown = {key: feature for key, feature in feature_keys(described).items() if _can_be_shown(feature)}
    features = only(described, shown)
    records = open_records(builder, split)
    samples = []
    for serialized in records.read(np.arange(min(count, len(records)))):
        example = features.deserialize_example_np(serialized)
        values = {key: value_at(described, example, key) for key in shown}
        for key, feature in shown.items():
            if isinstance(feature, tfds.features.ClassLabel):
                values[key] = feature.int2str(int(values[key])) if values[key] >= 0 else "(no label)"
        samples.append({key: _plain(value) for key, value in values.items()})
    return samples


def _can_be_shown(feature: Any) -> bool:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Image):
        return feature.np_dtype == np.uint8
    return isinstance(feature, tfds.features.Tensor) and feature.shape == ()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
