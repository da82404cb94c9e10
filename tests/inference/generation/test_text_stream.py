"""Pieces of a text: whole characters, and nothing of a stop string, however the tokens come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfdl.data.tokenizers.byte import ByteTokenizer
from tfdl.inference.generation.text_stream import TextStream

TOKENIZER = ByteTokenizer()
TEXT = "naïve 日本語 👩‍👩‍👧 end"


def pieces_of(stream, tokens, sizes):
    """What the stream returns for the tokens in blocks of these sizes, and at the end."""
    pieces = []
    begin = 0
    for size in sizes:
        if stream.has_stopped:
            break
        pieces.append(stream.add(tokens[begin : begin + size]))
        begin += size
    return [*pieces, stream.finish()]


@given(text=st.text(max_size=12), sizes=st.lists(st.integers(1, 5), min_size=1))
def test_pieces_are_whole_characters(text, sizes):
    tokens = TOKENIZER.encode(text)
    stream = TextStream(TOKENIZER.decode, TOKENIZER.encode("prompt"))
    pieces = pieces_of(stream, tokens, [*sizes, len(tokens)])
    assert "".join(pieces) == stream.text == TOKENIZER.decode(tokens)
    if "\ufffd" not in stream.text:
        assert not any("\ufffd" in piece for piece in pieces)


@given(
    text=st.text("abé", max_size=12),
    stops=st.lists(st.text("abé", min_size=1, max_size=4), min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 5), min_size=1),
)
def test_a_text_ends_before_its_first_stop_string(text, stops, sizes):
    tokens = TOKENIZER.encode(text)
    stream = TextStream(TOKENIZER.decode, (), stops)
    found = "".join(pieces_of(stream, tokens, [*sizes, len(tokens)]))
    assert found == before_stop(text, stops)
    assert stream.has_stopped == any(stop in text for stop in stops)


def before_stop(text, stops):
    """The definition: one character after the other, until the text ends with a stop string."""
    for end in range(len(text) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if text[:end].endswith(stop):
                return text[: end - len(stop)]
    return text


def test_a_stop_string_over_several_tokens_is_not_printed_partially():
    stream = TextStream(TOKENIZER.decode, (), ["###", "\n\n"])
    assert stream.add(TOKENIZER.encode("one #")) == "one "
    assert stream.add(TOKENIZER.encode("two ##")) == "#two "
    assert stream.add(TOKENIZER.encode("# three")) == ""
    assert stream.has_stopped
    assert stream.text == "one #two "
    assert stream.tokens == TOKENIZER.encode("one #two ###")
    assert stream.finish() == ""


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_emoji_byte_by_byte(size):
    stream = TextStream(TOKENIZER.decode)
    pieces = pieces_of(stream, TOKENIZER.encode(TEXT), [size] * 60)
    assert "".join(pieces) == TEXT
    assert all("\ufffd" not in piece for piece in pieces)


def test_an_unfinished_character_is_shown_at_the_end():
    stream = TextStream(TOKENIZER.decode)
    assert stream.add(TOKENIZER.encode("é")[:1]) == ""
    assert stream.finish() == "\ufffd"
