"""Decoders with a cache of keys and values."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.steppers.stepper import LanguageStepper, Stepper, spec_of

# Tokens of prompts that are read at a time; attention needs memory for each pair of them and the slots.
_CHUNK = 256
_TIME_AXIS = 2
_TOKENS = tf.TensorSpec([None, None], tf.int32)
_SLOT = tf.TensorSpec([], tf.int32)


class _StepperWithCache(Stepper):
    """What decoders with ``initial_cache`` and ``decode`` have in common.

    Args:
        model: the decoder.
    """

    def __init__(self, model: Any):
        self._model = model

    def step(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:
        """See ``Stepper.step``."""
        logits, state = self._decode(tokens[:, tf.newaxis], state, slot)
        return logits[:, 0], state

    @abstractmethod
    def _decode(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:
        """The logits of tokens (b, t) from a slot on, and the state after them."""

    def _grown(self, cache: Any, capacity: int) -> Any:
        """The cache with more slots. ``initial_cache`` refuses more slots than positions, but padding takes no
        position."""
        return tf.nest.map_structure(lambda tensor: _padded(tensor, _TIME_AXIS, capacity), cache)


class CachedStepper(_StepperWithCache, LanguageStepper):
    """Steps of a decoder with ``initial_cache`` and ``decode``.

    Prompts of unequal lengths are padded at the start, so that all end in the same slot. Padding is never attended to.

    Args:
        model: the decoder.
    """

    def __init__(self, model: Any):
        super().__init__(model)
        self.longest = model.config.sequence_length
        self._read = tf.function(self._read_chunk, autograph=False)

    def begin(self, prompts: Sequence[np.ndarray]) -> tuple[Any, np.ndarray, int]:
        """See ``Stepper.begin``."""
        lengths = np.array([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        padded = np.stack([np.pad(prompt, (width - len(prompt), 0)) for prompt in prompts]).astype(np.int32)  # (b, t)
        cache = self._model.initial_cache(len(prompts), width)
        mask: Any = ()
        if lengths.min() < width:
            mask = tf.constant(np.arange(width) >= (width - lengths)[:, np.newaxis])  # (b, t)
        state = (cache, mask)
        for first in range(0, width - 1, _CHUNK):
            chunk = tf.constant(padded[:, first : min(first + _CHUNK, width - 1)])
            specs = (_TOKENS, self.specs(state), _SLOT)
            state = self._read.get_concrete_function(*specs)(chunk, state, tf.constant(first))
        return state, padded[:, -1], width - 1

    def begin_in_graph(self, tokens: Any, is_token: Any, num_steps: Any, room: Any) -> Any:
        """See ``LanguageStepper.begin_in_graph``. Slots after the end of a row are padding, which takes no position."""
        batch_size, width = tf.unstack(tf.shape(tokens))
        cache = self._model.initial_cache(batch_size, 1)
        more_slots = width + num_steps - 1
        cache = tf.nest.map_structure(lambda tensor: tf.pad(tensor, [[0, 0], [0, 0], [0, more_slots], [0, 0]]), cache)
        is_new = tf.range(num_steps) < room[:, tf.newaxis] - 1  # the last token of the prompt is the first step's
        state = (cache, tf.concat([is_token, is_new], 1))
        return tf.cond(width > 1, lambda: self._read_chunk(tokens[:, :-1], state, tf.constant(0)), lambda: state)

    def with_capacity(self, state: Any, capacity: int) -> Any:
        """See ``Stepper.with_capacity``."""
        cache, mask = state
        if not isinstance(mask, tuple):
            mask = _padded(mask, 1, capacity, value=True)
        return self._grown(cache, capacity), mask

    def specs(self, state: Any) -> Any:
        """See ``Stepper.specs``."""
        cache, mask = state
        mask_spec = () if isinstance(mask, tuple) else spec_of(mask, 1)
        return tf.nest.map_structure(lambda tensor: spec_of(tensor, _TIME_AXIS), cache), mask_spec

    def _read_chunk(self, tokens: Any, state: Any, slot: Any) -> Any:
        """The state after some tokens (b, t) of the prompts. The logits are not computed, since nothing reads them."""
        _, state = self._decode(tokens, state, slot)
        return state

    def _decode(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:
        cache, mask = state
        padding_mask = None if isinstance(mask, tuple) else mask
        logits, cache = self._model.decode(tokens, cache, slot, padding_mask)
        return logits, (cache, mask)


class TranslationStepper(_StepperWithCache):
    """Steps of an encoder-decoder with ``memory``, ``initial_cache`` and ``decode``: prompts are sources.

    Args:
        model: the encoder-decoder.
        start_id: the first token of every target.
        longest: most tokens of a target, including its end.
    """

    continues_prompt = False

    def __init__(self, model: Any, start_id: int, longest: int):
        super().__init__(model)
        self.longest = longest
        self._start_id = start_id
        self._memory = tf.function(model.memory, autograph=False, input_signature=[_TOKENS])

    def begin(self, prompts: Sequence[np.ndarray]) -> tuple[Any, np.ndarray, int]:
        """See ``Stepper.begin``. Sources are padded at the end with 0, as the model expects."""
        width = max(map(len, prompts))
        sources = np.stack([np.pad(prompt, (0, width - len(prompt))) for prompt in prompts]).astype(np.int32)  # (b, s)
        cache = self._model.initial_cache(len(prompts), 1)
        tokens = np.full(len(prompts), self._start_id, np.int32)
        return (cache, self._memory(tf.constant(sources))), tokens, 0

    def with_capacity(self, state: Any, capacity: int) -> Any:
        """See ``Stepper.with_capacity``."""
        cache, memory = state
        return self._grown(cache, capacity), memory

    def specs(self, state: Any) -> Any:
        """See ``Stepper.specs``."""
        cache, (keys_values, mask) = state
        of_time = lambda tensor: spec_of(tensor, _TIME_AXIS)  # noqa: E731
        memory_specs = (tf.nest.map_structure(of_time, keys_values), spec_of(mask, 1))
        return tf.nest.map_structure(of_time, cache), memory_specs

    def _decode(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:
        cache, memory = state
        logits, cache = self._model.decode(tokens, cache, slot, memory)
        return logits, (cache, memory)


def _padded(tensor: Any, axis: int, size: int, value: Any = 0) -> Any:
    """The tensor with an axis of at least ``size``."""
    missing = size - tensor.shape[axis]
    if missing <= 0:
        return tensor
    paddings = [[0, missing if number == axis else 0] for number in range(tensor.shape.rank)]
    return tf.pad(tensor, paddings, constant_values=tf.constant(value, tensor.dtype))
