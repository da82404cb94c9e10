"""Two ways to split a text into words, each the same in Python and in a graph.

- ``spaces``: words are separated by spaces. This is for texts that are tokenized already, such as WikiText:
  ``the song , @-@ <unk>``.
- ``punctuation``: each punctuation mark and symbol is a separate word, except apostrophes within words: ``don't`` is
  one word, ``well-kept!`` is four.

In both a newline is a word, and other spaces are not part of any word.
"""

import re
from typing import Literal

import tensorflow as tf

from tfdl.data.tokenizers.pretokens import MARKER, split_at_markers
from tfdl.data.tokenizers.unicode_classes import SPACES, inside_brackets

Split = Literal["spaces", "punctuation"]

UNKNOWN_WORD = "<unk>"
"""WikiText's word for a rare word; unknown words are decoded to it."""

# Punctuation marks and symbols: ASCII without the underscore; Latin-1; the Unicode blocks of punctuation, currencies,
# arrows to symbols, East Asian punctuation, full-width ASCII, and emoji.
_MARKS = r"!-/:-@\[-\^`{-~" + inside_brackets("""
a1-a9 ab-b4 b6-b8 bb bf d7 f7 2010-2027 2030-205e 20a0-20cf 2190-2bff 3001-3020 3030 ff01-ff0f ff1a-ff20 ff3b-ff40
ff5b-ff65 1f000-1faff
""")
_WORD = f"[^{SPACES}{_MARKS}]+"
_SPACES_BUT_NEWLINE = "\t\x0b-\r" + SPACES.removeprefix("\t-\r")
_PATTERNS: dict[Split, str] = {
    "spaces": f"\n|[^{SPACES}]+",
    "punctuation": f"{UNKNOWN_WORD}|{_WORD}(?:['’]{_WORD})*|[^{_SPACES_BUT_NEWLINE}]",
}
_COMPILED = {split: re.compile(pattern) for split, pattern in _PATTERNS.items()}


def split_words(text: str, split: Split) -> list[str]:
    """The words of a text.

    Args:
        text: any text without lone surrogates.
        split: how to split it.
    """
    return _COMPILED[split].findall(text)


def split_words_in_graph(texts: tf.Tensor, split: Split) -> tf.RaggedTensor:
    """As ``split_words``.

    Args:
        texts: valid UTF-8 ``(b,)``.
        split: how to split them.

    Returns:
        The words, strings ``(b, None)``.
    """
    without_spaces = tf.strings.regex_replace(texts, f"[{_SPACES_BUT_NEWLINE}]+", MARKER)
    marked_words = tf.strings.regex_replace(without_spaces, _PATTERNS[split], rb"\0" + MARKER)
    return split_at_markers(marked_words)
