"""How long the texts are on which an export and its model are compared."""

import numpy as np

# Logits of several texts, of which there are several copies while they are compared.
_MOST_LOGITS = 2**24
# Logits of one text, 256 MiB: those of GPT-2 for its longest text take 196 MiB.
_MOST_LOGITS_OF_ONE = 2**26
# Texts of a batch, though they are shorter then.
_FEWEST_TEXTS = 4


def longest_text(longest: int, vocab_size: int) -> int:
    """Tokens of the one text that is as long as the model allows, unless its logits would take too much memory.

    Args:
        longest: that the model reads.
        vocab_size: logits for each token.
    """
    return max(1, min(longest, _MOST_LOGITS_OF_ONE // vocab_size))


def length_notes(longest: int, vocab_size: int) -> tuple[str, ...]:
    """What a user should know of the comparison: that the longest text was not part of it.

    Args:
        longest: as for ``longest_text``.
        vocab_size: as for ``longest_text``.
    """
    compared = longest_text(longest, vocab_size)
    if compared == longest:
        return ()
    return (
        f"answers were compared on texts of at most {compared:,} tokens, though the model reads {longest:,}: more"
        f" logits would take more than {4 * _MOST_LOGITS_OF_ONE // 2**20} MiB",
    )


def batch_size_and_length(longest: int, vocab_size: int, most: int) -> tuple[int, int]:
    """The number of texts of a batch, and their most tokens. There are fewer and shorter ones for a large vocabulary.

    Args:
        longest: that the model reads.
        vocab_size: logits for each token.
        most: texts of the batch.
    """
    most_tokens = max(_MOST_LOGITS // vocab_size, 2 * _FEWEST_TEXTS)
    length = min(longest, most_tokens // _FEWEST_TEXTS)
    return min(most, most_tokens // length), length


def length_of_batch(count: int, vocab_size: int) -> int:
    """Most tokens of the texts of a batch, whose logits then do not take too much memory.

    Args:
        count: texts.
        vocab_size: logits for each token.
    """
    return max(1, _MOST_LOGITS // (count * vocab_size))


def fewer_rows(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """The first of some texts, and their first tokens, whose logits do not take too much memory.

    Args:
        tokens: ``(b, t)``.
        vocab_size: logits for each token.
    """
    length = longest_text(tokens.shape[1], vocab_size)
    rows = max(1, _MOST_LOGITS_OF_ONE // (length * vocab_size))
    return tokens[:rows, :length]
