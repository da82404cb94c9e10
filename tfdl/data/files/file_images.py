"""Images that stay in their files until they are needed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.files.image_decoding import ImageDecoder, Kind
from tfdl.data.images import resize
from tfdl.data.sources import ShuffledSource


class FileImages(ShuffledSource):
    """Images that are decoded from their files at each reading.

    Args:
        paths: the files.
        kinds: how each file is decoded.
        labels: the class number of each.
        shape: height, width and channels of the images that ``read`` returns.
        size: height and width to resize to; ``None`` if all files have the size of ``shape``.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        kinds: Sequence[Kind],
        labels: Sequence[int],
        shape: tuple[int, int, int],
        size: tuple[int, int] | None,
    ):
        self.num_examples = len(paths)
        self.signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
        self._shape = shape
        self._size = size
        self._decode = ImageDecoder(kinds, channels=shape[2])
        with tf.device("CPU:0"):
            # Bytes: a name may hold bytes that are not UTF-8.
            self._paths = tf.constant(list(map(os.fsencode, paths)))
            self._labels = tf.constant(np.array(labels, np.int32))

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        files = {"path": tf.gather(self._paths, indices), **self._decode.choices(indices)}
        images = tf.map_fn(self._image, files, fn_output_signature=self.signature["image"])
        return {"image": images, "label": tf.gather(self._labels, indices)}

    def _image(self, file: Mapping[str, Any]) -> Any:
        image = self._decode(tf.io.read_file(file["path"]), file)
        if self._size is not None:
            image = resize(image, self._size)
        return tf.ensure_shape(image, self._shape)
