r"""Encoder-only Transformers that classify texts (BERT) and images (ViT)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from tfdl.config.models.transformer import TransformerConfig
from tfdl.errors import UserError
from tfdl.layers.dense import Dense
from tfdl.layers.padding import MaskedMean, PaddingMask
from tfdl.layers.patch_embedding import ClassToken, PatchEmbedding
from tfdl.layers.transformer_block import build_normalization
from tfdl.models.data_arguments import check_counts, check_image_shape
from tfdl.models.low_rank import add_low_rank_updates
from tfdl.models.precision import compute_precision
from tfdl.models.transformer_layers import (
    build_block,
    build_dropout,
    build_final_norm,
    build_head,
    build_position_embedding,
    build_segment_embedding,
    build_token_embedding,
    new_normal,
)


class _Encoder(keras.Model):
    """Base class: blocks of attention to both sides, one vector for the whole sequence, and a dense layer of logits."""

    def _build_encoder(self, config: TransformerConfig, num_classes: int, sequence_length: int) -> None:
        """Builds the layers after the token or patch embedding, in the order of the computation."""
        self.position_embedding = build_position_embedding(config, sequence_length)
        self.embedding_norm = None
        if not config.norm_first:
            self.embedding_norm = build_normalization(
                config.normalization, epsilon=config.epsilon, center=config.use_bias, name="embedding_norm"
            )
        self.embedding_dropout = build_dropout(config)
        block_numbers = range(1, config.num_layers + 1)
        self.blocks = [build_block(config, f"block_{number}", is_causal=False) for number in block_numbers]
        self.final_norm = build_final_norm(config)
        self.mean = MaskedMean(name="mean") if config.pooling == "mean" else None
        self.head_dropout = build_dropout(config, name="head_dropout")
        self.head = build_head(num_classes, use_bias=True)

    def _encode(self, x: Any, padding_mask: Any) -> Any:
        """Embedded tokens or patches (batch, time, hidden_dim) to outputs (batch, time, hidden_dim)."""
        for layer in (self.position_embedding, self.embedding_norm, self.embedding_dropout):
            if layer is not None:
                x = layer(x)
        for block in self.blocks:
            x = block(x, padding_mask=padding_mask)
        return x if self.final_norm is None else self.final_norm(x)

    def _score(self, pooled: Any) -> Any:
        """(batch, hidden_dim) to logits (batch, num_classes)."""
        if self.head_dropout is not None:
            pooled = self.head_dropout(pooled)
        return self.head(pooled)


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerTextClassifier(_Encoder):
    r"""Scores the classes of a text (Devlin et al., 2018, https://arxiv.org/abs/1810.04805).

    Token and position vectors, blocks of bidirectional self-attention and feed-forward layers, and one vector for the
    text. This is the mean over the tokens or, with ``pooling="first"`` as in BERT, a dense layer with $\tanh$ of the
    first token's output. With ``num_segments`` a vector for the token's segment is added. Pad texts of unequal lengths
    at the end with token 0. Padding is never attended to.

    Args:
        config: sizes and switches, a ``TransformerConfig`` or its fields.
        vocab_size: number of tokens, including padding.
        num_classes: number of classes.
        dtype: precision that the model computes in. Defaults to the current one.
        name: of the model.

    Call arguments:
        inputs: tokens ``(batch, time)``.
        training: whether to drop values.

    Returns:
        Logits ``(batch, num_classes)``, float32, or float64 under that policy.

    Raises:
        UserError: ``vocab_size`` or ``num_classes`` below 1.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        vocab_size: int,
        num_classes: int,
        dtype: Any = None,
        name: str = "transformer_text_classifier",
    ):
        check_counts(vocab_size=vocab_size, num_classes=num_classes)
        if not isinstance(config, TransformerConfig):
            config = TransformerConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config = config
        self.vocab_size = vocab_size
        self.num_classes = num_classes
        with compute_precision(policy.name):
            self.padding_mask = PaddingMask(name="padding_mask")
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.segment_embedding = build_segment_embedding(config)
            self._build_encoder(config, num_classes, config.sequence_length)
            self.pooler = None
            if config.pooling == "first":
                self.pooler = Dense(config.hidden_dim, "tanh", kernel_initializer=new_normal(), name="pooler")
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (batch, time)
            super().__init__(tokens, self.logits(tokens), name=name)
            add_low_rank_updates(self, config.lora_rank, config.lora_alpha)
        self.dtype_policy = policy

    def logits(self, tokens: Any, segments: Any = None) -> Any:
        """Computes the same as a call, also for given segments.

        Args:
            tokens: ``(batch, time)``.
            segments: number of each token's segment, ``(batch, time)``. Defaults to the segments that
                ``separator_id`` of the configuration ends.

        Returns:
            Logits ``(batch, num_classes)``.
        """
        padding_mask = self.padding_mask(tokens)  # (batch, time)
        x = self.token_embedding(tokens)  # (batch, time, hidden_dim)
        if self.segment_embedding is not None:
            x = self.segment_embedding(x, tokens, segments)
        x = self._encode(x, padding_mask)  # (batch, time, hidden_dim)
        if self.pooler is None:
            assert self.mean is not None
            pooled = self.mean(x, padding_mask=padding_mask)  # (batch, hidden_dim)
        else:
            pooled = self.pooler(x[:, 0])  # (batch, hidden_dim)
        return self._score(pooled)  # (batch, num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "vocab_size": self.vocab_size,
            "num_classes": self.num_classes,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
        return cls(**config)


