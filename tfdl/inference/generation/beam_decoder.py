"""Extends beams by a block of tokens in one call of a graph."""

from typing import Any

import tensorflow as tf

from tfdl.inference.generation.samplers.chain import SamplerChain
from tfdl.inference.generation.steppers.stepper import Stepper, spec_of
from tfdl.tasks.beam_decoding import by_search, of_parents
from tfdl.tasks.beam_search import Beams, extended, is_over

_SCALAR = tf.TensorSpec([], tf.int32)


class BeamDecoder:
    """Beam search in blocks: a loop in a graph.

    Args:
        stepper: the model. Each hypothesis is a row.
        chain: samplers that change the log-probabilities, and do not draw.
        end_id: the token that ends a text.
        num_beams: hypotheses of each search.
        exponent: of the length penalty.
    """

    def __init__(self, stepper: Stepper, chain: SamplerChain, end_id: int, num_beams: int, exponent: float):
        self._stepper = stepper
        self._chain = chain
        self._end_id = end_id
        self.num_beams = num_beams
        self.exponent = exponent
        self._graph = tf.function(self._decode, autograph=False)

    def __call__(
        self, tokens: Any, state: Any, slot: int, history: Any, beams: Beams, length: int, num_steps: int
    ) -> tuple[Any, Any, Any, Beams]:
        """Extends all hypotheses by ``num_steps`` tokens, or by fewer if all searches are over.

        Args:
            tokens: the last token of each hypothesis, int32 ``(s * k,)``.
            state: of the stepper.
            slot: of these tokens.
            history: int32 ``(s * k, capacity)`` with the tokens before and these, each in its slot, and -1 elsewhere.
            beams: the hypotheses.
            length: number of tokens that they have.
            num_steps: number of tokens to add.

        Returns:
            The new tokens, state, history and hypotheses.
        """
        beam_specs = tf.nest.map_structure(spec_of, beams)
        tokens = tf.convert_to_tensor(tokens)
        state_specs = self._stepper.specs(state)
        graph = self._graph.get_concrete_function(
            spec_of(tokens), state_specs, _SCALAR, spec_of(history, 1), beam_specs, _SCALAR, _SCALAR
        )
        scalars = (tf.constant(length), tf.constant(num_steps))
        result: tuple[Any, Any, Any, Beams] = graph(tokens, state, tf.constant(slot), history, beams, *scalars)
        return result

    def _decode(
        self, tokens: Any, state: Any, slot: Any, history: Any, beams: Beams, length: Any, num_steps: Any
    ) -> tuple[Any, ...]:
        slots = tf.range(tf.shape(history)[1])  # (capacity,)

        def continues(index: Any, tokens: Any, state: Any, history: Any, beams: Beams) -> Any:  # noqa: ARG001
            return (index < num_steps) & ~tf.reduce_all(is_over(beams))

        def step(index: Any, tokens: Any, state: Any, history: Any, beams: Beams) -> tuple[Any, ...]:
            logits, state = self._stepper.step(tokens, state, slot + index)  # (s * k, v)
            scores = self._chain.scores(tf.nn.log_softmax(logits), history)  # (s * k, v)
            beams, parents, new_tokens = extended(
                beams,
                by_search(scores, self.num_beams),
                length + index + 1,
                end_id=self._end_id,
                exponent=self.exponent,
            )
            state, history = of_parents((state, history), parents)
            tokens = tf.reshape(new_tokens, [-1])  # (s * k,)
            history = tf.where(slots == slot + index + 1, tokens[:, tf.newaxis], history)  # (s * k, capacity)
            return index + 1, tokens, state, history, beams

        first_values = (tf.constant(0), tokens, state, history, beams)
        _, tokens, state, history, beams = tf.while_loop(continues, step, first_values)
        return tokens, state, history, beams
