"""A decoder's cache of keys and values: as long as the model can read, and as the tokens need."""

from collections.abc import Iterable, Sequence
from typing import Any

from tfdl.config.models.transformer import TransformerConfig
from tfdl.errors import UserError
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.transformer_block import TransformerBlock


def build_cache(
    config: TransformerConfig, blocks: Iterable[TransformerBlock], batch_size: Any, max_length: int | None
) -> tuple[Cache, ...]:
    """Keys and values of no token yet, for each block.

    Args:
        config: whose ``sequence_length`` counts if ``max_length`` is not given.
        blocks: of the decoder.
        batch_size: $B$, sequences to decode.
        max_length: $S$, places for tokens.

    Raises:
        UserError: more places than learned positions.
    """
    length = max_length or config.sequence_length
    config.check_length("max_length", length)
    return tuple(block.attention.initial_cache(batch_size, length) for block in blocks)


def check_places(tokens: Any, cache: Sequence[Cache], position: Any) -> None:
    """Raises ``UserError`` if tokens ``(B, T)`` from ``position`` on have no place, as far as all three are known."""
    places, length = cache[0][0].shape[2], tokens.shape[1]
    first = position if isinstance(position, int) else 0
    if None not in (places, length) and first + length > places:
        raise UserError(
            f"{length} tokens at position {first} do not fit a cache of {places} places; give initial_cache a larger"
            " max_length, or fewer tokens"
        )
