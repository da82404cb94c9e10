r"""One block of a Transformer: attention, perhaps attention to another sequence, and a feed-forward layer."""

from typing import Any

import keras

from tfdl.layers.cross_attention import CrossAttention
from tfdl.layers.feed_forward import FeedForward
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.layer_normalization import LayerNormalization
from tfdl.layers.rms_normalization import RMSNormalization
from tfdl.layers.self_attention import SelfAttention


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerBlock(keras.layers.Layer):
    r"""Adds to each vector what attention and the feed-forward layer make of it.

    With a sublayer $F$ and a normalization $N$: $x + F(N(x))$ with ``norm_first`` (GPT-2), and $N(x + F(x))$ without
    (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762). The order is attention, cross-attention where there is
    one, feed-forward.

    Args:
        attention: of the sequence to itself.
        feed_forward: of each position alone.
        cross_attention: of the sequence to a memory, for decoders with an encoder.
        normalization: ``"layer"`` or ``"rms"``.
        norm_first: whether each sublayer's input is normalized, rather than the sum of its input and output.
        epsilon: added to the variance or the mean square.
        use_bias: whether layer normalization has a ``beta``.
        dropout: probability that a value of a sublayer's output is dropped while training.

    Call arguments:
        inputs: ``(B, T, D)``.
        memory: ``(B, S, M)``, for ``cross_attention``.
        padding_mask: booleans ``(B, T)``, true for real tokens.
        memory_padding_mask: booleans ``(B, S)``, true for real tokens of the memory.
        training: whether to drop values.

    Returns:
        ``(B, T, D)``, in the layer's compute dtype.
    """

    def __init__(
        self,
        attention: SelfAttention,
        feed_forward: FeedForward,
        cross_attention: CrossAttention | None = None,
        normalization: str = "layer",
        norm_first: bool = True,
        epsilon: float = 1e-5,
        use_bias: bool = True,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.normalization, self.norm_first, self.epsilon = normalization, norm_first, epsilon
        self.use_bias, self.dropout = use_bias, dropout
        same = {"epsilon": epsilon, "center": use_bias, "dtype": self.dtype_policy}
        # In the order of the computation, which becomes that of the weights.
        self.attention_norm = build_normalization(normalization, name="attention_norm", **same)
        self.attention = attention
        if cross_attention is not None:
            self.cross_attention_norm = build_normalization(normalization, name="cross_attention_norm", **same)
        self.cross_attention = cross_attention
        self.feed_forward_norm = build_normalization(normalization, name="feed_forward_norm", **same)
        self.feed_forward = feed_forward
        self.residual_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy) if dropout else None

    def build(self, inputs_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...] | None = None) -> None:
        self.attention_norm.build(inputs_shape)
        self.attention.build(inputs_shape)
        if self.cross_attention is not None:
            if memory_shape is None:
                raise ValueError("a TransformerBlock with cross_attention got no memory to look at")
            self.cross_attention_norm.build(inputs_shape)
            self.cross_attention.build(inputs_shape, memory_shape)
        self.feed_forward_norm.build(inputs_shape)
        self.feed_forward.build(inputs_shape)

    def call(
        self,
        inputs: Any,
        memory: Any = None,
        padding_mask: Any = None,
        memory_padding_mask: Any = None,
        training: bool = False,
    ) -> Any:
        x = inputs  # (B, T, D)
        y = self.attention(self._before(self.attention_norm, x), padding_mask=padding_mask, training=training)
        x = self._after(self.attention_norm, x, y, training)
        if self.cross_attention is not None:
            y = self._before(self.cross_attention_norm, x)
            y = self.cross_attention(y, memory, padding_mask=memory_padding_mask, training=training)
            x = self._after(self.cross_attention_norm, x, y, training)
        y = self.feed_forward(self._before(self.feed_forward_norm, x))
        return self._after(self.feed_forward_norm, x, y, training)  # (B, T, D)

    def project(self, memory: Any) -> Cache:
        """Keys and values of the memory ``(B, S, M)``, which ``decode`` takes in its place at every step."""
        assert self.cross_attention is not None
        return self.cross_attention.project(memory)

    def decode(
        self,
        inputs: Any,
        cache: Cache,
        place: Any,
        positions: Any = None,
        padding_mask: Any = None,
        memory: Any = None,
        memory_padding_mask: Any = None,
    ) -> tuple[Any, Cache]:
        """As ``call`` for tokens that follow those in the cache of ``attention``.

        Args:
            inputs: ``(B, T, D)``, the next tokens of each sequence.
            cache: from ``attention.initial_cache`` or the last call.
            place: of the first of them in the cache, a scalar.
            positions: what rotary embeddings turn by, integers ``(T,)`` or ``(B, T)``; the places if not given.
            padding_mask: booleans ``(B, S)``, true for places of real tokens; places to come count as real.
            memory: ``cross_attention.project(...)`` of the memory, the same for all calls.
            memory_padding_mask: booleans of its real tokens.

        Returns:
            ``(B, T, D)``, and the cache with these tokens in it.
        """
        x = inputs  # (B, T, D)
        y = self._before(self.attention_norm, x)
        y, cache = self.attention.decode(y, cache, place, positions, padding_mask)
        x = self._after(self.attention_norm, x, y)
        if self.cross_attention is not None:
            y = self._before(self.cross_attention_norm, x)
            y = self.cross_attention.attend(y, memory, padding_mask=memory_padding_mask)
            x = self._after(self.cross_attention_norm, x, y)
        y = self.feed_forward(self._before(self.feed_forward_norm, x))
        return self._after(self.feed_forward_norm, x, y), cache

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        plain = "normalization norm_first epsilon use_bias dropout"
        return {
            **super().get_config(),
            **{name: _unbuilt(getattr(self, name)) for name in _SUBLAYERS},
            **{name: getattr(self, name) for name in plain.split()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransformerBlock":
        sublayers = {name: keras.saving.deserialize_keras_object(config[name]) for name in _SUBLAYERS}
        return cls(**{**config, **sublayers})

    def _before(self, norm: Any, x: Any) -> Any:
        """What a sublayer is given."""
        return norm(x) if self.norm_first else x

    def _after(self, norm: Any, x: Any, y: Any, training: bool = False) -> Any:
        """The sum of a sublayer's input and output."""
        if self.residual_dropout is not None:
            y = self.residual_dropout(y, training=training)
        return x + y if self.norm_first else norm(x + y)


_SUBLAYERS = ("attention", "feed_forward", "cross_attention")


def _unbuilt(layer: Any) -> Any:
    """The layer's serialized form, without the shapes it was built for: the block builds it, under the block's name."""
    serialized = keras.saving.serialize_keras_object(layer)
    return serialized and {key: value for key, value in serialized.items() if key != "build_config"}


def build_normalization(kind: str, *, epsilon: float, center: bool = True, **kwargs: Any) -> keras.layers.Layer:
    """A new layer of one of the two kinds.

    Args:
        kind: ``"layer"`` or ``"rms"``.
        epsilon: added to the variance or the mean square.
        center: whether layer normalization has a ``beta``; the other kind has none.
        **kwargs: ``name`` and ``dtype``.

    Raises:
        ValueError: another kind.
    """
    if kind == "layer":
        return LayerNormalization(epsilon, center=center, **kwargs)
    if kind == "rms":
        return RMSNormalization(epsilon, **kwargs)
    raise ValueError(f"normalization={kind!r}, expected 'layer' or 'rms'")
