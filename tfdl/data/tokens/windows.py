"""A corpus in windows of equal length: shuffled, or in streams that a recurrent model reads on in."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.order import epoch_offset, epoch_order, stream_order
from tfdl.data.sources import ShuffledSource
from tfdl.data.tokens.stream import TokenStream

BEGINS = "begins"
"""The feature that says that a row goes on in no earlier window: its state begins at zero."""

# Streams that an evaluation reads side by side, at most, and how many of them make a batch. Both are the same for any
# number of ranks, and so is what is computed.
_MOST_SEGMENTS, _SEGMENTS_TOGETHER = 64, 16
# A stream is at least so long, so that the little that its first tokens know of the text counts for little.
_LEAST_SEGMENT_TOKENS = 4096


class Windows(ShuffledSource):
    """Windows of ``length`` tokens and their successors, in an order of their own in every epoch.

    The stream of tokens is turned by a random number of tokens in each epoch, a function of seed and epoch, and cut
    from there: cuts fall elsewhere each time, and every token is predicted once an epoch. The last window is shorter,
    and padded.

    A sample's number says where its window stands and by how much the stream was turned: window ``w`` of ``n`` at
    offset ``o`` is sample ``w + n * o``. Those below ``num_examples`` are the windows of a stream that was not turned.

    Args:
        stream: the tokens.
        length: tokens of a window.
        pad_id: stands where the last window has no token.
    """

    def __init__(self, stream: TokenStream, length: int, pad_id: int):
        self._stream, self.length, self._pad_id = stream, length, pad_id
        self.num_examples = -(-stream.num_tokens // length)
        self.unit = f"training windows of {length} tokens"

    def read(self, indices: Any) -> dict[str, Any]:
        """``tokens``, int32 ``(b, length + 1)``: a window's inputs are all but the last, its targets all but the first.
        ``count``, int32 ``(b,)``: how many targets there are before the padding.
        """
        tokens, count = tf.numpy_function(self._read, [indices], (tf.int32, tf.int32), stateful=False)
        return {"tokens": tf.ensure_shape(tokens, [None, self.length + 1]), "count": tf.ensure_shape(count, [None])}

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:  # noqa: ARG002
        """A random permutation of the windows of this epoch."""
        return epoch_order(self.num_examples, seed, epoch) + self._turned(seed, epoch)

    def _turned(self, seed: int, epoch: int) -> int:
        return self.num_examples * epoch_offset(self._stream.num_tokens, seed, epoch)

    def _read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        offsets, windows = np.divmod(indices, self.num_examples)
        begins = windows * self.length
        count = np.minimum(self.length, self._stream.num_tokens - begins)
        places = (offsets + begins)[:, np.newaxis] + np.arange(-1, self.length)  # (b, length + 1)
        there = np.arange(self.length + 1) <= count[:, np.newaxis]
        return np.where(there, self._stream.read(places), np.int32(self._pad_id)), count.astype(np.int32)


class StreamedWindows(Windows):
    """The same windows in as many streams as a global batch has rows (Zaremba et al., 2014, arXiv:1409.2329).

    Row ``r`` of each batch goes on where row ``r`` of the one before it stopped.

    Streams differ by at most one window; the last batch of an epoch has the rows of the longer ones.
    """

    def read(self, indices: Any) -> dict[str, Any]:
        """As ``Windows.read``, with ``BEGINS``, booleans ``(b,)``: the first window of its stream."""
        begins = indices >= self._beginning
        return {**super().read(tf.where(begins, indices - self._beginning, indices)), BEGINS: begins}

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """As many streams as a global batch has rows, side by side."""
        order = stream_order(self.num_examples, global_batch) + self._turned(seed, epoch)
        order[:global_batch] += self._beginning
        return order

    @property
    def _beginning(self) -> int:
        """What the number of a stream's first window is larger by."""
        return self.num_examples * self._stream.num_tokens

    def segments(self) -> list[np.ndarray]:
        """How a whole pass goes through the streams of an evaluation, whose number depends on the split alone.

        Returns:
            Groups of streams: sample numbers ``(steps, rows)``, a step after the other; -1 where a stream has ended.
        """
        most = self._stream.num_tokens // _LEAST_SEGMENT_TOKENS
        streams = max(1, min(_MOST_SEGMENTS, most, self.num_examples))
        order = stream_order(self.num_examples, streams)
        steps = -(-self.num_examples // streams)
        table = np.concatenate([order, np.full(steps * streams - len(order), -1)]).reshape(steps, streams)
        return [table[:, at : at + _SEGMENTS_TOGETHER] for at in range(0, streams, _SEGMENTS_TOGETHER)]
