"""Texts that tokenizers have to stand: arbitrary Unicode, and what their rules are about."""

from pydoc_data.topics import topics

from hypothesis import strategies as st

CORPUS = [topics[name] for name in ("lambda", "strings", "import")] + [
    "the cat 's hat ; they'll say we're here\n" * 3,
    "Ein häßlicher Öltanker, naïve café: 3½ mm² \U0001f600\U0001f600 e\u0301e\u0301\n" * 3,
]
"""What the tokenizers of the tests learn from."""

_PIECES = ["'s", "'ll", "'S", "’", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\x1c", "\x00", "<unk>", "_", "-"]
_PIECES += [
    "the",
    "import",
    "cat",
    "Öl",
    "漢字",
    "½",
    "2",
    "\U0001f600",
    "\u200d",
    "e\u0301",
    "\ufffd",
    "\ufeff",
    "aaa",
]
_PIECES += ["<|endoftext|>", "<pad>", "don't", "...", "\ud83d", "\U00013430", "\u0378"]

pieces = st.lists(st.sampled_from(_PIECES), max_size=15).map("".join)
any_text = st.text(st.characters(exclude_categories=[]))
"""With lone surrogates."""
texts = pieces | any_text | st.tuples(pieces, any_text, pieces).map("".join)


def readable(text):
    """What a tokenizer makes of lone surrogates."""
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
