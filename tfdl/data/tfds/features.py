"""The features of a TFDS sample by dotted keys, such as ``translation.de``."""

from collections.abc import Iterable
from typing import Any


def feature_keys(features: Any) -> dict[str, Any]:
    """Dotted key -> feature, for all features that a sample has exactly once (so not those within sequences)."""
    import tensorflow_datasets as tfds

    keys: dict[str, Any] = {}
    if isinstance(features, tfds.features.FeaturesDict):  # a Translation is one
        for name, feature in features.items():
            nested = feature_keys(feature)
            if nested:
                keys.update({f"{name}.{key}": nested_feature for key, nested_feature in nested.items()})
            else:
                keys[name] = feature
    return keys


def only(features: Any, keys: Iterable[str]) -> Any:
    """A feature that decodes some parts of a sample and nothing else.

    ``tfds.decode.PartialDecoding`` does this too, but it refuses parts of a ``Translation`` and needs TensorFlow.

    Args:
        features: all features of a sample.
        keys: dotted keys of the features to decode.
    """
    import tensorflow_datasets as tfds

    wanted: dict[str, Any] = {}
    for key in keys:
        *outer_names, last_name = path_of(features, key)
        feature = features
        wanted_here = wanted
        for name in outer_names:
            feature = feature[name]
            wanted_here = wanted_here.setdefault(name, {})
        wanted_here[last_name] = feature[last_name]
    return tfds.features.FeaturesDict(wanted)


def path_of(features: Any, key: str) -> tuple[str, ...]:
    """The names that a dotted key consists of. A name may itself contain dots.

    Args:
        features: all features of a sample.
        key: such as ``translation.de``.
    """
    for name, feature in features.items():
        if key == name:
            return (name,)
        key_within = key.removeprefix(f"{name}.")
        if key_within != key and key_within in feature_keys(feature):
            return (name, *path_of(feature, key_within))
    raise KeyError(key)


def value_at(features: Any, example: Any, key: str) -> Any:
    """The value of a decoded example at a dotted key.

    Args:
        features: all features of a sample.
        example: nested mappings, as the features decode them.
        key: such as ``translation.de``.
    """
    for name in path_of(features, key):
        example = example[name]
    return example
