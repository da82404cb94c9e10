"""The base class of all samplers."""

from abc import ABC, abstractmethod
from typing import Any

IMPOSSIBLE = float("-inf")
"""The score of a token that is never chosen."""
NO_TOKEN = -1
"""What ``history`` has where there is no token."""


class Sampler(ABC):
    """A step on the way from a model's scores to the next token.

    The samplers of a chain change the scores one after the other. Then the next token is drawn from the softmax of the
    scores, or it is the one with the largest score.
    """

    @abstractmethod
    def __call__(self, scores: Any, history: Any) -> Any:
        """Changes the scores of the next token, with TensorFlow operations.

        A row must depend on nothing but itself: texts are the same alone and in a batch.

        Args:
            scores: logits ``(b, v)`` with a static ``v``, float32 or float64; after other samplers, minus infinity for
                tokens that are not chosen.
            history: the tokens before, int32 ``(b, t)``, of prompt and text; -1 where there is none, which may be
                anywhere.

        Returns:
            Scores of the same shape and dtype, at least one of each row finite.
        """
