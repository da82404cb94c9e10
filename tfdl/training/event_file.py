"""Files of events, as TensorBoard reads them."""

import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

_SUMMARY = tf.compat.v1.Summary
_METADATA = tf.compat.v1.SummaryMetadata
_RGB = 3
# A session that follows another one in the same second has another file.
_numbers = itertools.count()


class EventFile:
    """Appends events to a new file, each at once.

    The file is a sequence of records (``tf.io.TFRecordWriter``), each a serialized ``Event``. TensorFlow's own writer,
    ``tf.summary``, takes a hundred times as long for a few scalars: it runs operations, and its file repeats the
    metadata of each value.

    Args:
        folder: gets the file; it is made if it does not exist.
        step: the step that the run continues from; 0 for a new run. TensorBoard drops what other files of the folder
            have of later steps.

    Raises:
        OSError: the folder cannot be made.
        tf.errors.OpError: the file cannot be written; also raised by the methods.
    """

    def __init__(self, folder: Path, step: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads a folder's files in the order of their names.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers):06d}"
        # Bytes: a path may hold bytes that are not UTF-8.
        self._records = tf.io.TFRecordWriter(os.fsencode(folder / name))
        self._write(file_version="brain.Event:2")
        # TensorBoard takes the first of these events in a folder for the start of the run, and ignores it.
        self.drop_after(step)

    def drop_after(self, step: int) -> None:
        """Makes TensorBoard drop what was written of later steps: the run does them again.

        Args:
            step: the last one that counts.
        """
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._write(step=step + 1, session_log=start)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one value for each name.

        Args:
            step: optimizer steps that are done.
            values: name -> value; NaN and infinity are allowed.
        """
        self._summary(step, [_SUMMARY.Value(tag=name, simple_value=value) for name, value in values.items()])

    def text(self, step: int, name: str, markdown: str) -> None:
        """Writes a text.

        Args:
            step: optimizer steps that are done.
            name: what TensorBoard calls it.
            markdown: the text.
        """
        tensor = tf.make_tensor_proto(markdown.encode("utf-8", "replace"))
        self._summary(step, [_SUMMARY.Value(tag=name, tensor=tensor, metadata=_of_plugin("text"))])

    def picture(self, step: int, name: str, encoded: bytes, size: tuple[int, int]) -> None:
        """Writes an image.

        Args:
            step: optimizer steps that are done.
            name: what TensorBoard calls it.
            encoded: the contents of a PNG or JPEG file.
            size: width and height in pixels.
        """
        width, height = size
        image = _SUMMARY.Image(height=height, width=width, colorspace=_RGB, encoded_image_string=encoded)
        self._summary(step, [_SUMMARY.Value(tag=name, image=image)])

    def plugin_data(self, name: str, plugin: str, content: bytes) -> None:
        """Writes what a plugin of TensorBoard reads once for a run, at step 0.

        Args:
            name: the tag that the plugin looks for.
            plugin: its name.
            content: its own message, serialized.
        """
        nothing = tf.make_tensor_proto(0.0, tf.float32)
        self._summary(0, [_SUMMARY.Value(tag=name, tensor=nothing, metadata=_of_plugin(plugin, content))])

    def close(self) -> None:
        """Closes the file."""
        self._records.close()

    def _summary(self, step: int, values: list[Any]) -> None:
        self._write(step=step, summary=_SUMMARY(value=values))

    def _write(self, **fields: Any) -> None:
        event = tf.compat.v1.Event(wall_time=time.time(), **fields)
        self._records.write(event.SerializeToString())
        self._records.flush()


def _of_plugin(name: str, content: bytes = b"") -> Any:
    return _METADATA(plugin_data=_METADATA.PluginData(plugin_name=name, content=content))