@keras.saving.register_keras_serializable(package="tfdl")
class VisionTransformer(_Encoder):
    """Scores the classes of an image (Dosovitskiy et al., 2020, https://arxiv.org/abs/2010.11929).

    Vectors of square patches with positions, blocks of self-attention and feed-forward layers, and one vector for the
    image. This is the mean over the patches or, with ``pooling="first"`` as in the paper, the output of a learned token
    that precedes them.

    Args:
        config: sizes and switches, a ``TransformerConfig`` with a ``patch_size``, or its fields.
        input_shape: ``(height, width, channels)``.
        num_classes: number of classes.
        dtype: precision that the model computes in. Defaults to the current one.
        name: of the model.

    Call arguments:
        inputs: images ``(batch, height, width, channels)``.
        training: whether to drop values.

    Returns:
        Logits ``(batch, num_classes)``, float32, or float64 under that policy.

    Raises:
        UserError: ``patch_size`` is missing or does not divide height and width, or ``num_classes`` is below 1.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        input_shape: tuple[int, int, int],
        num_classes: int,
        dtype: Any = None,
        name: str = "vision_transformer",
    ):
        if not isinstance(config, TransformerConfig):
            config = TransformerConfig(**config)
        num_patches = _count_patches(config, input_shape)
        check_counts(num_classes=num_classes)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config = config
        self.image_shape = tuple(input_shape)
        self.num_classes = num_classes
        has_class_token = config.pooling == "first"
        with compute_precision(policy.name):
            assert config.patch_size is not None
            self.patch_embedding = PatchEmbedding(
                config.patch_size, config.hidden_dim, new_normal(), name="patch_embedding"
            )
            self.class_token = ClassToken(name="class_token") if has_class_token else None
            self._build_encoder(config, num_classes, sequence_length=num_patches + has_class_token)
            images = keras.Input(input_shape, name="image")  # (batch, height, width, channels)
            super().__init__(images, self._compute_logits(images), name=name)
            add_low_rank_updates(self, config.lora_rank, config.lora_alpha)
        self.dtype_policy = policy

    def _compute_logits(self, images: Any) -> Any:
        x = self.patch_embedding(images)  # (batch, patches, hidden_dim)
        if self.class_token is None:
            assert self.mean is not None
            pooled = self.mean(self._encode(x, None))  # (batch, hidden_dim)
        else:
            x = self.class_token(x)  # (batch, 1 + patches, hidden_dim)
            pooled = self._encode(x, None)[:, 0]  # (batch, hidden_dim)
        return self._score(pooled)  # (batch, num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "num_classes": self.num_classes,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
            "input_shape": self.image_shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
        return cls(**config)


def _count_patches(config: TransformerConfig, input_shape: tuple[int, ...]) -> int:
    check_image_shape(input_shape)
    height, width, _ = input_shape
    side = config.patch_size
    if side is None:
        raise UserError("an encoder of images without model.patch_size, expected the side of a patch, such as 4")
    if height % side or width % side:
        raise UserError(
            f"images of {height}x{width} cannot be cut into patches of {side}x{side}; give a model.patch_size that"
            " divides height and width, or another dataset.image_size (--image-size)"
        )
    return (height // side) * (width // side)
