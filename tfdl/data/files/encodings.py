"""The encoding of the user's files: opening them, and finding out that they have another one."""

import codecs
from io import TextIOWrapper
from pathlib import Path

from tfdl.errors import UserError

DEFAULT = "utf-8"
ADVICE = "for a file in another encoding, give --encoding NAME, such as cp1252"
"""What to do about bytes that the encoding does not have."""

# Stands for bytes that the encoding does not have. No file contains this character: it is half of a surrogate pair.
_MARK = "\udc80"
_ERRORS = "tfdl.undecodable"
# Bytes that are looked at to recognize an encoding.
_HEAD = 4096
# Encodings of two or four bytes for each character -> the mark at the beginning of such a file, longest first.
_BYTE_ORDER_MARKS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
# Of the bytes at a place, the part that is zero in texts of two or four bytes a character, and in other texts.
_MANY = 0.3
_FEW = 0.1


class EncodingError(UserError):
    """A file has another encoding than the one that it is read with.

    Args:
        path: the file.
        reason: what is wrong with it.
        advice: how to read it.
    """

    def __init__(self, path: Path, reason: str, advice: str):
        super().__init__(f"{path} is {reason}; {advice}")
        self.reason = reason
        self.advice = advice


def _marked(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _MARK, error.end


codecs.register_error(_ERRORS, _marked)


def open_text(path: Path, encoding: str, newline: str | None = "\n") -> TextIOWrapper:
    """Opens a text file. Bytes that the encoding does not have become a mark that ``what_is_wrong`` finds.

    Args:
        path: the file.
        encoding: a name that Python knows.
        newline: as for ``open``.

    Raises:
        EncodingError: the file is UTF-16 or UTF-32 and the encoding is not, or the other way around.
    """
    file = path.open("rb")
    try:
        codec = _codec(path, encoding, file.peek(_HEAD)[:_HEAD])
    except EncodingError:
        file.close()
        raise
    return TextIOWrapper(file, codec, _ERRORS, newline)


def decode(data: bytes, encoding: str) -> str:
    """A text from bytes. Those that the encoding does not have become a mark that ``what_is_wrong`` finds.

    Args:
        data: the bytes.
        encoding: a name that Python knows.
    """
    return data.decode(encoding, _ERRORS)


def what_is_wrong(text: str, encoding: str) -> str:
    """Why a text cannot be used, or an empty text if it can.

    Args:
        text: from a file that ``open_text`` opened.
        encoding: of the file.
    """
    if text.isascii():
        return ""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        character = text[error.start]
        if character == _MARK:
            return f"not {_shown(encoding)}"
        return f"half of a surrogate pair, U+{ord(character):04X}"
    return ""


def readable(text: str) -> str:
    """A text for messages: bytes that the encoding does not have are shown as U+FFFD.

    Args:
        text: from a file that ``open_text`` opened.
    """
    return text.replace(_MARK, "\N{REPLACEMENT CHARACTER}")


def _codec(path: Path, encoding: str, head: bytes) -> str:
    """The codec that reads the file with these first bytes: with or without a byte order mark."""
    name = codecs.lookup(encoding).name
    found = _wide_encoding(head)
    family = name[:6]
    if family in _BYTE_ORDER_MARKS:
        if head and not found and b"\0" not in head and _is_utf8(head):
            raise EncodingError(path, f"not {_shown(encoding)}", "leave out --encoding")
        if found.startswith(family):
            return found
        return f"{family}-le" if name == family else name
    if found:
        reason = f"{_shown(found)}, expected {_shown(encoding)}"
        raise EncodingError(path, reason, f"read it with --encoding {found}")
    return "utf-8-sig" if name == DEFAULT else name


def _wide_encoding(head: bytes) -> str:
    """The encoding of a file of two or four bytes for each character; empty for all others.

    Args:
        head: the first bytes of the file.
    """
    for name, marks in _BYTE_ORDER_MARKS.items():
        if head.startswith(marks):
            return name
    # Without a mark: most characters of most texts, and all line ends, have a zero byte at the same place.
    zeros = [head[place::4].count(0) / max(1, len(head[place::4])) for place in range(4)]
    low, second, third, high = zeros
    if min(second, third, high) > _MANY and low < _FEW:
        return "utf-32-le"
    if min(low, second, third) > _MANY and high < _FEW:
        return "utf-32-be"
    if min(second, high) > _MANY and max(low, third) < _FEW:
        return "utf-16-le"
    if min(low, third) > _MANY and max(second, high) < _FEW:
        return "utf-16-be"
    return ""


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _shown(encoding: str) -> str:
    """An encoding as people write it: ``UTF-16``, but ``cp1252``."""
    return encoding.upper() if encoding.lower().startswith("utf") else encoding
