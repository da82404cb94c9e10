"""A long text in parts, which take less memory to tokenize than the whole."""

import re
from collections.abc import Iterator

from tfdl.data.tokenizers.unicode_classes import SPACES

# Characters of a part, or a few more.
_SIZE = 2**20
# The end of a word: the next character is a space or a newline, and this one is no space of any kind.
_END = re.compile(rf"[^\s{SPACES}](?=[ \n])")


def parts_of(text: str) -> Iterator[str]:
    """The parts of a text, each of which ends with a word: the space after it belongs to the next part.

    Args:
        text: any text. A short one, or one without spaces, is one part.
    """
    begin = 0
    while end := _END.search(text, begin + _SIZE):
        yield text[begin : end.end()]
        begin = end.end()
    yield text[begin:] if begin else text
