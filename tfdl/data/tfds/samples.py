"""A few samples of a prepared set to look at, decoded without TensorFlow."""

from typing import Any

import numpy as np

from tfdl.data.tfds.features import feature_keys, only, value_at
from tfdl.data.tfds.records import open_records


def read_samples(builder: Any, split: str, count: int) -> list[dict[str, Any]]:
    """The first samples of a split. TFDS shuffles samples when it prepares a data set, so these are a random choice.

    Args:
        builder: of a prepared data set.
        split: its name.
        count: how many samples; fewer if the split is smaller.

    Returns:
        For each sample: dotted key -> text, number, class name, or uint8 image ``(h, w, c)``. Features of other kinds
        (boxes, sequences, sounds) are left out.

    Raises:
        UserError: no such split.
    """
    import tensorflow_datasets as tfds

    all_features = builder.info.features
    shown = {key: feature for key, feature in feature_keys(all_features).items() if _can_be_shown(feature)}
    decoder = only(all_features, shown)
    records = open_records(builder, split)
    numbers = np.arange(min(count, len(records)))
    samples = []
    for serialized in records.read(numbers):
        example = decoder.deserialize_example_np(serialized)
        sample = {}
        for key, feature in shown.items():
            value = _plain(value_at(all_features, example, key))
            if isinstance(feature, tfds.features.ClassLabel):
                value = feature.int2str(value) if value >= 0 else "(no label)"
            sample[key] = value
        samples.append(sample)
    return samples


def _can_be_shown(feature: Any) -> bool:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Image):
        return feature.np_dtype == np.uint8
    return isinstance(feature, tfds.features.Tensor) and feature.shape == ()


def _plain(value: Any) -> Any:
    """Bytes as text, NumPy numbers as Python's, arrays as they are."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
