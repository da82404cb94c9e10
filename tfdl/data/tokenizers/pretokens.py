r"""GPT-2's cut of a text into words, the same in Python and in a graph.

Byte pairs are merged within these words only (Radford et al., "Language Models are Unsupervised Multitask Learners",
2019). Their pattern, leftmost first: ``'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+``.
"""

import re

import tensorflow as tf

from tfdl.data.tokenizers.unicode_classes import LETTERS, NUMBERS, SPACES

_CONTRACTIONS = "'(?:[sdmt]|ll|ve|re)"
_OTHERS = f"[^{SPACES}{LETTERS}{NUMBERS}]"

# Python's ``re`` looks through hundreds of ranges before it says that an ASCII character is not among them. ASCII comes
# first here, and the large classes are asked about other characters only: four times as fast on English.
_BEYOND_ASCII = r"(?![\0-\x7f])"
_WORD = re.compile(
    rf"{_CONTRACTIONS}"
    rf"| ?(?:[A-Za-z]+|{_BEYOND_ASCII}[{LETTERS}]+)+"
    rf"| ?(?:[0-9]+|{_BEYOND_ASCII}[{NUMBERS}]+)+"
    rf"| ?(?:[\0-\x08\x0e-\x1f!-/:-@\[-`{{-\x7f]+|{_BEYOND_ASCII}{_OTHERS}+)+"
    rf"|[{SPACES}]+(?![^{SPACES}])|[{SPACES}]+"
)

MARKER = b"\xff"
"""A byte that no UTF-8 has: it marks places in a text."""
_MARKED_SPACE = MARKER + rb"\0"
_MARKED_WORD = rb"\0" + MARKER
# RE2 has no lookahead. A space before anything else belongs to what follows, so the graph marks that place first, and a
# run of spaces ends there.
_SPACE_BEFORE_OTHER = f"[{SPACES}][^{SPACES}]"
_WORD_OF_MARKED = f"{_CONTRACTIONS}| ?[{LETTERS}]+| ?[{NUMBERS}]+| ?{_OTHERS}+|[{SPACES}]+"


def split_words(text: str) -> list[str]:
    """The words of a text; joined they are the text."""
    return _WORD.findall(text)


def split_words_in_graph(texts: tf.Tensor) -> tf.RaggedTensor:
    """As ``split_words``: UTF-8 ``(b,)`` -> strings ``(b, None)``."""
    # The whole match ("\0") is ten times as fast in RE2 as a group.
    marked = tf.strings.regex_replace(texts, _SPACE_BEFORE_OTHER, _MARKED_SPACE)
    return split_at_markers(tf.strings.regex_replace(marked, _WORD_OF_MARKED, _MARKED_WORD))


def split_at_markers(texts: tf.Tensor) -> tf.RaggedTensor:
    """What stands between markers, where that is anything: ``(b,)`` -> ``(b, None)``."""
    pieces = tf.strings.split(texts, sep=MARKER)
    return tf.ragged.boolean_mask(pieces, pieces.with_values(tf.strings.length(pieces.values) > 0))
