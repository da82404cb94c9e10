"""Images' contents from ArrayRecord files, read at random."""

from typing import Any

import tensorflow as tf

from tfdl.data.python_reading import python_records
from tfdl.data.records.table import RecordTable


class ImageRecords:
    """Images in records.

    Args:
        table: serialized ``tf.train.Example`` messages.
        feature: the feature with the image.
    """

    def __init__(self, table: RecordTable, feature: str):
        self._table = table
        self._features = {feature: tf.io.FixedLenFeature([], tf.string)}
        self._feature = feature

    def find(self, indices: Any) -> Any:
        """See ``Contents.find``; the contents."""
        serialized = python_records(self._table.read, indices)
        return tf.io.parse_example(serialized, self._features)[self._feature]

    def load(self, found: Any) -> Any:
        """See ``Contents.load``."""
        return found
