"""All texts of a split, one after the other, as one circle of tokens."""

import numpy as np

from tfdl.data.tokens.table import TokenColumn


class TokenStream:
    """The texts' tokens, each text followed by the end token.

    The stream is a circle: what stands before the first text is the end token of the last. So every token has one
    before it to be predicted from, and a model learns how texts begin.

    Args:
        column: the texts.
        end_id: the token that ends a text.
    """

    def __init__(self, column: TokenColumn, end_id: int):
        self._tokens, self._end_id = np.asarray(column.tokens), end_id  # still mapped, where they are on disk
        self._ends = column.starts[1:] + np.arange(len(column))  # where in the stream each text's end token stands
        self.num_tokens = len(self._tokens) + len(column)

    def read(self, places: np.ndarray) -> np.ndarray:
        """Token numbers, int32, for whole numbers of any shape; they go round the circle."""
        places = places % self.num_tokens
        texts = np.searchsorted(self._ends, places)
        inside = self._ends[texts] != places
        tokens = np.full(places.shape, self._end_id, np.int32)
        tokens[inside] = self._tokens[(places - texts)[inside]]
        return tokens
