r"""One block of a Transformer: self-attention, optional cross-attention, and a feed-forward layer."""

from typing import Any

import keras

from tfdl.layers.cross_attention import CrossAttention
from tfdl.layers.feed_forward import FeedForward
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.layer_normalization import LayerNormalization
from tfdl.layers.rms_normalization import RMSNormalization
from tfdl.layers.self_attention import SelfAttention

_SUBLAYERS = ("attention", "feed_forward", "cross_attention")
_PLAIN_ARGUMENTS = ("normalization", "norm_first", "epsilon", "use_bias", "dropout")


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerBlock(keras.layers.Layer):
    r"""Attention and a feed-forward layer, each with a residual connection and a normalization.

    With a sublayer $F$ and a normalization $N$, the result is $x + F(N(x))$ with ``norm_first`` (GPT-2), and
    $N(x + F(x))$ without (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762). The order is self-attention,
    cross-attention if there is one, feed-forward layer.

    Args:
        attention: self-attention.
        feed_forward: the feed-forward layer.
        cross_attention: attention to a memory, for a decoder that has an encoder.
        normalization: ``"layer"`` or ``"rms"``.
        norm_first: whether to normalize the input of each sublayer, rather than the sum of its input and output.
        epsilon: added to the variance or the mean square.
        use_bias: whether layer normalization has a ``beta``.
        dropout: probability that a value of a sublayer's output is dropped during training.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        memory: ``(batch, source, memory_dim)``, for ``cross_attention``.
        padding_mask: booleans ``(batch, time)``, true for real tokens.
        memory_padding_mask: booleans ``(batch, source)``, true for real tokens of the memory.
        training: whether to drop values.

    Returns:
        ``(batch, time, dim)``, in the layer's compute dtype.
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
        self.normalization = normalization
        self.norm_first = norm_first
        self.epsilon = epsilon
        self.use_bias = use_bias
        self.dropout = dropout
        shared = {"epsilon": epsilon, "center": use_bias, "dtype": self.dtype_policy}
        # The sublayers are set in the order of the computation, which becomes the order of the weights.
        self.attention_norm = build_normalization(normalization, name="attention_norm", **shared)
        self.attention = attention
        if cross_attention is not None:
            self.cross_attention_norm = build_normalization(normalization, name="cross_attention_norm", **shared)
        self.cross_attention = cross_attention
        self.feed_forward_norm = build_normalization(normalization, name="feed_forward_norm", **shared)
        self.feed_forward = feed_forward
        self.residual_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy) if dropout else None

    def build(self, inputs_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...] | None = None) -> None:
        self.attention_norm.build(inputs_shape)
        self.attention.build(inputs_shape)
        if self.cross_attention is not None:
            if memory_shape is None:
                raise ValueError("TransformerBlock has cross_attention but got no memory; pass memory")
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
        x = inputs  # (batch, time, dim)
        y = self._norm_before(self.attention_norm, x)
        y = self.attention(y, padding_mask=padding_mask, training=training)
        x = self._add_residual(self.attention_norm, x, y, training)
        if self.cross_attention is not None:
            y = self._norm_before(self.cross_attention_norm, x)
            y = self.cross_attention(y, memory, padding_mask=memory_padding_mask, training=training)
            x = self._add_residual(self.cross_attention_norm, x, y, training)
        y = self._norm_before(self.feed_forward_norm, x)
        y = self.feed_forward(y)
        return self._add_residual(self.feed_forward_norm, x, y, training)  # (batch, time, dim)

    def project(self, memory: Any) -> Cache:
        """Computes keys and values of the memory ``(batch, source, memory_dim)``, once for all steps of ``decode``."""
        assert self.cross_attention is not None
        return self.cross_attention.project(memory)

    def decode(
        self,
        inputs: Any,
        cache: Cache,
        cache_index: Any,
        positions: Any = None,
        padding_mask: Any = None,
        memory: Any = None,
        memory_padding_mask: Any = None,
    ) -> tuple[Any, Cache]:
        """Computes the same as a causal ``call``, for tokens that follow those in the cache of ``attention``.

        Args:
            inputs: ``(batch, time, dim)``, the next tokens of each sequence.
            cache: from ``attention.initial_cache`` or the last call.
            cache_index: slot of the first of these tokens in the cache, a scalar.
            positions: positions for rotary embeddings, integers ``(time,)`` or ``(batch, time)``. Defaults to the
                slots.
            padding_mask: booleans ``(batch, max_length)``, true for slots of real tokens and for slots not yet filled.
            memory: ``project(...)`` of the memory, the same for all calls.
            memory_padding_mask: booleans ``(batch, source)``, true for real tokens of the memory.

        Returns:
            ``(batch, time, dim)``, and the cache with these tokens.
        """
        x = inputs  # (batch, time, dim)
        y = self._norm_before(self.attention_norm, x)
        y, cache = self.attention.decode(y, cache, cache_index, positions, padding_mask)
        x = self._add_residual(self.attention_norm, x, y)
        if self.cross_attention is not None:
            y = self._norm_before(self.cross_attention_norm, x)
            y = self.cross_attention.attend(y, memory, padding_mask=memory_padding_mask)
            x = self._add_residual(self.cross_attention_norm, x, y)
        y = self._norm_before(self.feed_forward_norm, x)
        y = self.feed_forward(y)
        return self._add_residual(self.feed_forward_norm, x, y), cache

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(inputs_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{name: _serialize_unbuilt(getattr(self, name)) for name in _SUBLAYERS},
            **{name: getattr(self, name) for name in _PLAIN_ARGUMENTS},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransformerBlock":
        sublayers = {name: keras.saving.deserialize_keras_object(config[name]) for name in _SUBLAYERS}
        return cls(**{**config, **sublayers})

    def _norm_before(self, norm: Any, x: Any) -> Any:
        """The input of a sublayer: normalized with ``norm_first``."""
        return norm(x) if self.norm_first else x

    def _add_residual(self, norm: Any, x: Any, y: Any, training: bool = False) -> Any:
        """The sum of a sublayer's input ``x`` and output ``y``: normalized without ``norm_first``."""
        if self.residual_dropout is not None:
            y = self.residual_dropout(y, training=training)
        return x + y if self.norm_first else norm(x + y)


def _serialize_unbuilt(layer: Any) -> Any:
    """Serializes a sublayer without the shapes it was built for.

    The block builds its sublayers itself, so their variables get the block's path.
    """
    serialized = keras.saving.serialize_keras_object(layer)
    if serialized is None:
        return None
    return {key: value for key, value in serialized.items() if key != "build_config"}


def build_normalization(kind: str, *, epsilon: float, center: bool = True, **kwargs: Any) -> keras.layers.Layer:
    """Builds a normalization layer.

    Args:
        kind: ``"layer"`` or ``"rms"``.
        epsilon: added to the variance or the mean square.
        center: whether layer normalization has a ``beta``. RMS normalization has none.
        **kwargs: ``name`` and ``dtype``.

    Raises:
        ValueError: unknown kind.
    """
    if kind == "layer":
        return LayerNormalization(epsilon, center=center, **kwargs)
    if kind == "rms":
        return RMSNormalization(epsilon, **kwargs)
    raise ValueError(f"normalization={kind!r}, expected 'layer' or 'rms'")
