"""Further ways to ask a served image classifier: by the bytes of image files."""

import io
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image

from tfdl.data.files.served_images import check_files, served_image
from tfdl.data.images import resize
from tfdl.tasks.classify_signature import CLASSIFY, classify_signature, example_of_bytes
from tfdl.tasks.served_signature import ServedSignature

_BYTES = "image_bytes"
_EXAMPLES = "examples"
_FEATURE = "image"
# EXIF's number.
_QUARTER_TURN = 6


def file_signatures(task: Any, *, classifies: bool) -> dict[str, ServedSignature]:
    """``encoded`` and ``examples``: JPEG and PNG files of any sizes, as they are and in tf.Examples.

    Args:
        task: an ``ImageClassification``.
        classifies: whether there is also ``classify``, since the task's answers have a probability for each class.
    """

    def decode(image_bytes: Any) -> Any:
        return _decoded_images(task, image_bytes)

    # All signatures call one function of the graph. Tracing it and saving it take most of an export's time.
    decoded = tf.function(decode, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def of_files(model: Any, image_bytes: Any) -> dict[str, Any]:
        answers: dict[str, Any] = task.serve(model, image=decoded(image_bytes))
        return answers

    def of_examples(model: Any, examples: Any) -> dict[str, Any]:
        features = tf.io.parse_example(examples, {_FEATURE: tf.io.FixedLenFeature([], tf.string)})
        return of_files(model, features[_FEATURE])

    def sample_examples(count: int) -> list[bytes]:
        return [example(data) for data in _random_files(task, count)]

    signatures = {
        "encoded": ServedSignature(
            {_BYTES: tf.TensorSpec([None], tf.string, name=_BYTES)},
            of_files,
            lambda count: {_BYTES: np.array(_random_files(task, count))},
        ),
        "examples": ServedSignature(
            {_EXAMPLES: tf.TensorSpec([None], tf.string, name=_EXAMPLES)},
            of_examples,
            lambda count: {_EXAMPLES: np.array(sample_examples(count))},
        ),
    }
    if classifies:
        signatures[CLASSIFY] = classify_signature(task.class_names, of_examples, sample_examples)
    return signatures


def _decoded_images(task: Any, image_bytes: Any) -> Any:
    """Files ``(b,)`` to images uint8 ``(b, h, w, c)`` of the size that the model takes.

    Args:
        task: an ``ImageClassification``.
        image_bytes: the bytes of JPEG and PNG files.
    """
    height, width, channels = task.image_shape

    def decoded(data: Any) -> Any:
        image = served_image(data, channels, task.image_rules)
        if task.resized:
            return resize(image, (height, width))
        right_size = tf.reduce_all(tf.shape(image)[:2] == [height, width])
        message = f"expected an image of {width}x{height} pixels (width x height), not"
        with tf.control_dependencies([tf.debugging.Assert(right_size, [message, tf.shape(image)[1::-1]])]):
            return tf.ensure_shape(tf.identity(image), task.image_shape)

    return tf.map_fn(decoded, check_files(image_bytes), fn_output_signature=tf.TensorSpec(task.image_shape, tf.uint8))


def example(image_bytes: bytes) -> bytes:
    """A serialized tf.Example with the feature ``image``, as TFDS and tfdl store images.

    Args:
        image_bytes: the bytes of a JPEG or PNG file.
    """
    return example_of_bytes(_FEATURE, image_bytes)


def _random_files(task: Any, count: int) -> list[bytes]:
    """PNG and JPEG files in turn; JPEGs that are turned, and many sizes, where the task takes them."""
    height, width, channels = task.image_shape
    generator = np.random.default_rng(0)
    files = []
    for number in range(count):
        larger = number if task.resized else 0
        shape = (height + larger, width + 2 * larger, channels)
        pixels = generator.integers(0, 256, shape, np.uint8)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        exif = Image.Exif()
        if number % 4 == 3 and (task.resized or height == width):
            exif[ExifTags.Base.Orientation] = _QUARTER_TURN
        stream = io.BytesIO()
        image.save(stream, "JPEG" if number % 2 else "PNG", exif=exif if number % 2 else None)
        files.append(stream.getvalue())
    return files
