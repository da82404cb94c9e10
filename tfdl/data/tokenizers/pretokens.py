r"""A text's words as GPT-2 splits them, the same in Python and in a graph.

Byte pairs are merged within these words only (Radford et al., "Language Models are Unsupervised Multitask Learners",
2019). The pattern of a word is ``'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+``; the
first alternative that matches is taken.
"""

import re

import tensorflow as tf

from tfdl.data.tokenizers.unicode_classes import LETTERS, NUMBERS, SPACES

_CONTRACTIONS = "'(?:[sdmt]|ll|ve|re)"
_OTHERS = f"[^{SPACES}{LETTERS}{NUMBERS}]"

# Python's ``re`` searches hundreds of ranges to find that an ASCII character is not among them. So ASCII is tried first
# here, and the large classes are tried for other characters only. This is four times as fast on English.
_BEYOND_ASCII = r"(?![\0-\x7f])"
_WORD = re.compile(
    rf"{_CONTRACTIONS}"
    rf"| ?(?:[A-Za-z]+|{_BEYOND_ASCII}[{LETTERS}]+)+"
    rf"| ?(?:[0-9]+|{_BEYOND_ASCII}[{NUMBERS}]+)+"
    rf"| ?(?:[\0-\x08\x0e-\x1f!-/:-@\[-`{{-\x7f]+|{_BEYOND_ASCII}{_OTHERS}+)+"
    rf"|[{SPACES}]+(?![^{SPACES}])|[{SPACES}]+"
)

_DIGIT = re.compile(f"([{NUMBERS}])")

MARKER = b"\xff"
"""A byte that never occurs in UTF-8; it marks positions in a text."""
_MARKED_SPACE = MARKER + rb"\0"
_MARKED_WORD = rb"\0" + MARKER
# RE2 has no lookahead. The last space before a word belongs to the word, so the graph first puts a marker before that
# space; a run of spaces ends at the marker.
_SPACE_BEFORE_OTHER = f"[{SPACES}][^{SPACES}]"
_WORD_OF_MARKED = f"{_CONTRACTIONS}| ?[{LETTERS}]+| ?[{NUMBERS}]+| ?{_OTHERS}+|[{SPACES}]+"


def split_words(text: str, digits_alone: bool = False) -> list[str]:
    """The words of a text; joined, they are the text again.

    Args:
        text: any text.
        digits_alone: whether each digit is a word, as in SmolLM2, and the texts between digits are split by themselves.
    """
    if not digits_alone:
        return _WORD.findall(text)
    words: list[str] = []
    for number, piece in enumerate(_DIGIT.split(text)):
        is_digit = number % 2 == 1
        words += [piece] if is_digit else _WORD.findall(piece)
    return words


def split_words_in_graph(texts: tf.Tensor, digits_alone: bool = False) -> tf.RaggedTensor:
    """As ``split_words``: UTF-8 ``(b,)`` -> strings ``(b, None)``.

    Args:
        texts: UTF-8 ``(b,)``.
        digits_alone: as for ``split_words``.
    """
    if digits_alone:
        marked_digits = tf.strings.regex_replace(texts, f"[{NUMBERS}]", MARKER + rb"\0" + MARKER)
        pieces = split_at_markers(marked_digits)  # (b, pieces)
        words_of_pieces = pieces.with_values(split_words_in_graph(pieces.values))  # (b, pieces, words)
        return words_of_pieces.merge_dims(1, 2)
    # RE2 replaces a whole match ("\0") ten times as fast as a group.
    marked_spaces = tf.strings.regex_replace(texts, _SPACE_BEFORE_OTHER, _MARKED_SPACE)
    marked_words = tf.strings.regex_replace(marked_spaces, _WORD_OF_MARKED, _MARKED_WORD)
    return split_at_markers(marked_words)


def split_at_markers(texts: tf.Tensor) -> tf.RaggedTensor:
    """The pieces between markers that are not empty: ``(b,)`` -> ``(b, None)``."""
    pieces = tf.strings.split(texts, sep=MARKER)
    is_not_empty = pieces.with_values(tf.strings.length(pieces.values) > 0)
    return tf.ragged.boolean_mask(pieces, is_not_empty)
