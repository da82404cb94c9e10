"""Builds a decoder's cache of keys and values, and checks that tokens fit it."""

from collections.abc import Iterable, Sequence
from typing import Any

from tfdl.config.models.transformer import TransformerConfig
from tfdl.errors import UserError
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.transformer_block import TransformerBlock


def build_cache(
    config: TransformerConfig, blocks: Iterable[TransformerBlock], batch_size: Any, max_length: int | None
) -> tuple[Cache, ...]:
    """Returns an empty cache for each block.

    Args:
        config: configuration of the decoder.
        blocks: blocks of the decoder.
        batch_size: sequences to decode.
        max_length: slots for tokens. Defaults to ``config.sequence_length``.

    Raises:
        UserError: more slots than learned positions.
    """
    length = max_length or config.sequence_length
    config.check_length("max_length", length)
    return tuple(block.attention.initial_cache(batch_size, length) for block in blocks)


def check_cache_length(tokens: Any, cache: Sequence[Cache], position: Any) -> None:
    """Checks that tokens fit a cache, as far as their number, the length of the cache and the position are known.

    Args:
        tokens: ``(batch, time)``, the tokens to decode.
        cache: from ``build_cache``.
        position: slot of the first of these tokens in the cache, an integer or a tensor.

    Raises:
        UserError: the cache has too few slots.
    """
    keys, _ = cache[0]
    max_length = keys.shape[2]
    time = tokens.shape[1]
    if max_length is None or time is None:
        return
    start = position if isinstance(position, int) else 0
    if start + time > max_length:
        raise UserError(
            f"{time} tokens at position {start} do not fit a cache of length {max_length}; pass a larger max_length to"
            " initial_cache, or fewer tokens"
        )
