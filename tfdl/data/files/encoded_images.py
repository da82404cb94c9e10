"""Images that stay in their files, or in files of records, until they are needed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfdl.data.files.image_decoding import ImageDecoder, Kind
from tfdl.data.images import resize
from tfdl.data.sources import ShuffledSource


class Contents(Protocol):
    """The contents of image files, by number. All of it runs inside a graph."""

    def find(self, indices: Any) -> Any:
        """What leads to some of the contents, a text tensor ``(b,)``: paths, or the contents themselves.

        Args:
            indices: int64 ``(b,)``.
        """
        ...

    def load(self, found: Any) -> Any:
        """The content of one file, a text tensor ``()``.

        Args:
            found: an element of what ``find`` returned.
        """
        ...


class ImageFiles:
    """Images in files of their own.

    Args:
        paths: the files.
    """

    def __init__(self, paths: Sequence[Path]):
        with tf.device("CPU:0"):
            # Bytes: a name may hold bytes that are not UTF-8.
            self._paths = tf.constant(list(map(os.fsencode, paths)))

    def find(self, indices: Any) -> Any:
        """See ``Contents.find``; the paths."""
        return tf.gather(self._paths, indices)

    def load(self, found: Any) -> Any:
        """See ``Contents.load``."""
        return tf.io.read_file(found)


class EncodedImages(ShuffledSource):
    """Images that are decoded at each reading.

    Args:
        contents: of the images' files.
        kinds: how each is decoded.
        labels: the class number of each.
        shape: height, width and channels of the images that ``read`` returns.
        size: height and width to resize to; ``None`` if all images have the size of ``shape``.
    """

    def __init__(
        self,
        contents: Contents,
        kinds: Sequence[Kind],
        labels: Sequence[int] | np.ndarray,
        shape: tuple[int, int, int],
        size: tuple[int, int] | None,
    ):
        self.num_examples = len(kinds)
        self.signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
        self._contents = contents
        self._shape = shape
        self._size = size
        self._decode = ImageDecoder(kinds, channels=shape[2])
        with tf.device("CPU:0"):
            self._labels = tf.constant(np.array(labels, np.int32))

    def values(self, name: str) -> np.ndarray:
        """The class numbers of all images, ``(n,)``; the images themselves are not in memory.

        Args:
            name: ``label``.
        """
        assert name == "label"
        return np.asarray(self._labels)

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        files = {"found": self._contents.find(indices), **self._decode.choices(indices)}
        images = tf.map_fn(self._image, files, fn_output_signature=self.signature["image"])
        return {"image": images, "label": tf.gather(self._labels, indices)}

    def _image(self, file: Mapping[str, Any]) -> Any:
        image = self._decode(self._contents.load(file["found"]), file)
        if self._size is not None:
            image = resize(image, self._size)
        return tf.ensure_shape(image, self._shape)
