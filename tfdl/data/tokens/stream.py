"""All texts of a split, one after the other, as one circular stream of tokens."""

import copy

import numpy as np

from tfdl.data.tokens.table import TokenColumn


class TokenStream:
    """The texts' tokens, each text followed by the end token.

    The stream is circular: the end token of the last text comes before the first text. So every token has a token
    before it to be predicted from, and a model learns how texts begin.

    Args:
        column: the texts.
        end_id: the token that ends a text.
    """

    def __init__(self, column: TokenColumn, end_id: int):
        self._tokens = np.asarray(column.tokens)  # a memory map is not read here
        self._end_id = end_id
        self._ends = np.arange(len(column))  # the position of each text's end token in the stream
        self._ends += column.starts[1:]
        self.num_tokens = len(self._tokens) + len(column)

    def beginning(self, num_tokens: int) -> "TokenStream":
        """The first tokens as a circular stream.

        Args:
            num_tokens: at most those that there are.
        """
        part = copy.copy(self)
        part.num_tokens = num_tokens
        return part

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Tokens of the stream.

        Args:
            positions: whole numbers of any shape; they are taken modulo the length of the stream.

        Returns:
            int32, the same shape.
        """
        positions = positions % self.num_tokens
        texts = np.searchsorted(self._ends, positions)  # the text that each position belongs to
        is_own = self._ends[texts] != positions  # a text's own token, not an end token
        tokens = np.full(positions.shape, self._end_id, np.int32)
        without_ends = positions - texts  # as many end tokens as earlier texts come before a position
        tokens[is_own] = self._tokens[without_ends[is_own]]
        return tokens
