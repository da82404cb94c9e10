"""A corpus in windows of equal length: shuffled, or in streams for models that carry their state."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.order import epoch_offset, epoch_order, stream_order
from tfdl.data.sources import ShuffledSource
from tfdl.data.tokens.stream import TokenStream

BEGINS = "begins"
"""The feature that marks the first window of a stream, where the model's state begins at zero."""

# Most streams of an evaluation, and how many of them make a batch. They do not depend on the number of ranks, so the
# result does not either.
_MOST_SEGMENTS = 64
_SEGMENTS_TOGETHER = 16
# Least length of a stream in an evaluation. The first tokens of a stream are predicted from a short context; in a long
# stream they have little weight.
_LEAST_SEGMENT_TOKENS = 4096


class Windows(ShuffledSource):
    """Windows of ``length`` tokens and the tokens that follow each of them, in another order in each epoch.

    In each epoch the stream begins at another token, a random function of seed and epoch, and is cut into windows from
    there. So windows differ from epoch to epoch, and every token is predicted once in an epoch. The last window is
    shorter, and padded.

    A sample's number stands for a window and for the token at which the stream begins: window ``w`` of ``n`` in a
    stream that begins at token ``o`` is sample ``w + n * o``. Samples below ``num_examples`` are the windows of the
    stream that begins at its first token.

    Args:
        stream: the tokens.
        length: tokens of a window.
        pad_id: the token that pads the last window.
    """

    def __init__(self, stream: TokenStream, length: int, pad_id: int):
        self._stream = stream
        self._pad_id = pad_id
        self.length = length
        self.num_examples = -(-stream.num_tokens // length)
        self.unit = f"training windows of {length} tokens"

    def limited(self, most: int) -> "Windows":
        """The first windows.

        Args:
            most: of them.
        """
        return type(self)(self._stream.beginning(most * self.length), self.length, self._pad_id)

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``.

        Returns:
            ``tokens``, int32 ``(b, length + 1)``: a window's inputs are all but the last token, its targets all but the
            first. ``count``, int32 ``(b,)``: the number of targets before the padding.
        """
        tokens, count = tf.numpy_function(self._read, [indices], (tf.int32, tf.int32), stateful=False)
        return {"tokens": tf.ensure_shape(tokens, [None, self.length + 1]), "count": tf.ensure_shape(count, [None])}

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:  # noqa: ARG002
        """See ``Source.epoch_order``; a random permutation of the windows of this epoch."""
        order = epoch_order(self.num_examples, seed, epoch)
        order += self._first_number(seed, epoch)
        return order

    def _first_number(self, seed: int, epoch: int) -> int:
        """The number of the first window of the stream as it begins in this epoch."""
        return self.num_examples * epoch_offset(self._stream.num_tokens, seed, epoch)

    def _read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        offsets, windows = np.divmod(indices, self.num_examples)
        begins = windows * self.length  # (b,)
        count = np.minimum(self.length, self._stream.num_tokens - begins)
        # One token before the window is the input for its first target.
        positions = (offsets + begins)[:, np.newaxis] + np.arange(-1, self.length)  # (b, length + 1)
        is_token = np.arange(self.length + 1) <= count[:, np.newaxis]
        tokens = np.where(is_token, self._stream.read(positions), np.int32(self._pad_id))
        return tokens, count.astype(np.int32)


class StreamedWindows(Windows):
    """The same windows in as many streams as a global batch has rows (Zaremba et al., 2014, arXiv:1409.2329).

    Row ``r`` of each batch continues where row ``r`` of the batch before it ended.

    The lengths of streams differ by at most one window. The last batch of an epoch has the rows of the longer streams
    only.
    """

    def read(self, indices: Any) -> dict[str, Any]:
        """As ``Windows.read``, with another feature, ``BEGINS``, bool ``(b,)``: the first window of its stream."""
        begins = indices >= self._begin_mark
        windows = tf.where(begins, indices - self._begin_mark, indices)
        return {**super().read(windows), BEGINS: begins}

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """See ``Source.epoch_order``; as many streams as a global batch has rows, side by side."""
        order = stream_order(self.num_examples, global_batch)
        order += self._first_number(seed, epoch)
        order[:global_batch] += self._begin_mark
        return order

    @property
    def _begin_mark(self) -> int:
        """Added to the number of a stream's first window; larger than all numbers of windows."""
        return self.num_examples * self._stream.num_tokens

    def segments(self) -> list[np.ndarray]:
        """See ``StreamedSource.segments``; the number of streams depends on the split alone."""
        most_streams = self._stream.num_tokens // _LEAST_SEGMENT_TOKENS
        num_streams = max(1, min(_MOST_SEGMENTS, most_streams, self.num_examples))
        order = stream_order(self.num_examples, num_streams)
        steps = -(-self.num_examples // num_streams)  # rounded up
        padding = np.full(steps * num_streams - len(order), -1)
        table = np.concatenate([order, padding]).reshape(steps, num_streams)
        return [table[:, begin : begin + _SEGMENTS_TOGETHER] for begin in range(0, num_streams, _SEGMENTS_TOGETHER)]
